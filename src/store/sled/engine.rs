//! State that the modules of the sled backend share.

use std::sync::OnceLock;
use std::sync::atomic::AtomicU64;

use super::committer::Committer;
use super::counters::Counters;
use super::customer_locks::CustomerLocks;
use super::outbox_progress::OutboxProgress;
use super::releases::Releases;
use super::sweep_watermark::SweepWatermark;
use super::trees::Trees;
use crate::domain::ids::CustomerId;
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
    /// Highest version of the customers that were removed while idle. A customer stored anew has a higher one, so that no
    /// commit against the removed customer, read before, replaces it. In memory only: nothing that was read outlives the
    /// process.
    pub version_floor: AtomicU64,
    /// Units of volume released while backups run.
    pub releases: Releases,
    /// Customers that were in a merge when the store was opened; the recovery finds them.
    pub unfinished_merges: OnceLock<Vec<CustomerId>>,
    /// Time before which events may have been removed.
    pub sweep_watermark: SweepWatermark,
}

impl SledEngine {
    /// Returns the value of a sled operation. An error of sled is final: it marks the store failed.
    pub fn check<T>(&self, result: sled::Result<T>) -> Result<T, StoreError> {
        result.map_err(|error| self.committer.fail(&error))
    }
}
