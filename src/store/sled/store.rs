//! The sled backend as the contract sees it.

use std::path::Path;
use std::sync::Arc;

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
use crate::store::contract::error::StoreError;
use crate::store::contract::store::Store;

/// A store in a directory on local disk. Dropping it flushes and releases the directory; [`Store::close`] does the same
/// without blocking the caller's thread.
pub struct SledStore {
    engine: Arc<SledEngine>,
}

impl SledStore {
    /// Opens the store in this directory, creating it where missing; its parent must exist. Finishes what a crash left
    /// unfinished and counts everything, so this takes longer the more is stored.
    pub async fn open(directory: impl AsRef<Path>) -> Result<Self, StoreError> {
        let directory = directory.as_ref().to_owned();
        let opened = tokio::task::spawn_blocking(move || SledEngine::open(&directory)).await;
        // sled panics on some kinds of corruption; that must not look like anything but a failure to open.
        let engine =
            opened.unwrap_or_else(|error| Err(StoreError::Failed { detail: format!("opening died: {error}") }))?;
        Ok(Self { engine: Arc::new(engine) })
    }

    /// Returns the parts of the store, or its error once it has failed.
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
    fn open(directory: &Path) -> Result<Self, StoreError> {
        let (db, trees) = open_database(directory)?;
        let at = |error: std::io::Error| StoreError::Failed { detail: format!("{}: {error}", directory.display()) };
        let mut disk = Disk::open(db.clone(), directory).map_err(at)?;
        let flush_watermark = FlushWatermark::open(&trees.meta, directory)?;
        let engine = Self {
            trees,
            committer: Committer::start(db, directory, flush_watermark).map_err(at)?,
            outbox_progress: OutboxProgress::default(),
            counters: Counters::default(),
            customer_locks: CustomerLocks::default(),
            model_lock: tokio::sync::Mutex::default(),
            releases: Releases::default(),
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

    /// Ends the background thread as well.
    async fn close(&self) -> Result<(), StoreError> {
        blocking(&self.engine, |engine| {
            engine.committer.close();
            engine.committer.check()
        })
        .await
    }
}
