//! Cached rankings of customers. No caller waits until they are durable, because they can be computed again.

use super::engine::SledEngine;
use crate::domain::cached_ranking::CachedRanking;
use crate::domain::ids::CustomerId;
use crate::store::codec::cached_ranking::{decode_cached_ranking, encode_cached_ranking};
use crate::store::contract::error::StoreError;
use crate::store::keys::customer_key;

impl SledEngine {
    /// Writes the ranking of a stored customer. Holds the customer's lock, so that no ranking is written after an erasure.
    pub async fn put_cached_ranking(&self, customer: &CustomerId, ranking: &CachedRanking) -> Result<(), StoreError> {
        let key = customer_key(customer);
        let bytes = encode_cached_ranking(ranking)?;
        let _lock = self.customer_locks.shared(&key).await;
        if self.check(self.trees.customers.contains_key(&key))? {
            self.check(self.trees.cached_rankings.insert(key, bytes))?;
        }
        Ok(())
    }

    /// Removes the ranking of a customer.
    pub fn delete_cached_ranking(&self, customer: &CustomerId) -> Result<(), StoreError> {
        self.check(self.trees.cached_rankings.remove(customer_key(customer))).map(drop)
    }

    /// Reads the ranking of a customer. One that does not decode counts as missing: it will be computed again.
    pub fn load_cached_ranking(&self, customer_key: &[u8]) -> Result<Option<CachedRanking>, StoreError> {
        let bytes = self.check(self.trees.cached_rankings.get(customer_key))?;
        Ok(bytes.and_then(|bytes| {
            let read = decode_cached_ranking(&bytes);
            read.inspect_err(|error| tracing::warn!(%error, "cached ranking is unreadable and will be recomputed")).ok()
        }))
    }
}
