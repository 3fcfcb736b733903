//! A digest of a whole store that does not depend on the order in which it is read.
//!
//! Each record is hashed by itself and the hashes are added up, so backends may go through their records as they like.

use sha2::{Digest as _, Sha256};

use super::backup::record::{BackupRecord, RecordKind};
use super::codec::customer::{CustomerValue, encode_customer};
use super::codec::outbox::Outbox;
use super::contract::StoreError;

/// The kinds of record, so that two kinds with equal bytes do not count as one.
#[derive(Debug, Clone, Copy)]
pub(super) enum Kind {
    Customer = 1,
    Event = 2,
    Decision = 3,
    Product = 4,
    ExplicitOffer = 5,
    Volume = 6,
}

/// The sum of the hashes of the records entered so far.
#[derive(Debug, Default)]
pub(super) struct StoreDigest(u64);

impl StoreDigest {
    /// Enters a record by its stored bytes.
    pub fn enter(&mut self, kind: Kind, bytes: &[u8]) {
        let hash = Sha256::new().chain_update([kind as u8]).chain_update(bytes).finalize();
        let first = hash.iter().take(8).fold(0_u64, |sum, &byte| (sum << 8) | u64::from(byte));
        self.0 = self.0.wrapping_add(first);
    }

    /// Enters a record of a backup; kinds that are in no digest change nothing.
    pub fn enter_record(&mut self, record: &BackupRecord) -> Result<(), StoreError> {
        let BackupRecord { kind, key, value } = record;
        match kind {
            RecordKind::Customer => {
                let body = CustomerValue::parse(value)?.body();
                self.enter(Kind::Customer, &encode_customer(0, &body, &Outbox::default())?);
            }
            RecordKind::Event | RecordKind::AnonymousEvent => self.enter(Kind::Event, value),
            RecordKind::Decision => self.enter(Kind::Decision, value),
            RecordKind::Product => self.enter(Kind::Product, value),
            RecordKind::ExplicitOffer => self.enter(Kind::ExplicitOffer, value),
            RecordKind::Volume => self.enter(Kind::Volume, &[&key[..], value].concat()),
            RecordKind::Policy
            | RecordKind::Activation
            | RecordKind::ModelChunk
            | RecordKind::ModelPointer
            | RecordKind::ErasureKey
            | RecordKind::Erasure => {}
        }
        Ok(())
    }

    /// Adds the records of another digest.
    pub fn merge(&mut self, other: &Self) {
        self.0 = self.0.wrapping_add(other.0);
    }

    /// The digest.
    pub fn value(&self) -> u64 {
        self.0
    }
}
