//! Watermark of the last completed flush, stored in a file beside the log.
//!
//! sled cannot distinguish a flipped bit near the end of its log from a write that a crash cut off: it silently discards that
//! record and all after it, acknowledged writes included. So every flush has a number. It is stored in the log before the
//! flush, after all writes that the flush covers, and written to a file of its own after the flush. If a start finds a higher
//! number in the file than in the log, part of the log is missing, and the store does not open.
//!
//! The file is not synced with each flush. After a power loss it may be behind, never ahead.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::FileExt;
use std::path::Path;

use sled::Tree;

use crate::store::contract::error::StoreError;

/// Name of the file with the number of the last flush.
pub(super) const FILE: &str = "durable";
/// Key of that number in `meta`.
const KEY: &str = "flushes";
/// Length of the file: the number and its checksum, little endian.
const FILE_BYTES: usize = 8 + 4;

/// Number of the last flush, in the log and in the file.
pub(super) struct FlushWatermark {
    meta: Tree,
    file: File,
    flush: u64,
}

impl FlushWatermark {
    /// Continues from the number in the log, which [`require_reached`] has checked.
    pub fn open(meta: &Tree, directory: &Path) -> Result<Self, StoreError> {
        let failed = |error: io::Error| StoreError::Failed { detail: format!("{FILE}: {error}") };
        let file =
            File::options().create(true).truncate(false).write(true).open(directory.join(FILE)).map_err(failed)?;
        file.sync_all().and_then(|()| File::open(directory)?.sync_all()).map_err(failed)?;
        Ok(Self { meta: meta.clone(), file, flush: number_in_log(meta)? })
    }

    /// Stores the number of the next flush in the log. Call after all writes that it must cover.
    pub fn announce(&mut self) -> sled::Result<()> {
        self.flush += 1;
        self.meta.insert(KEY, &self.flush.to_le_bytes()).map(drop)
    }

    /// Writes the number of the last announced flush to the file. Call after that flush succeeded.
    pub fn reach(&self) -> io::Result<()> {
        let number = self.flush.to_le_bytes();
        let content = [&number[..], &crc32fast::hash(&number).to_le_bytes()].concat();
        self.file.write_all_at(&content, 0)
    }
}

/// Fails when the number in the log is lower than the one in the file.
pub(super) fn require_reached(meta: &Tree, directory: &Path) -> Result<(), StoreError> {
    let (reached, acknowledged) = (number_in_log(meta)?, number_in_file(directory)?);
    if reached >= acknowledged {
        return Ok(());
    }
    let detail = format!(
        "the log ends with flush {reached}, and flush {acknowledged} was acknowledged: it is damaged, or older than the file \
         `{FILE}` beside it; restore a backup"
    );
    Err(StoreError::Damaged { what: "log", detail })
}

fn number_in_log(meta: &Tree) -> Result<u64, StoreError> {
    let bytes = meta.get(KEY).map_err(|error| StoreError::Failed { detail: error.to_string() })?;
    let number = bytes.map(|bytes| bytes.as_ref().try_into().map(u64::from_le_bytes)).transpose();
    let damaged = |_| StoreError::Damaged { what: "number of flushes", detail: "unexpected length".to_owned() };
    Ok(number.map_err(damaged)?.unwrap_or(0))
}

/// Reads the number in the file; 0 when the file is missing or empty, as in stores of earlier versions.
fn number_in_file(directory: &Path) -> Result<u64, StoreError> {
    let mut content = Vec::new();
    match File::open(directory.join(FILE)).and_then(|mut file| file.read_to_end(&mut content)) {
        Ok(0) => return Ok(0),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(0),
        Ok(_) => {}
        Err(error) => return Err(StoreError::Failed { detail: format!("{FILE}: {error}") }),
    }
    let damaged = || StoreError::Damaged { what: "file `durable`", detail: "does not match its checksum".to_owned() };
    let content: [u8; FILE_BYTES] = content.try_into().map_err(|_| damaged())?;
    let (number, checksum) = content.split_at(8);
    let number: [u8; 8] = number.try_into().map_err(|_| damaged())?;
    if crc32fast::hash(&number).to_le_bytes() == checksum { Ok(u64::from_le_bytes(number)) } else { Err(damaged()) }
}
