//! Keyed hash of an erased customer's id, which blocks a re-import.
//!
//! The hash is HMAC-SHA-256 (RFC 2104) under a random key of the store's own. With the store's files, which contain the key, a
//! guess of an id can be tested; with the hash alone it cannot, and hashes of two stores cannot be compared.

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use crate::domain::ids::CustomerId;

/// Length of a key and of a hash, in bytes.
pub(super) const HASH_BYTES: usize = 32;

/// Key under which a store hashes the ids of erased customers.
#[derive(Clone)]
pub(super) struct ErasureKey([u8; HASH_BYTES]);

impl ErasureKey {
    /// Generates a key from the random numbers of the operating system.
    pub fn random() -> Self {
        let mut key = [0; HASH_BYTES];
        getrandom::fill(&mut key).expect("the operating system provides random numbers");
        Self(key)
    }

    /// Converts a stored key; `None` when it has another length.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Self)
    }

    /// Returns the key as it is stored.
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// Hashes the id of a customer.
    pub fn hash(&self, customer: &CustomerId) -> [u8; HASH_BYTES] {
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.0).expect("HMAC takes keys of any length");
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
