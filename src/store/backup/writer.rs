//! Encodes a backup, block by block.

use sha2::{Digest as _, Sha256};

use super::record::BackupRecord;
use crate::domain::time::Timestamp;
use crate::store::codec::backup::{Block, encode_block, encode_preamble};
use crate::store::contract::error::StoreError;
use crate::store::digest::StoreDigest;

/// Encoder of a backup. The bytes that its methods return make the backup, in the order of the calls.
pub struct BackupWriter {
    hash: Sha256,
    digest: StoreDigest,
    records: u64,
}

impl BackupWriter {
    /// Starts a backup and returns its first bytes.
    pub fn start(created_at: Timestamp) -> Result<(Self, Vec<u8>), StoreError> {
        let mut writer = Self { hash: Sha256::new(), digest: StoreDigest::default(), records: 0 };
        let head = Block::Head { created_at, made_by: env!("CARGO_PKG_VERSION").to_owned() };
        let bytes = [encode_preamble(), encode_block(&head)?].concat();
        writer.hash.update(&bytes);
        Ok((writer, bytes))
    }

    /// Encodes a page of records.
    ///
    /// # Errors
    /// When a record cannot be decoded: damage in the store is reported, not copied.
    pub fn page(&mut self, records: Vec<BackupRecord>) -> Result<Vec<u8>, StoreError> {
        for record in &records {
            record.check()?;
            self.digest.add_record(record)?;
        }
        self.records += records.len() as u64;
        let bytes = encode_block(&Block::Records(records))?;
        self.hash.update(&bytes);
        Ok(bytes)
    }

    /// Encodes the last block.
    pub fn finish(self) -> Result<Vec<u8>, StoreError> {
        let Self { hash, digest, records } = self;
        encode_block(&Block::End { records, digest: digest.value(), sha256: hash.finalize().into() })
    }
}
