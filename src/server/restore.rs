//! Restores backups into data directories, and checks them. No server may be using the directory.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use crate::store::backup::reader::{BackupError, BackupReader, BackupSummary};
use crate::store::backup::record::{BackupRecord, RecordKind};
use crate::store::contract::counts::StoreCounts;
use crate::store::contract::error::StoreError;
use crate::store::sled::restore::Restoring;

/// Bytes read at once.
const READ_BYTES: usize = 64 * 1024;
/// The name that stands for standard input.
const STANDARD_INPUT: &str = "-";

/// Why a backup was not restored. The directory is as empty as it was.
#[derive(Debug, thiserror::Error)]
pub enum RestoreError {
    /// The file cannot be read.
    #[error("{path}: {reason}")]
    Read {
        /// The file.
        path: String,
        /// What the system said.
        reason: io::Error,
    },
    /// It is not a backup that is whole.
    #[error("{path}: {fault}")]
    Backup {
        /// The file.
        path: String,
        /// What is wrong with it.
        fault: BackupError,
    },
    /// The backup with more erasures is of another store: its hashes mean nothing in this one.
    #[error("{path}: is a backup of another store, whose erasures mean nothing in this one")]
    OtherStore {
        /// The file.
        path: String,
    },
    /// The directory cannot be written.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What was restored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Restored {
    /// What the backup held.
    pub backup: BackupSummary,
    /// What is stored now: less than the backup held where customers were erased since they were read.
    pub stored: StoreCounts,
}

/// Reads a backup to its end; `-` reads standard input. `progress` hears how many bytes were read so far.
///
/// # Errors
/// When it cannot be read or is not whole.
pub fn check_backup(file: &Path, progress: &mut dyn FnMut(u64)) -> Result<BackupSummary, RestoreError> {
    let mut pages = Pages::open(file)?;
    while pages.next(progress)?.is_some() {}
    pages.finish()
}

/// Reads a backup to its end and shows every record.
///
/// # Errors
/// When it cannot be read or is not whole, which may come to light after much was shown; and whatever `show` returns.
pub fn read_backup<E: From<RestoreError>>(
    file: &Path,
    progress: &mut dyn FnMut(u64),
    show: &mut dyn FnMut(BackupRecord) -> Result<(), E>,
) -> Result<(), E> {
    let mut pages = Pages::open(file)?;
    while let Some(records) = pages.next(progress)? {
        for record in records {
            show(record)?;
        }
    }
    pages.finish()?;
    Ok(())
}

/// Restores a backup into a directory that is empty or missing; `-` reads standard input. Customers who were erased according
/// to these later backups of the same store are erased as well.
///
/// # Errors
/// When the backup or the directory is not as it must be. Nothing is left in the directory then.
pub async fn restore_backup(
    file: &Path,
    erasures_of: &[PathBuf],
    directory: &Path,
    progress: &mut (dyn FnMut(u64) + Send),
) -> Result<Restored, RestoreError> {
    let restoring = Restoring::begin(directory).await?;
    match enter_all(&restoring, file, erasures_of, progress).await {
        Ok(backup) => {
            let stored = restoring.complete(backup.digest).await?;
            Ok(Restored { backup, stored })
        }
        Err(error) => {
            restoring.abandon().await;
            Err(error)
        }
    }
}

async fn enter_all(
    restoring: &Restoring,
    file: &Path,
    erasures_of: &[PathBuf],
    progress: &mut (dyn FnMut(u64) + Send),
) -> Result<BackupSummary, RestoreError> {
    let mut pages = Pages::open(file)?;
    let mut erasure_key = None;
    while let Some(records) = pages.next(progress)? {
        erasure_key = records.iter().find(|record| record.kind == RecordKind::ErasureKey).cloned().or(erasure_key);
        restoring.enter(records).await?;
    }
    let summary = pages.finish()?;
    for later in erasures_of {
        let erasures = erasures_in(later)?;
        let theirs = erasures.iter().find(|record| record.kind == RecordKind::ErasureKey).cloned();
        if theirs.is_some() && erasure_key.is_some() && theirs != erasure_key {
            return Err(RestoreError::OtherStore { path: later.display().to_string() });
        }
        erasure_key = erasure_key.or(theirs);
        restoring.enter(erasures).await?;
    }
    Ok(summary)
}

/// The key and the erasures of a backup.
fn erasures_in(file: &Path) -> Result<Vec<BackupRecord>, RestoreError> {
    let mut pages = Pages::open(file)?;
    let mut erasures = Vec::new();
    while let Some(records) = pages.next(&mut |_| {})? {
        let is_of_erasures = |kind| matches!(kind, RecordKind::ErasureKey | RecordKind::Erasure);
        erasures.extend(records.into_iter().filter(|record| is_of_erasures(record.kind)));
    }
    pages.finish()?;
    Ok(erasures)
}

/// The pages of a backup in a file.
struct Pages {
    path: String,
    file: Box<dyn Read + Send>,
    reader: BackupReader,
    bytes: u64,
}

impl Pages {
    fn open(file: &Path) -> Result<Self, RestoreError> {
        let path = file.display().to_string();
        let file: Box<dyn Read + Send> = if path == STANDARD_INPUT {
            Box::new(io::stdin())
        } else {
            Box::new(File::open(file).map_err(|reason| RestoreError::Read { path: path.clone(), reason })?)
        };
        Ok(Self { path, file, reader: BackupReader::new(), bytes: 0 })
    }

    fn next(&mut self, progress: &mut dyn FnMut(u64)) -> Result<Option<Vec<BackupRecord>>, RestoreError> {
        let Self { path, file, reader, bytes } = self;
        let mut buffer = vec![0; READ_BYTES];
        loop {
            let page = reader.next_page().map_err(|fault| RestoreError::Backup { path: path.clone(), fault })?;
            if page.is_some() {
                return Ok(page);
            }
            let read = file.read(&mut buffer).map_err(|reason| RestoreError::Read { path: path.clone(), reason })?;
            if read == 0 {
                return Ok(None);
            }
            reader.push(&buffer[..read]);
            *bytes += read as u64;
            progress(*bytes);
        }
    }

    fn finish(self) -> Result<BackupSummary, RestoreError> {
        let Self { path, reader, .. } = self;
        reader.finish().map_err(|fault| RestoreError::Backup { path, fault })
    }
}
