//! The store contract implemented on sled.

use std::path::Path;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, OnceLock};

use async_trait::async_trait;

use super::committer::{Committer, Disk};
use super::counters::Counters;
use super::customer_locks::CustomerLocks;
use super::engine::SledEngine;
use super::flush_watermark::FlushWatermark;
use super::open::open_database;
use super::outbox_progress::OutboxProgress;
use super::releases::Releases;
use super::scan::blocking;
use super::sweep_watermark::SweepWatermark;
use crate::store::contract::error::StoreError;
use crate::store::contract::store::Store;

/// Cache of a store that is opened without a size.
const CACHE_BYTES: u64 = 1 << 30;

/// A store in a directory on local disk. Dropping it flushes and releases the directory; [`Store::close`] does the same
/// without blocking the caller's thread.
pub struct SledStore {
    pub(super) engine: Arc<SledEngine>,
}

impl SledStore {
    /// Opens the store in this directory, creating it if missing; its parent must exist. Recovers from a crash and
    /// counts all records, so the time grows with the size of the store.
    pub async fn open(directory: impl AsRef<Path>) -> Result<Self, StoreError> {
        Self::open_with_cache(directory, CACHE_BYTES).await
    }

    /// Opens the store with about this many bytes of stored values in memory.
    pub async fn open_with_cache(directory: impl AsRef<Path>, cache_bytes: u64) -> Result<Self, StoreError> {
        let directory = directory.as_ref().to_owned();
        let opened = tokio::task::spawn_blocking(move || SledEngine::open(&directory, cache_bytes)).await;
        // sled panics on some kinds of corruption, which is reported as a failure to open.
        let engine = opened.unwrap_or_else(|error| {
            Err(StoreError::Failed { detail: format!("opening the store panicked: {error}") })
        })?;
        Ok(Self { engine: Arc::new(engine) })
    }

    /// Returns the engine, or the cause of the failure once the store has failed.
    pub(super) fn engine(&self) -> Result<&Arc<SledEngine>, StoreError> {
        self.engine.committer.check()?;
        Ok(&self.engine)
    }
}

impl Drop for SledStore {
    fn drop(&mut self) {
        self.engine.committer.close();
    }
}

impl SledEngine {
    fn open(directory: &Path, cache_bytes: u64) -> Result<Self, StoreError> {
        let (db, trees) = open_database(directory, cache_bytes)?;
        let at = |error: std::io::Error| StoreError::Failed { detail: format!("{}: {error}", directory.display()) };
        let mut disk = Disk::open(db.clone(), directory).map_err(at)?;
        let flush_watermark = FlushWatermark::open(&trees.meta, directory)?;
        let sweep_watermark = SweepWatermark::open(&trees.meta)?;
        let engine = Self {
            trees,
            committer: Committer::start(db, directory, flush_watermark).map_err(at)?,
            outbox_progress: OutboxProgress::default(),
            counters: Counters::default(),
            customer_locks: CustomerLocks::default(),
            model_lock: tokio::sync::Mutex::default(),
            version_floor: AtomicU64::new(0),
            releases: Releases::default(),
            unfinished_merges: OnceLock::new(),
            sweep_watermark,
        };
        engine.recover_outboxes(&mut disk)?;
        Ok(engine)
    }
}

#[async_trait]
impl Store for SledStore {
    async fn durable(&self) -> Result<(), StoreError> {
        self.engine.committer.durable().await
    }

    async fn failed(&self) -> StoreError {
        self.engine.committer.failed().await
    }

    /// Stops the committer thread as well.
    async fn close(&self) -> Result<(), StoreError> {
        blocking(&self.engine, |engine| {
            engine.committer.close();
            engine.committer.check()
        })
        .await
    }
}
