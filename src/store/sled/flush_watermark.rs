//! How far the log was durable, written beside the log.
//!
//! sled cannot tell a bit that flipped near the end of its log from a write that a crash cut off: it takes what comes before for
//! all there is, and what was acknowledged after is gone without a word. So every flush has a number. It is stored before the
//! flush, behind everything that the flush covers, and written into a file of its own after it. A start that finds a higher
//! number in the file than in the store knows that some of the log is missing, and refuses.
//!
//! The file is not synced with each flush. After a power loss it may be behind, never ahead.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::FileExt;
use std::path::Path;

use sled::Tree;

use crate::store::contract::error::StoreError;

/// The file with the number of the last flush.
pub(super) const FILE: &str = "durable";
/// The key of that number in `meta`.
const KEY: &str = "flushes";
/// The number and its checksum, little endian.
const FILE_BYTES: usize = 8 + 4;

/// The numbers of flushes.
pub(super) struct FlushWatermark {
    meta: Tree,
    file: File,
    flush: u64,
}

impl FlushWatermark {
    /// Goes on where the store left off, which [`require_reached`] has checked.
    pub fn open(meta: &Tree, directory: &Path) -> Result<Self, StoreError> {
        let told = |error: io::Error| StoreError::Failed { detail: format!("{FILE}: {error}") };
        let file = File::options().create(true).truncate(false).write(true).open(directory.join(FILE)).map_err(told)?;
        file.sync_all().and_then(|()| File::open(directory)?.sync_all()).map_err(told)?;
        Ok(Self { meta: meta.clone(), file, flush: stored(meta)? })
    }

    /// Stores the number of the flush that comes next. Call when all that it must cover was written.
    pub fn announce(&mut self) -> sled::Result<()> {
        self.flush += 1;
        self.meta.insert(KEY, &self.flush.to_le_bytes()).map(drop)
    }

    /// Notes that the flush announced last ended well.
    pub fn reach(&self) -> io::Result<()> {
        let number = self.flush.to_le_bytes();
        let content = [&number[..], &crc32fast::hash(&number).to_le_bytes()].concat();
        self.file.write_all_at(&content, 0)
    }
}

/// Fails when the store has not reached what the file says.
pub(super) fn require_reached(meta: &Tree, directory: &Path) -> Result<(), StoreError> {
    let (reached, wanted) = (stored(meta)?, written(directory)?);
    if reached >= wanted {
        return Ok(());
    }
    let detail = format!(
        "the log ends with flush {reached}, and flush {wanted} was acknowledged: it is damaged, or older than the file \
         `{FILE}` beside it; restore a backup"
    );
    Err(StoreError::Damaged { what: "log", detail })
}

fn stored(meta: &Tree) -> Result<u64, StoreError> {
    let bytes = meta.get(KEY).map_err(|error| StoreError::Failed { detail: error.to_string() })?;
    let number = bytes.map(|bytes| bytes.as_ref().try_into().map(u64::from_le_bytes)).transpose();
    let damaged = |_| StoreError::Damaged { what: "number of flushes", detail: "is of another length".to_owned() };
    Ok(number.map_err(damaged)?.unwrap_or(0))
}

/// 0 where there is no file, or an empty one: stores of earlier versions have none.
fn written(directory: &Path) -> Result<u64, StoreError> {
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
