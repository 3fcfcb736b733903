//! Digest of a whole store, independent of the order in which its records are read.
//!
//! Each record is hashed by itself and the hashes are summed, so each backend may iterate in its own order.

use sha2::{Digest as _, Sha256};

use super::backup::record::{BackupRecord, RecordKind};
use super::codec::customer::{CustomerValue, encode_customer};
use super::codec::outbox::Outbox;
use super::contract::error::StoreError;

/// Kind of a record in the digest; it is hashed with the bytes, so that equal bytes of two kinds differ.
#[derive(Debug, Clone, Copy)]
pub(super) enum DigestKind {
    Customer = 1,
    Event = 2,
    Decision = 3,
    Product = 4,
    ExplicitOffer = 5,
    Volume = 6,
}

/// Sum of the hashes of the records added so far.
#[derive(Debug, Default)]
pub(super) struct StoreDigest(u64);

impl StoreDigest {
    /// Adds a record by its stored bytes.
    pub fn add(&mut self, kind: DigestKind, bytes: &[u8]) {
        let hash = Sha256::new().chain_update([kind as u8]).chain_update(bytes).finalize();
        let first = hash.iter().take(8).fold(0_u64, |sum, &byte| (sum << 8) | u64::from(byte));
        self.0 = self.0.wrapping_add(first);
    }

    /// Adds a record of a backup; kinds that the digest does not cover are ignored.
    pub fn add_record(&mut self, record: &BackupRecord) -> Result<(), StoreError> {
        let BackupRecord { kind, key, value } = record;
        match kind {
            RecordKind::Customer => {
                let body = CustomerValue::parse(value)?.body();
                self.add(DigestKind::Customer, &encode_customer(0, &body, &Outbox::default())?);
            }
            RecordKind::Event | RecordKind::AnonymousEvent => self.add(DigestKind::Event, value),
            RecordKind::Decision => self.add(DigestKind::Decision, value),
            RecordKind::Product => self.add(DigestKind::Product, value),
            RecordKind::ExplicitOffer => self.add(DigestKind::ExplicitOffer, value),
            RecordKind::Volume => self.add(DigestKind::Volume, &[&key[..], value].concat()),
            RecordKind::Policy
            | RecordKind::Activation
            | RecordKind::ModelChunk
            | RecordKind::ModelPointer
            | RecordKind::ErasureKey
            | RecordKind::Erasure
            | RecordKind::SweepWatermark => {}
        }
        Ok(())
    }

    /// Adds the records of another digest.
    pub fn merge(&mut self, other: &Self) {
        self.0 = self.0.wrapping_add(other.0);
    }

    pub fn value(&self) -> u64 {
        self.0
    }
}
