//! Keeps prepared candidates. They are a cache: nobody waits until they are durable.

use super::engine::SledEngine;
use crate::domain::cached_ranking::CachedRanking;
use crate::domain::ids::CustomerId;
use crate::store::codec::cached_ranking::{decode_cached_ranking, encode_cached_ranking};
use crate::store::contract::error::StoreError;
use crate::store::contract::loaded_customer::LoadedCustomer;
use crate::store::keys::customer_key;

impl SledEngine {
    /// Keeps candidates of a stored customer; in turn with erasures, so that nothing comes back after one.
    pub async fn put_cached_ranking(&self, customer: &CustomerId, prepared: &CachedRanking) -> Result<(), StoreError> {
        let key = customer_key(customer);
        let bytes = encode_cached_ranking(prepared)?;
        let _lock = self.customer_locks.shared(&key).await;
        if self.healthy(self.trees.customers.contains_key(&key))? {
            self.healthy(self.trees.prepared.insert(key, bytes))?;
        }
        Ok(())
    }

    /// Removes the ranking of a customer.
    pub fn delete_cached_ranking(&self, customer: &CustomerId) -> Result<(), StoreError> {
        self.healthy(self.trees.prepared.remove(customer_key(customer))).map(drop)
    }

    /// Reads a customer with its cached ranking.
    pub fn load_customer_with_ranking(&self, id: &CustomerId) -> Result<LoadedCustomer, StoreError> {
        Ok(match self.load_customer(id)? {
            LoadedCustomer::Stored { customer, cached_ranking: _ } => {
                let cached_ranking = self.load_cached_ranking(&customer_key(id))?;
                LoadedCustomer::Stored { customer, cached_ranking }
            }
            not_stored @ (LoadedCustomer::Unknown | LoadedCustomer::Erased(_)) => not_stored,
        })
    }

    /// Reads them. What does not read is as good as nothing: it will be made again.
    pub fn load_cached_ranking(&self, customer_key: &[u8]) -> Result<Option<CachedRanking>, StoreError> {
        let bytes = self.healthy(self.trees.prepared.get(customer_key))?;
        Ok(bytes.and_then(|bytes| {
            let read = decode_cached_ranking(&bytes);
            read.inspect_err(|error| tracing::warn!(%error, "prepared candidates are made again")).ok()
        }))
    }
}
