//! The blocks of a backup. Each is framed like every other stored value and prefixed with its length.
//!
//! ```text
//! tactful backup\n                       magic
//! length (4 bytes, little endian), head  creation time and version of tactful
//! length, records                        some 64 KiB of them
//! ...
//! length, end                            number of records, their digest, SHA-256 of all bytes before this block
//! ```

use serde::{Deserialize, Serialize, Serializer};

use super::frame::{self, CodecError};
use super::scalar::timestamp;
use crate::domain::time::Timestamp;
use crate::store::backup::record::{BackupRecord, RecordKind};
use crate::store::contract::StoreError;

/// First bytes of a backup.
pub const MAGIC: &[u8] = b"tactful backup\n";
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
        /// The version of tactful that made it.
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
enum StoredBlock<'bytes> {
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

/// Encodes a block with its length prefix.
pub fn encode_block(block: &Block) -> Result<Vec<u8>, StoreError> {
    let stored = match block {
        Block::Head { created_at, made_by } => {
            StoredBlock::Head { created_at: created_at.unix_ms(), made_by: made_by.clone() }
        }
        Block::Records(records) => StoredBlock::Records(
            records.iter().map(|BackupRecord { kind, key, value }| StoredRecord { kind: *kind, key, value }).collect(),
        ),
        Block::End { records, digest, sha256 } => {
            StoredBlock::End { records: *records, digest: *digest, sha256: *sha256 }
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
        Ok(match frame::decode_all::<StoredBlock<'_>>(frame::check(VERSION, content)?)? {
            StoredBlock::Head { created_at, made_by } => Block::Head { created_at: timestamp(created_at)?, made_by },
            StoredBlock::Records(records) => Block::Records(
                records
                    .into_iter()
                    .map(|StoredRecord { kind, key, value }| BackupRecord {
                        kind,
                        key: key.to_vec(),
                        value: value.to_vec(),
                    })
                    .collect(),
            ),
            StoredBlock::End { records, digest, sha256 } => Block::End { records, digest, sha256 },
        })
    };
    read().map_err(|error: CodecError| error.into_store_error(RECORD))
}
