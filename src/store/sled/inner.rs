//! What the parts of the backend share.

use super::committer::Committer;
use super::counters::Counters;
use super::customer_locks::CustomerLocks;
use super::outbox_progress::OutboxProgress;
use super::releases::Releases;
use super::trees::Trees;
use crate::store::contract::error::StoreError;

/// The trees of an open store, the thread that makes them durable, and what is known of both.
pub(super) struct Inner {
    pub trees: Trees,
    pub committer: Committer,
    pub outbox_progress: OutboxProgress,
    pub counters: Counters,
    /// Commits and erasures of one customer take turns.
    pub customer_locks: CustomerLocks,
    /// Models are written one at a time.
    pub model_lock: tokio::sync::Mutex<()>,
    /// What was given back of volumes while backups run.
    pub releases: Releases,
}

impl Inner {
    /// Passes on what sled returned. sled's errors are final: the store is marked failed.
    pub fn healthy<T>(&self, result: sled::Result<T>) -> Result<T, StoreError> {
        result.map_err(|error| self.committer.fail(&error))
    }
}
