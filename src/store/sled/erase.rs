//! Erasure of customers. A marker that blocks the id is written first, then all records of the customer are removed, then the
//! marker is set to complete. The next start finishes an erasure that a crash interrupted.
//!
//! A customer's lock orders the two: commits and writes of cached rankings hold it shared, an erasure exclusively. So a commit
//! that started earlier has copied its outbox before the erasure starts, and one that starts later finds the marker.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use sled::{CompareAndSwapError, IVec, Tree};

use super::engine::SledEngine;
use super::failpoint::failpoint;
use super::scan::blocking;
use super::trees::{COMPACTION_KEY, ERASURE_KEY_KEY, Trees};
use crate::domain::ids::{CustomerId, OfferId};
use crate::domain::time::Timestamp;
use crate::store::codec::customer::decode_customer;
use crate::store::codec::erasure::{decode_erasure, encode_erasure};
use crate::store::codec::explicit_offer::{decode_volume, encode_volume};
use crate::store::contract::erasure::{ErasedRecords, Erasure, ErasureResult};
use crate::store::contract::error::StoreError;
use crate::store::contract::loaded_customer::LoadedCustomer;
use crate::store::erasure::{ErasureKey, HASH_BYTES};
use crate::store::keys::{customer_key, customer_of_key};

impl SledEngine {
    fn eraser(&self) -> Eraser<'_, impl Fn(sled::Error) -> StoreError> {
        Eraser { trees: &self.trees, failed: |error| self.committer.fail(&error) }
    }

    /// Returns the key under which this store hashes erased customers, creating it on first use.
    pub fn erasure_key(&self) -> Result<ErasureKey, StoreError> {
        let _write = self.committer.begin_write();
        self.eraser().key()
    }

    /// Returns the erasure of a customer; `None` when it was not erased.
    pub fn erasure_of(&self, customer: &CustomerId) -> Result<Option<Erasure>, StoreError> {
        // In most stores no customer is erased, so the hash is rarely needed.
        if self.trees.erased.is_empty() {
            return Ok(None);
        }
        let hash = self.eraser().key()?.hash(customer);
        let bytes = self.check(self.trees.erased.get(hash))?;
        bytes.map(|bytes| Ok(decode_erasure(&bytes)?.0)).transpose()
    }

    /// Reads a customer. The erasure is looked up only when nothing is stored, so a known customer costs one read.
    pub fn load_customer(&self, id: &CustomerId) -> Result<LoadedCustomer, StoreError> {
        if let Some(bytes) = self.check(self.trees.customers.get(customer_key(id)))? {
            return Ok(LoadedCustomer::Stored(decode_customer(&bytes)?));
        }
        Ok(self.erasure_of(id)?.map_or(LoadedCustomer::Unknown, LoadedCustomer::Erased))
    }

    /// Erases a customer, under its exclusive lock.
    pub async fn erase(self: &Arc<Self>, customer: &CustomerId, at: Timestamp) -> Result<ErasureResult, StoreError> {
        let key = customer_key(customer);
        let _lock = self.customer_locks.exclusive(&key).await;
        let customer = customer.clone();
        blocking(self, move |engine| engine.erase_locked(&customer, at)).await
    }

    fn erase_locked(&self, customer: &CustomerId, at: Timestamp) -> Result<ErasureResult, StoreError> {
        let _write = self.committer.begin_write();
        let (key, hash) = (customer_key(customer), self.eraser().key()?.hash(customer));
        let stored = self.check(self.trees.customers.get(&key))?;
        // A customer that does not decode is erased as well.
        let opted_out = stored.as_ref().and_then(|bytes| decode_customer(bytes).ok());
        let opted_out = opted_out.is_some_and(|customer| customer.value.consents.is_opted_out);
        let before = self.check(self.trees.erased.get(hash))?.map(|bytes| decode_erasure(&bytes)).transpose()?;
        let erasure = match before {
            Some((Erasure { at, was_opted_out }, _)) => Erasure { at, was_opted_out: was_opted_out || opted_out },
            None => Erasure { at, was_opted_out: opted_out },
        };
        self.check(self.trees.erased.insert(&hash[..], encode_erasure(&erasure, false)?))?;
        self.check(self.trees.meta.insert(COMPACTION_KEY, &[1]))?;
        failpoint!("store::erasure_marked", |_| Err(StoreError::Failed {
            detail: "stopped by a failpoint".to_owned()
        }));
        let removed = self.eraser().remove_all(customer)?;
        self.counters.customers.subtract_if(removed.was_stored);
        self.counters.events.subtract(removed.events);
        self.counters.decisions.subtract(removed.decisions);
        self.outbox_progress.forget(&key, u64::MAX);
        self.check(self.trees.erased.insert(&hash[..], encode_erasure(&erasure, true)?))?;
        Ok(ErasureResult { removed, erasure })
    }
}

/// Finishes erasures that a crash interrupted. Runs before the store accepts commits, and before records are counted.
pub(super) fn finish_erasures(trees: &Trees) -> Result<(), StoreError> {
    Eraser { trees, failed: |error: sled::Error| StoreError::Failed { detail: error.to_string() } }.finish()
}

/// Steps of an erasure that need only the trees, shared by erasing and by finishing interrupted erasures.
struct Eraser<'t, Fail> {
    trees: &'t Trees,
    failed: Fail,
}

impl<Fail: Fn(sled::Error) -> StoreError> Eraser<'_, Fail> {
    fn check<T>(&self, result: sled::Result<T>) -> Result<T, StoreError> {
        result.map_err(&self.failed)
    }

    /// Returns the erasure key of this store, creating it on first use.
    fn key(&self) -> Result<ErasureKey, StoreError> {
        loop {
            if let Some(bytes) = self.check(self.trees.meta.get(ERASURE_KEY_KEY))? {
                let damaged = || StoreError::Damaged { what: "erasure key", detail: "unexpected length".to_owned() };
                return ErasureKey::from_bytes(&bytes).ok_or_else(damaged);
            }
            let key = ErasureKey::random();
            let swapped = self.trees.meta.compare_and_swap(ERASURE_KEY_KEY, None::<&[u8]>, Some(key.bytes()));
            // If another thread was faster, the next iteration reads its key.
            self.check(swapped)?.ok();
        }
    }

    fn remove_all(&self, customer: &CustomerId) -> Result<ErasedRecords, StoreError> {
        let key = customer_key(customer);
        let was_stored = self.check(self.trees.customers.remove(&key))?.is_some();
        self.check(self.trees.cached_rankings.remove(&key))?;
        let events = self.remove_prefix(&self.trees.history, &key)?;
        let decisions = self.remove_prefix(&self.trees.decisions, &key)?;
        for record in &self.trees.volumes {
            let (offer, bytes) = self.check(record)?;
            self.settle_tokens(&offer, bytes, customer)?;
        }
        Ok(ErasedRecords { was_stored, events, decisions })
    }

    fn remove_prefix(&self, tree: &Tree, prefix: &[u8]) -> Result<u64, StoreError> {
        let mut removed = 0;
        for key in tree.scan_prefix(prefix).keys() {
            removed += u64::from(self.check(tree.remove(self.check(key)?))?.is_some());
        }
        Ok(removed)
    }

    /// Settles the customer's pending reservations of a volume: once its decisions are removed, recovery can no longer find
    /// out whether they were granted.
    fn settle_tokens(&self, key: &IVec, mut bytes: IVec, customer: &CustomerId) -> Result<(), StoreError> {
        let Ok(offer) = OfferId::new(String::from_utf8_lossy(key).into_owned()) else { return Ok(()) };
        loop {
            let mut volume = decode_volume(&offer, &bytes)?;
            let pending = volume.pending.iter().filter(|token| token.customer == *customer);
            let decisions: Vec<_> = pending.map(|token| token.decision).collect();
            if decisions.is_empty() {
                return Ok(());
            }
            for decision in decisions {
                volume.settle(decision);
            }
            let swapped = self.trees.volumes.compare_and_swap(key, Some(&bytes), Some(encode_volume(&volume)?));
            match self.check(swapped)? {
                Err(CompareAndSwapError { current: Some(current), .. }) => bytes = current,
                Ok(()) | Err(_) => return Ok(()),
            }
        }
    }

    fn finish(&self) -> Result<(), StoreError> {
        let mut unfinished: HashMap<[u8; HASH_BYTES], Erasure> = HashMap::new();
        for record in &self.trees.erased {
            let (hash, bytes) = self.check(record)?;
            let (erasure, is_complete) = decode_erasure(&bytes)?;
            if let Some(hash) = hash.first_chunk::<HASH_BYTES>().filter(|_| !is_complete) {
                unfinished.insert(*hash, erasure);
            }
        }
        if unfinished.is_empty() {
            return Ok(());
        }
        let erasure_key = self.key()?;
        let mut found: HashSet<CustomerId> = HashSet::new();
        for tree in [&self.trees.customers, &self.trees.history, &self.trees.decisions, &self.trees.cached_rankings] {
            for key in tree.iter().keys() {
                let customer = customer_of_key(&self.check(key)?);
                found.extend(customer.filter(|customer| unfinished.contains_key(&erasure_key.hash(customer))));
            }
        }
        for customer in &found {
            self.remove_all(customer)?;
        }
        if !found.is_empty() {
            // In a restored backup the flag is not set yet.
            self.check(self.trees.meta.insert(COMPACTION_KEY, &[1]))?;
        }
        for (hash, erasure) in &unfinished {
            self.check(self.trees.erased.insert(&hash[..], encode_erasure(erasure, true)?))?;
        }
        tracing::info!(customers = found.len(), "interrupted erasures finished");
        Ok(())
    }
}
