//! Restores a backup into a directory that holds nothing yet.
//!
//! The records are entered into a store in `next/`, as when the files are rewritten after erasures; only when all are there and
//! verified the files take their places. So whoever opens the directory finds all of the backup or none of it.

use std::fs::File;
use std::path::{Path, PathBuf};

use super::compact;
use super::open::{LOCK, create, failed, lock};
use super::store::SledStore;
use crate::store::backup::record::BackupRecord;
use crate::store::contract::counts::StoreCounts;
use crate::store::contract::error::StoreError;
use crate::store::contract::maintenance::MaintenanceStore;
use crate::store::contract::store::Store;

/// A restore under way. Dropped before its end it leaves nothing that would be opened.
pub struct RestoreInProgress {
    directory: PathBuf,
    store: SledStore,
    _lock: File,
}

impl RestoreInProgress {
    /// Begins a restore into this directory, which is created where missing; its parent must exist.
    ///
    /// # Errors
    /// When something is in it, or a server is using it.
    pub async fn begin(directory: &Path) -> Result<Self, StoreError> {
        let at = |error: std::io::Error| failed(directory, &error);
        create(directory).map_err(at)?;
        for entry in std::fs::read_dir(directory).map_err(at)? {
            let name = entry.map_err(at)?.file_name().to_string_lossy().into_owned();
            // A restore that was interrupted leaves the first two; a fresh volume has the last.
            if ![compact::NEXT, LOCK, "lost+found"].contains(&name.as_str()) {
                return Err(failed(
                    directory,
                    &format!("is not empty, and a backup is restored into nothing else: {name}"),
                ));
            }
        }
        let lock = lock(directory)?;
        let next = directory.join(compact::NEXT);
        compact::remove(&next).map_err(at)?;
        Ok(Self { directory: directory.to_owned(), store: SledStore::open(&next).await?, _lock: lock })
    }

    /// Enters the next records.
    pub async fn enter(&self, records: Vec<BackupRecord>) -> Result<(), StoreError> {
        self.store.restore(records).await
    }

    /// Removes what was entered.
    pub async fn abandon(self) {
        let Self { directory, store, _lock } = self;
        // It may be failed already; what is left is removed by the next restore or start.
        let _ended = store.close().await;
        drop(store);
        let _left = compact::remove(&directory.join(compact::NEXT));
    }

    /// Reads back what was entered, which must have this digest; then removes who was erased, and puts the files in their
    /// places. Returns what is stored now.
    pub async fn complete(self, digest: u64) -> Result<StoreCounts, StoreError> {
        let Self { directory, store, _lock } = self;
        let entered = store.digest().await?;
        if entered != digest {
            let detail = format!("what was written reads back with the digest {entered:016x} instead of {digest:016x}");
            return Err(failed(&directory, &detail));
        }
        store.close().await?;
        drop(store);
        let next = directory.join(compact::NEXT);
        // Opening it removes who was erased.
        let store = SledStore::open(&next).await?;
        let counts = store.counts().await?;
        store.close().await?;
        drop(store);
        let put_in_place = || {
            std::fs::remove_file(next.join(LOCK))?;
            compact::mark_complete(&directory, &next)?;
            compact::finish_swap(&directory)
        };
        put_in_place().map_err(|error| failed(&directory, &error))?;
        Ok(counts)
    }
}
