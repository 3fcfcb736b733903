//! Decodes a backup as its bytes arrive, and rejects an incomplete or damaged one.

use std::collections::BTreeMap;

use sha2::{Digest as _, Sha256};

use super::record::{BackupRecord, RecordKind};
use crate::domain::time::Timestamp;
use crate::store::codec::backup::{Block, LENGTH_BYTES, MAGIC, PREAMBLE_BYTES_MAX, decode_block};
use crate::store::codec::store_format::STORE_FORMAT;
use crate::store::digest::StoreDigest;

/// Maximum length of a block. Blocks have little more than 64 KiB, or than the largest record.
const BLOCK_BYTES_MAX: usize = 16 * 1024 * 1024;

/// Error returned when bytes are not a backup that can be restored.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// The first bytes are not those of a backup.
    #[error("this is not a backup of tactful")]
    NotABackup,
    /// Another version of tactful wrote the backup in another store format.
    #[error(
        "the backup has format {found}, but this version of tactful reads format {STORE_FORMAT} only: restore it with the \
         version that wrote it"
    )]
    OtherFormat {
        /// The format found.
        found: u32,
    },
    /// A block differs from what was written.
    #[error("the backup is damaged at byte {at}: {detail}")]
    Damaged {
        /// Offset of the damaged block.
        at: u64,
        /// The fault found.
        detail: String,
    },
    /// The end is missing.
    #[error("the backup is truncated: it ends at byte {at} without its last block")]
    Truncated {
        /// Number of bytes received.
        at: u64,
    },
}

/// Summary of a backup that was read to its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BackupSummary {
    /// When the backup was started.
    pub created_at: Timestamp,
    /// Version of tactful that wrote the backup.
    pub made_by: String,
    /// Digest of the store that consists of the records.
    pub digest: u64,
    /// Length of the backup, in bytes.
    pub bytes: u64,
    /// Number of records by kind.
    pub records: BTreeMap<RecordKind, u64>,
}

impl BackupSummary {
    /// Returns the number of records of a kind.
    pub fn count(&self, kind: RecordKind) -> u64 {
        self.records.get(&kind).copied().unwrap_or(0)
    }
}

/// Decoder of a backup: push bytes, take pages until there is none, and repeat to the end.
#[derive(Default)]
pub struct BackupReader {
    buffer: Vec<u8>,
    /// Number of bytes of `buffer` that are consumed.
    consumed: usize,
    /// Offset in the backup of the first byte that is not consumed.
    offset: u64,
    hash: Sha256,
    digest: StoreDigest,
    records: BTreeMap<RecordKind, u64>,
    has_preamble: bool,
    head: Option<(Timestamp, String)>,
    has_end: bool,
}

impl BackupReader {
    /// Creates a reader that has consumed nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// Appends the next bytes.
    pub fn push(&mut self, bytes: &[u8]) {
        self.buffer.drain(..self.consumed);
        self.consumed = 0;
        self.buffer.extend_from_slice(bytes);
    }

    /// Returns the next complete page of records; `None` when more bytes are needed, or none are left.
    ///
    /// # Errors
    /// When the bytes differ from what was written. Do not continue to read after an error.
    pub fn next_page(&mut self) -> Result<Option<Vec<BackupRecord>>, BackupError> {
        loop {
            let Some((block, bytes)) = self.next_block()? else { return Ok(None) };
            let at = self.offset;
            let damaged = |detail: &str| BackupError::Damaged { at, detail: detail.to_owned() };
            match block {
                _ if self.has_end => return Err(damaged("bytes follow the last block")),
                Block::Head { created_at, made_by } if self.head.is_none() => self.head = Some((created_at, made_by)),
                Block::Records(records) if self.head.is_some() => {
                    for record in &records {
                        let added = record.check().and_then(|()| self.digest.add_record(record));
                        added.map_err(|error| damaged(&error.to_string()))?;
                        *self.records.entry(record.kind).or_default() += 1;
                    }
                    self.consume(bytes);
                    return Ok(Some(records));
                }
                Block::End { records, digest, sha256 } if self.head.is_some() => {
                    let is_complete = records == self.records.values().sum::<u64>()
                        && digest == self.digest.value()
                        && sha256[..] == self.hash.clone().finalize()[..];
                    if !is_complete {
                        return Err(damaged("the records before the last block do not match it"));
                    }
                    self.has_end = true;
                }
                Block::Head { .. } | Block::Records(_) | Block::End { .. } => {
                    return Err(damaged("a block is out of order"));
                }
            }
            self.consume(bytes);
        }
    }

    /// Returns the summary once all bytes were read.
    ///
    /// # Errors
    /// When the end is missing, or bytes follow it.
    pub fn finish(mut self) -> Result<BackupSummary, BackupError> {
        if let Some(_page) = self.next_page()? {
            return Err(BackupError::Damaged { at: self.offset, detail: "records were not read".to_owned() });
        }
        let rest = self.buffer.len() - self.consumed;
        match self.head {
            Some((created_at, made_by)) if self.has_end && rest == 0 => Ok(BackupSummary {
                created_at,
                made_by,
                digest: self.digest.value(),
                bytes: self.offset,
                records: self.records,
            }),
            _ if self.has_end => {
                Err(BackupError::Damaged { at: self.offset, detail: "bytes follow the last block".to_owned() })
            }
            None if !self.has_preamble => Err(BackupError::NotABackup),
            _ => Err(BackupError::Truncated { at: self.offset + rest as u64 }),
        }
    }

    /// Decodes the next block without consuming it, and returns it with its length including the length prefix.
    fn next_block(&mut self) -> Result<Option<(Block, usize)>, BackupError> {
        if !self.has_preamble && !self.read_preamble()? {
            return Ok(None);
        }
        let rest = &self.buffer[self.consumed..];
        let Some((length, rest)) = rest.split_first_chunk::<LENGTH_BYTES>() else { return Ok(None) };
        let length = u32::from_le_bytes(*length) as usize;
        let damaged = |detail: String| BackupError::Damaged { at: self.offset, detail };
        if length > BLOCK_BYTES_MAX {
            return Err(damaged(format!("a block of {length} bytes is too large")));
        }
        let Some(content) = rest.get(..length) else { return Ok(None) };
        let block = decode_block(content).map_err(|error| damaged(error.to_string()))?;
        Ok(Some((block, LENGTH_BYTES + length)))
    }

    /// Consumes the preamble; returns false when more bytes are needed.
    fn read_preamble(&mut self) -> Result<bool, BackupError> {
        let known = self.buffer.len().min(MAGIC.len());
        if self.buffer[..known] != MAGIC.as_bytes()[..known] {
            return Err(BackupError::NotABackup);
        }
        let Some(line_feed) = self.buffer.iter().take(PREAMBLE_BYTES_MAX).position(|&byte| byte == b'\n') else {
            return if self.buffer.len() < PREAMBLE_BYTES_MAX { Ok(false) } else { Err(BackupError::NotABackup) };
        };
        match &self.buffer[MAGIC.len()..line_feed] {
            // Format 1 did not write its number.
            [] => return Err(BackupError::OtherFormat { found: 1 }),
            [b' ', number @ ..] => {
                let number = std::str::from_utf8(number).ok().and_then(|number| number.parse().ok());
                let found = number.ok_or(BackupError::NotABackup)?;
                if found != STORE_FORMAT {
                    return Err(BackupError::OtherFormat { found });
                }
            }
            [..] => return Err(BackupError::NotABackup),
        }
        self.has_preamble = true;
        self.consume(line_feed + 1);
        Ok(true)
    }

    fn consume(&mut self, bytes: usize) {
        self.hash.update(&self.buffer[self.consumed..self.consumed + bytes]);
        self.consumed += bytes;
        self.offset += bytes as u64;
    }
}
