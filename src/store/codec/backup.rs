//! The parts of a backup: a preamble with the store format, then blocks. Each block is framed like every other stored value
//! and prefixed with its length.
//!
//! ```text
//! tactful backup 3\n                     preamble with the store format
//! length (4 bytes, little endian), head  creation time and version of tactful
//! length, records                        some 64 KiB of them
//! ...
//! length, end                            number of records, their digest, SHA-256 of all bytes before this block
//! ```

use serde::{Deserialize, Serialize, Serializer};

use super::frame::{self, CodecError};
use super::scalar::timestamp;
use super::store_format::STORE_FORMAT;
use crate::domain::time::Timestamp;
use crate::store::backup::record::{BackupRecord, RecordKind};
use crate::store::contract::error::StoreError;

/// First bytes of a backup. The format number and a line feed follow; format 1 had the line feed alone.
pub const MAGIC: &str = "tactful backup";
/// Maximum length of the preamble, in bytes.
pub const PREAMBLE_BYTES_MAX: usize = 32;
/// Size of the length prefix of each block, in bytes.
pub const LENGTH_BYTES: usize = 4;

const VERSION: u8 = 1;
const RECORD: &str = "backup";

/// One block of a backup.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Block {
    /// The first block.
    Head {
        /// When the backup was started.
        created_at: Timestamp,
        /// Version of tactful that wrote it.
        made_by: String,
    },
    /// Any number of blocks of records.
    Records(Vec<BackupRecord>),
    /// The last block.
    End {
        /// Total number of records.
        records: u64,
        /// Digest of the store that consists of the records.
        digest: u64,
        /// SHA-256 of everything before this block.
        sha256: [u8; 32],
    },
}

#[derive(Serialize, Deserialize)]
enum StoredBlockV1<'bytes> {
    Head {
        created_at: i64,
        made_by: String,
    },
    #[serde(borrow)]
    Records(Vec<StoredRecord<'bytes>>),
    End {
        records: u64,
        digest: u64,
        sha256: [u8; 32],
    },
}

#[derive(Serialize, Deserialize)]
struct StoredRecord<'bytes> {
    kind: RecordKind,
    #[serde(serialize_with = "serialize_bytes")]
    key: &'bytes [u8],
    #[serde(serialize_with = "serialize_bytes")]
    value: &'bytes [u8],
}

/// Serializes a slice in one piece, where serde goes byte by byte by default; the output is the same.
#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde passes fields so")]
fn serialize_bytes<S: Serializer>(bytes: &&[u8], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_bytes(bytes)
}

/// Encodes the preamble.
pub fn encode_preamble() -> Vec<u8> {
    format!("{MAGIC} {STORE_FORMAT}\n").into_bytes()
}

/// Encodes a block with its length prefix.
pub fn encode_block(block: &Block) -> Result<Vec<u8>, StoreError> {
    let stored = match block {
        Block::Head { created_at, made_by } => {
            StoredBlockV1::Head { created_at: created_at.unix_ms(), made_by: made_by.clone() }
        }
        Block::Records(records) => StoredBlockV1::Records(
            records.iter().map(|BackupRecord { kind, key, value }| StoredRecord { kind: *kind, key, value }).collect(),
        ),
        Block::End { records, digest, sha256 } => {
            StoredBlockV1::End { records: *records, digest: *digest, sha256: *sha256 }
        }
    };
    let content = frame::encode(VERSION, &stored).map_err(|error| error.into_store_error(RECORD))?;
    let too_large = |_| CodecError("a block is larger than 4 GiB".to_owned()).into_store_error(RECORD);
    let length = u32::try_from(content.len()).map_err(too_large)?;
    Ok([&length.to_le_bytes()[..], &content].concat())
}

/// Decodes a block, given without its length prefix.
pub fn decode_block(content: &[u8]) -> Result<Block, StoreError> {
    let read = || {
        Ok(match frame::decode_all::<StoredBlockV1<'_>>(frame::check(VERSION, content)?)? {
            StoredBlockV1::Head { created_at, made_by } => Block::Head { created_at: timestamp(created_at)?, made_by },
            StoredBlockV1::Records(records) => Block::Records(
                records
                    .into_iter()
                    .map(|StoredRecord { kind, key, value }| BackupRecord {
                        kind,
                        key: key.to_vec(),
                        value: value.to_vec(),
                    })
                    .collect(),
            ),
            StoredBlockV1::End { records, digest, sha256 } => Block::End { records, digest, sha256 },
        })
    };
    read().map_err(|error: CodecError| error.into_store_error(RECORD))
}
