//! The blocks of a backup. Each is a value like all others, with format and checksum, behind its length.
//!
//! ```text
//! tactful backup\n                       what the file is
//! length (4 bytes, little endian), head  when it was made, and by which version
//! length, records                        some 64 KiB of them
//! ...
//! length, end                            how many records, their digest, the SHA-256 of all bytes before this block
//! ```

use serde::{Deserialize, Serialize, Serializer};

use super::frame;
use super::scalar::moment;
use crate::domain::time::Timestamp;
use crate::store::backup::record::{BackupRecord, RecordKind};
use crate::store::contract::StoreError;

/// What a backup begins with.
pub const MAGIC: &[u8] = b"tactful backup\n";
/// The bytes of the length before each block.
pub const LENGTH_BYTES: usize = 4;

const VERSION: u8 = 1;
const WHAT: &str = "backup";

/// A part of a backup.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Block {
    /// The first.
    Head {
        /// When the backup began.
        created_at: Timestamp,
        /// The version of tactful that made it.
        made_by: String,
    },
    /// Any number of these.
    Records(Vec<BackupRecord>),
    /// The last.
    End {
        /// Records in all.
        records: u64,
        /// The digest of the store that the records make.
        digest: u64,
        /// The hash of everything before this block.
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
    #[serde(serialize_with = "whole")]
    key: &'bytes [u8],
    #[serde(serialize_with = "whole")]
    value: &'bytes [u8],
}

/// As one piece; by default serde goes byte by byte. The bytes written are the same.
#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde passes fields so")]
fn whole<S: Serializer>(bytes: &&[u8], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_bytes(bytes)
}

/// Writes a block, its length before it.
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
    let content = frame::encode(VERSION, &stored).map_err(|unfit| unfit.of(WHAT))?;
    let too_long = |_| frame::Unfit("a block has over 4 GiB".to_owned()).of(WHAT);
    let length = u32::try_from(content.len()).map_err(too_long)?;
    Ok([&length.to_le_bytes()[..], &content].concat())
}

/// Reads a block, without the length before it.
pub fn decode_block(content: &[u8]) -> Result<Block, StoreError> {
    let read = || {
        Ok(match frame::whole::<StoredBlock<'_>>(frame::open(VERSION, content)?)? {
            StoredBlock::Head { created_at, made_by } => Block::Head { created_at: moment(created_at)?, made_by },
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
    read().map_err(|unfit: frame::Unfit| unfit.of(WHAT))
}
