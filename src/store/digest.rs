//! A digest of a whole store that does not depend on the order in which it is read.
//!
//! Each record is hashed by itself and the hashes are added up, so backends may go through their records as they like.

use sha2::{Digest as _, Sha256};

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

    /// Adds the records of another digest.
    pub fn merge(&mut self, other: &Self) {
        self.0 = self.0.wrapping_add(other.0);
    }

    /// The digest.
    pub fn value(&self) -> u64 {
        self.0
    }
}
