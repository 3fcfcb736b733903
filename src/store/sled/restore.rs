//! Restores a backup into an empty directory.
//!
//! The records are entered into a store in `next/`, as in a compaction; once all are entered and verified, its files are moved
//! into the directory. So a server that opens the directory finds all of the backup or none of it.

use std::fs::File;
use std::path::{Path, PathBuf};

use async_trait::async_trait;

use super::compact;
use super::open::{LOCK, create, failed, lock};
use super::store::SledStore;
use crate::store::backup::record::BackupRecord;
use crate::store::contract::counts::StoreCounts;
use crate::store::contract::error::StoreError;
use crate::store::contract::maintenance::MaintenanceStore;
use crate::store::contract::restore_target::RestoreTarget;
use crate::store::contract::store::Store;

/// Restore in progress. Dropping it before completion leaves nothing that a server would open.
pub struct RestoreInProgress {
    directory: PathBuf,
    store: SledStore,
    _lock: File,
}

impl RestoreInProgress {
    /// Starts a restore into this directory, which is created if missing; its parent must exist.
    ///
    /// # Errors
    /// When the directory is not empty, or another process uses it.
    pub async fn start(directory: &Path) -> Result<Self, StoreError> {
        let at = |error: std::io::Error| failed(directory, &error);
        create(directory).map_err(at)?;
        for entry in std::fs::read_dir(directory).map_err(at)? {
            let name = entry.map_err(at)?.file_name().to_string_lossy().into_owned();
            // An interrupted restore leaves the first two; a new disk volume contains the last.
            if ![compact::NEXT, LOCK, "lost+found"].contains(&name.as_str()) {
                return Err(failed(
                    directory,
                    &format!("is not empty, and a backup can only be restored into an empty directory: {name}"),
                ));
            }
        }
        let lock = lock(directory)?;
        let next = directory.join(compact::NEXT);
        compact::remove(&next).map_err(at)?;
        Ok(Self { directory: directory.to_owned(), store: SledStore::open(&next).await?, _lock: lock })
    }
}

#[async_trait]
impl RestoreTarget for RestoreInProgress {
    async fn enter(&self, records: Vec<BackupRecord>) -> Result<(), StoreError> {
        self.store.restore(records).await
    }

    async fn abandon(self: Box<Self>) {
        let Self { directory, store, _lock } = *self;
        // The store may have failed already; the next restore or start removes remaining files.
        let _closed = store.close().await;
        drop(store);
        let _removed = compact::remove(&directory.join(compact::NEXT));
    }

    /// Verifies the digest, removes erased customers, and moves the files into the directory.
    async fn complete(self: Box<Self>, digest: u64) -> Result<StoreCounts, StoreError> {
        let Self { directory, store, _lock } = *self;
        let restored = store.digest().await?;
        if restored != digest {
            let detail = format!("restored records have digest {restored:016x}, expected {digest:016x}");
            return Err(failed(&directory, &detail));
        }
        store.close().await?;
        drop(store);
        let next = directory.join(compact::NEXT);
        // Opening the store removes erased customers.
        let store = SledStore::open(&next).await?;
        let counts = store.counts().await?;
        store.close().await?;
        drop(store);
        let move_files = || {
            std::fs::remove_file(next.join(LOCK))?;
            compact::mark_complete(&directory, &next)?;
            compact::finish_swap(&directory)
        };
        move_files().map_err(|error| failed(&directory, &error))?;
        Ok(counts)
    }
}
