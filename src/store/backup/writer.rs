//! Writes a backup, block by block.

use sha2::{Digest as _, Sha256};

use super::record::BackupRecord;
use crate::domain::time::Timestamp;
use crate::store::codec::backup::{Block, MAGIC, encode_block};
use crate::store::contract::StoreError;
use crate::store::digest::StoreDigest;

/// A backup being written. What each step returns is to be sent in that order.
pub struct BackupWriter {
    hash: Sha256,
    digest: StoreDigest,
    records: u64,
}

impl BackupWriter {
    /// Begins a backup, and returns its first bytes.
    pub fn begin(created_at: Timestamp) -> Result<(Self, Vec<u8>), StoreError> {
        let mut writer = Self { hash: Sha256::new(), digest: StoreDigest::default(), records: 0 };
        let head = Block::Head { created_at, made_by: env!("CARGO_PKG_VERSION").to_owned() };
        let bytes = [MAGIC, &encode_block(&head)?].concat();
        writer.hash.update(&bytes);
        Ok((writer, bytes))
    }

    /// The bytes of these records.
    ///
    /// # Errors
    /// When one of them does not read: what is damaged in the store is told, not copied.
    pub fn page(&mut self, records: Vec<BackupRecord>) -> Result<Vec<u8>, StoreError> {
        for record in &records {
            record.check()?;
            self.digest.enter_record(record)?;
        }
        self.records += records.len() as u64;
        let bytes = encode_block(&Block::Records(records))?;
        self.hash.update(&bytes);
        Ok(bytes)
    }

    /// The last bytes.
    pub fn end(self) -> Result<Vec<u8>, StoreError> {
        let Self { hash, digest, records } = self;
        encode_block(&Block::End { records, digest: digest.value(), sha256: hash.finalize().into() })
    }
}
