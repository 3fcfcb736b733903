//! Reads a backup as its bytes come in, and refuses what is not whole.

use std::collections::BTreeMap;

use sha2::{Digest as _, Sha256};

use super::record::{BackupRecord, RecordKind};
use crate::domain::time::Timestamp;
use crate::store::codec::backup::{Block, LENGTH_BYTES, MAGIC, decode_block};
use crate::store::digest::StoreDigest;

/// The longest block that is believed. Ours have little more than the largest record, or 64 KiB.
const BLOCK_BYTES_MAX: usize = 16 * 1024 * 1024;

/// Why bytes are not a backup that can be restored.
#[derive(Debug, thiserror::Error)]
pub enum BackupFault {
    /// It begins with something else.
    #[error("this is not a backup of tactful")]
    NotABackup,
    /// Something in it is not as it was written.
    #[error("the backup is damaged at byte {at}: {detail}")]
    Damaged {
        /// Where the damaged block begins.
        at: u64,
        /// What is wrong.
        detail: String,
    },
    /// Its end is missing.
    #[error("the backup ends at byte {at} without its last block: it was cut off")]
    CutOff {
        /// How much there is.
        at: u64,
    },
}

/// What a backup holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BackupSummary {
    /// When it was begun.
    pub created_at: Timestamp,
    /// The version of tactful that made it.
    pub made_by: String,
    /// The digest of the store that its records make.
    pub digest: u64,
    /// Its bytes.
    pub bytes: u64,
    /// Records by kind.
    pub records: BTreeMap<RecordKind, u64>,
}

impl BackupSummary {
    /// Records of a kind.
    pub fn count(&self, kind: RecordKind) -> u64 {
        self.records.get(&kind).copied().unwrap_or(0)
    }
}

/// A backup being read: push bytes, then take pages until there is none, and so on to the end.
#[derive(Default)]
pub struct BackupReader {
    waiting: Vec<u8>,
    /// How many bytes of `waiting` are read.
    taken: usize,
    /// Where the first byte not yet read lies in the backup.
    at: u64,
    hash: Sha256,
    digest: StoreDigest,
    records: BTreeMap<RecordKind, u64>,
    has_magic: bool,
    head: Option<(Timestamp, String)>,
    has_end: bool,
}

impl BackupReader {
    /// Nothing read yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds the next bytes.
    pub fn push(&mut self, bytes: &[u8]) {
        self.waiting.drain(..self.taken);
        self.taken = 0;
        self.waiting.extend_from_slice(bytes);
    }

    /// The next records that are whole; `None` when more bytes are needed, or none are left.
    ///
    /// # Errors
    /// When something is not as it was written. Nothing more is to be read then.
    pub fn next_page(&mut self) -> Result<Option<Vec<BackupRecord>>, BackupFault> {
        loop {
            let Some((block, bytes)) = self.next_block()? else { return Ok(None) };
            let at = self.at;
            let damaged = |detail: &str| BackupFault::Damaged { at, detail: detail.to_owned() };
            match block {
                _ if self.has_end => return Err(damaged("something follows its last block")),
                Block::Head { created_at, made_by } if self.head.is_none() => self.head = Some((created_at, made_by)),
                Block::Records(records) if self.head.is_some() => {
                    for record in &records {
                        let entered = record.check().and_then(|()| self.digest.enter_record(record));
                        entered.map_err(|error| damaged(&error.to_string()))?;
                        *self.records.entry(record.kind).or_default() += 1;
                    }
                    self.pass(bytes);
                    return Ok(Some(records));
                }
                Block::End { records, digest, sha256 } if self.head.is_some() => {
                    let is_whole = records == self.records.values().sum::<u64>()
                        && digest == self.digest.value()
                        && sha256[..] == self.hash.clone().finalize()[..];
                    if !is_whole {
                        return Err(damaged("what came before is not all that was written"));
                    }
                    self.has_end = true;
                }
                Block::Head { .. } | Block::Records(_) | Block::End { .. } => {
                    return Err(damaged("a block is out of place"));
                }
            }
            self.pass(bytes);
        }
    }

    /// What was read, once all was.
    ///
    /// # Errors
    /// When the end is missing, or something follows it.
    pub fn finish(mut self) -> Result<BackupSummary, BackupFault> {
        if let Some(_page) = self.next_page()? {
            return Err(BackupFault::Damaged { at: self.at, detail: "records were left unread".to_owned() });
        }
        let rest = self.waiting.len() - self.taken;
        match self.head {
            Some((created_at, made_by)) if self.has_end && rest == 0 => Ok(BackupSummary {
                created_at,
                made_by,
                digest: self.digest.value(),
                bytes: self.at,
                records: self.records,
            }),
            _ if self.has_end => {
                Err(BackupFault::Damaged { at: self.at, detail: "something follows its last block".to_owned() })
            }
            None if !self.has_magic => Err(BackupFault::NotABackup),
            _ => Err(BackupFault::CutOff { at: self.at + rest as u64 }),
        }
    }

    /// The next block and the bytes that it takes with its length, not yet passed.
    fn next_block(&mut self) -> Result<Option<(Block, usize)>, BackupFault> {
        if !self.has_magic {
            let known = self.waiting.len().min(MAGIC.len());
            if self.waiting[..known] != MAGIC[..known] {
                return Err(BackupFault::NotABackup);
            }
            if known < MAGIC.len() {
                return Ok(None);
            }
            self.has_magic = true;
            self.pass(MAGIC.len());
        }
        let rest = &self.waiting[self.taken..];
        let Some((length, rest)) = rest.split_first_chunk::<LENGTH_BYTES>() else { return Ok(None) };
        let length = u32::from_le_bytes(*length) as usize;
        let damaged = |detail: String| BackupFault::Damaged { at: self.at, detail };
        if length > BLOCK_BYTES_MAX {
            return Err(damaged(format!("a block claims {length} bytes")));
        }
        let Some(content) = rest.get(..length) else { return Ok(None) };
        let block = decode_block(content).map_err(|error| damaged(error.to_string()))?;
        Ok(Some((block, LENGTH_BYTES + length)))
    }

    fn pass(&mut self, bytes: usize) {
        self.hash.update(&self.waiting[self.taken..self.taken + bytes]);
        self.taken += bytes;
        self.at += bytes as u64;
    }
}
