//! Keys of stored values, used by the sled backend and in backups. Keys of a customer's records start with the customer key.

use crate::domain::ids::{CustomerId, DecisionId, EventId};

/// Returns the length-prefixed id of a customer. Because of the prefix, no customer's key is a prefix of another's.
pub(super) fn customer_key(customer: &CustomerId) -> Vec<u8> {
    let id = customer.as_str().as_bytes();
    let length = u8::try_from(id.len()).expect("an id has at most 128 bytes");
    let mut key = Vec::with_capacity(1 + id.len() + 16);
    key.push(length);
    key.extend_from_slice(id);
    key
}

/// Returns the customer to whom a key of history or of the decision log belongs.
pub(super) fn customer_of_key(key: &[u8]) -> Option<CustomerId> {
    let (&length, rest) = key.split_first()?;
    let id = rest.get(..usize::from(length))?;
    CustomerId::new(std::str::from_utf8(id).ok()?).ok()
}

/// Returns the key of an event of a customer.
pub(super) fn event_key(customer_key: &[u8], event: &EventId) -> Vec<u8> {
    [customer_key, event.as_str().as_bytes()].concat()
}

/// Returns the key of a decision about a customer.
pub(super) fn decision_key(customer_key: &[u8], decision: DecisionId) -> Vec<u8> {
    [customer_key, &decision.bits().to_be_bytes()].concat()
}

/// Returns the key of a chunk of a model.
pub(super) fn chunk_key(generation: u64, index: u32) -> Vec<u8> {
    [&generation.to_be_bytes()[..], &index.to_be_bytes()].concat()
}

/// Returns the generation to which a chunk belongs.
pub(super) fn chunk_generation(key: &[u8]) -> Option<u64> {
    key.first_chunk::<8>().map(|bytes| u64::from_be_bytes(*bytes))
}
