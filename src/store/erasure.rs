//! What stays of a customer who was erased: a keyed hash of the id, which blocks a re-import.
//!
//! The hash is HMAC-SHA-256 (RFC 2104) under a random key of the store's own. Whoever holds the store's files and guesses an
//! id can test the guess; without the key nobody can, and hashes of two stores cannot be compared.

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use crate::domain::ids::CustomerId;

/// The bytes of a key and of a hash.
pub(super) const HASH_BYTES: usize = 32;

/// The key under which a store hashes the customers it erased.
#[derive(Clone)]
pub(super) struct ErasureKey([u8; HASH_BYTES]);

impl ErasureKey {
    /// A new random key: 244 random bits, as two random UUIDs have.
    pub fn random() -> Self {
        let halves = [uuid::Uuid::new_v4(), uuid::Uuid::new_v4()];
        let mut key = [0; HASH_BYTES];
        for (bytes, half) in key.chunks_mut(HASH_BYTES / 2).zip(halves) {
            bytes.copy_from_slice(half.as_bytes());
        }
        Self(key)
    }

    /// A key as it is stored; `None` when it has another length.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Self)
    }

    /// As it is stored.
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// What stays of the id.
    pub fn hash(&self, customer: &CustomerId) -> [u8; HASH_BYTES] {
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.0).expect("a key of any length will do");
        mac.update(customer.as_str().as_bytes());
        mac.finalize().into_bytes().into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hash_depends_on_key_and_id_alone() {
        let (ada, bob) = (CustomerId::new("ada").expect("valid"), CustomerId::new("bob").expect("valid"));
        let key = ErasureKey::random();
        let again = ErasureKey::from_bytes(key.bytes()).expect("as long");
        assert_eq!(key.hash(&ada), again.hash(&ada));
        assert_ne!(key.hash(&ada), key.hash(&bob));
        assert_ne!(key.hash(&ada), ErasureKey::random().hash(&ada));
        assert!(ErasureKey::from_bytes(b"short").is_none());
    }
}
