//! Restores backups into data directories and databases, and verifies them. No server may be using the place.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

#[cfg(feature = "postgres")]
use super::database::settings as database_settings;
#[cfg(feature = "postgres")]
use crate::config::store_url::StoreDatabase;
use crate::store::backup::reader::{BackupError, BackupReader, BackupSummary};
use crate::store::backup::record::{BackupRecord, RecordKind};
use crate::store::contract::counts::StoreCounts;
use crate::store::contract::error::StoreError;
use crate::store::contract::restore_target::RestoreTarget;
#[cfg(feature = "postgres")]
use crate::store::postgres::restore_into::RestoreIntoDatabase;
#[cfg(feature = "postgres")]
use crate::store::postgres::schema::OpenPostgresError;
use crate::store::sled::restore::RestoreInProgress;

/// Bytes read in one step.
const READ_BYTES: usize = 64 * 1024;
/// File name that means standard input.
const STANDARD_INPUT: &str = "-";

/// Error returned when a backup is not restored. The directory or database is then as empty as before.
#[derive(Debug, thiserror::Error)]
pub enum RestoreError {
    /// Reading the file failed.
    #[error("{path}")]
    Read {
        /// Path of the file.
        path: String,
        /// Cause reported by the system.
        #[source]
        source: io::Error,
    },
    /// The file is not a complete, undamaged backup.
    #[error("{path}")]
    Backup {
        /// Path of the file.
        path: String,
        /// Fault of the backup.
        #[source]
        source: BackupError,
    },
    /// The backup with later erasures is of another store, whose hashes do not match this one's.
    #[error("{path}: is a backup of another store, so its erasures do not apply")]
    OtherStore {
        /// Path of the file.
        path: String,
    },
    /// Writing failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The database cannot be restored into.
    #[cfg(feature = "postgres")]
    #[error(transparent)]
    Database(#[from] OpenPostgresError),
}

/// Summary of a restored backup.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RestoreSummary {
    /// Content of the backup.
    pub backup: BackupSummary,
    /// Content of the store: less than the backup's where customers were erased later.
    pub stored: StoreCounts,
}

/// Verifies a backup by reading it to its end; `-` reads standard input. `progress` receives the number of bytes read so far.
///
/// # Errors
/// If it cannot be read or is incomplete or damaged.
pub fn check_backup(file: &Path, progress: &mut dyn FnMut(u64)) -> Result<BackupSummary, RestoreError> {
    let mut backup = BackupFile::open(file)?;
    while backup.next_page(progress)?.is_some() {}
    backup.finish()
}

/// Reads a backup to its end and passes every record to `visit`.
///
/// # Errors
/// If it cannot be read or is incomplete or damaged, which may be found only after many records; and errors of `visit`.
pub fn read_backup<E: From<RestoreError>>(
    file: &Path,
    progress: &mut dyn FnMut(u64),
    visit: &mut dyn FnMut(BackupRecord) -> Result<(), E>,
) -> Result<(), E> {
    let mut backup = BackupFile::open(file)?;
    while let Some(records) = backup.next_page(progress)? {
        for record in records {
            visit(record)?;
        }
    }
    backup.finish()?;
    Ok(())
}

/// Restores a backup into an empty or missing directory; `-` reads standard input. Customers whom later backups of the same
/// store list as erased are erased as well.
///
/// # Errors
/// If the backup is damaged or the directory unsuitable. Nothing is left in the directory then.
pub async fn restore_backup(
    file: &Path,
    erasures_from: &[PathBuf],
    directory: &Path,
    progress: &mut (dyn FnMut(u64) + Send),
) -> Result<RestoreSummary, RestoreError> {
    restore_into(Box::new(RestoreInProgress::start(directory).await?), file, erasures_from, progress).await
}

/// Restores a backup into a database that has the schema and nothing else, as [`restore_backup`] does into a directory.
///
/// # Errors
/// If the backup is damaged or the database unsuitable. Nothing is left in the database then.
#[cfg(feature = "postgres")]
pub async fn restore_into_database(
    file: &Path,
    erasures_from: &[PathBuf],
    database: &StoreDatabase,
    progress: &mut (dyn FnMut(u64) + Send),
) -> Result<RestoreSummary, RestoreError> {
    let restoring = RestoreIntoDatabase::start(database_settings(database)).await?;
    restore_into(Box::new(restoring), file, erasures_from, progress).await
}

async fn restore_into(
    restoring: Box<dyn RestoreTarget>,
    file: &Path,
    erasures_from: &[PathBuf],
    progress: &mut (dyn FnMut(u64) + Send),
) -> Result<RestoreSummary, RestoreError> {
    match write_all(restoring.as_ref(), file, erasures_from, progress).await {
        Ok(backup) => {
            let stored = restoring.complete(backup.digest).await?;
            Ok(RestoreSummary { backup, stored })
        }
        Err(error) => {
            restoring.abandon().await;
            Err(error)
        }
    }
}

async fn write_all(
    restoring: &dyn RestoreTarget,
    file: &Path,
    erasures_from: &[PathBuf],
    progress: &mut (dyn FnMut(u64) + Send),
) -> Result<BackupSummary, RestoreError> {
    let mut backup = BackupFile::open(file)?;
    let mut erasure_key = None;
    while let Some(records) = backup.next_page(progress)? {
        erasure_key = records.iter().find(|record| record.kind == RecordKind::ErasureKey).cloned().or(erasure_key);
        restoring.enter(records).await?;
    }
    let summary = backup.finish()?;
    for later_backup in erasures_from {
        let erasures = erasures_in(later_backup)?;
        let other_key = erasures.iter().find(|record| record.kind == RecordKind::ErasureKey).cloned();
        if other_key.is_some() && erasure_key.is_some() && other_key != erasure_key {
            return Err(RestoreError::OtherStore { path: later_backup.display().to_string() });
        }
        erasure_key = erasure_key.or(other_key);
        restoring.enter(erasures).await?;
    }
    Ok(summary)
}

/// Returns the erasure key and the erasures of a backup.
fn erasures_in(file: &Path) -> Result<Vec<BackupRecord>, RestoreError> {
    let mut backup = BackupFile::open(file)?;
    let mut erasures = Vec::new();
    while let Some(records) = backup.next_page(&mut |_| {})? {
        let is_erasure = |kind| matches!(kind, RecordKind::ErasureKey | RecordKind::Erasure);
        erasures.extend(records.into_iter().filter(|record| is_erasure(record.kind)));
    }
    backup.finish()?;
    Ok(erasures)
}

/// Backup file that is read page by page.
struct BackupFile {
    path: String,
    file: Box<dyn Read + Send>,
    reader: BackupReader,
    bytes_read: u64,
}

impl BackupFile {
    fn open(file: &Path) -> Result<Self, RestoreError> {
        let path = file.display().to_string();
        let file: Box<dyn Read + Send> = if path == STANDARD_INPUT {
            Box::new(io::stdin())
        } else {
            Box::new(File::open(file).map_err(|source| RestoreError::Read { path: path.clone(), source })?)
        };
        Ok(Self { path, file, reader: BackupReader::new(), bytes_read: 0 })
    }

    fn next_page(&mut self, progress: &mut dyn FnMut(u64)) -> Result<Option<Vec<BackupRecord>>, RestoreError> {
        let Self { path, file, reader, bytes_read } = self;
        let mut buffer = vec![0; READ_BYTES];
        loop {
            let page = reader.next_page().map_err(|source| RestoreError::Backup { path: path.clone(), source })?;
            if page.is_some() {
                return Ok(page);
            }
            let read = file.read(&mut buffer).map_err(|source| RestoreError::Read { path: path.clone(), source })?;
            if read == 0 {
                return Ok(None);
            }
            reader.push(&buffer[..read]);
            *bytes_read += read as u64;
            progress(*bytes_read);
        }
    }

    fn finish(self) -> Result<BackupSummary, RestoreError> {
        let Self { path, reader, .. } = self;
        reader.finish().map_err(|source| RestoreError::Backup { path, source })
    }
}
