//! State that the modules of the sled backend share.

use super::committer::Committer;
use super::counters::Counters;
use super::customer_locks::CustomerLocks;
use super::outbox_progress::OutboxProgress;
use super::releases::Releases;
use super::sweep_watermark::SweepWatermark;
use super::trees::Trees;
use crate::store::contract::error::StoreError;

/// Open store: its trees, the committer thread that makes writes durable, and the state kept in memory.
pub(super) struct SledEngine {
    pub trees: Trees,
    pub committer: Committer,
    pub outbox_progress: OutboxProgress,
    pub counters: Counters,
    /// Commits and cached rankings hold a customer's lock shared, erasures and recoveries exclusively.
    pub customer_locks: CustomerLocks,
    /// Models are written one at a time.
    pub model_lock: tokio::sync::Mutex<()>,
    /// Units of volume released while backups run.
    pub releases: Releases,
    /// Time before which events may have been removed.
    pub sweep_watermark: SweepWatermark,
}

impl SledEngine {
    /// Returns the value of a sled operation. An error of sled is final: it marks the store failed.
    pub fn check<T>(&self, result: sled::Result<T>) -> Result<T, StoreError> {
        result.map_err(|error| self.committer.fail(&error))
    }
}
