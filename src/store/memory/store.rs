//! The in-memory store and its contents.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use async_trait::async_trait;

use crate::domain::cached_ranking::CachedRanking;
use crate::domain::customer::Customer;
use crate::domain::decision::Decision;
use crate::domain::event::Event;
use crate::domain::explicit_offer::{ExplicitOffer, Volume};
use crate::domain::ids::{CustomerId, DecisionId, EventId, OfferId, ProductId};
use crate::domain::product::Product;
use crate::domain::time::Timestamp;
use crate::store::contract::erasure::Erasure;
use crate::store::contract::error::StoreError;
use crate::store::contract::store::Store;
use crate::store::contract::stored_model::{StoredModel, TrainingMarker};
use crate::store::contract::stored_policy::{Activation, StoredPolicy};
use crate::store::contract::versioned::Versioned;
use crate::store::erasure::ErasureKey;

/// In-memory store; all data is lost when it is dropped.
#[derive(Debug, Default)]
pub struct MemoryStore {
    contents: Mutex<Contents>,
    pub(super) erasure_key: LazyErasureKey,
}

/// Erasure key, created on first use.
#[derive(Default)]
pub(super) struct LazyErasureKey(pub OnceLock<ErasureKey>);

impl std::fmt::Debug for LazyErasureKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ErasureKey(..)")
    }
}

#[derive(Debug, Clone, Default)]
pub(super) struct Contents {
    pub customers: BTreeMap<CustomerId, Versioned<Customer>>,
    /// By customer, then id; anonymous events (`None`) sort first.
    pub events: BTreeMap<(Option<CustomerId>, EventId), Event>,
    pub decisions: BTreeMap<(CustomerId, DecisionId), Decision>,
    pub cached_rankings: BTreeMap<CustomerId, CachedRanking>,
    pub products: BTreeMap<ProductId, Product>,
    /// By keyed hash of the customer's id.
    pub erased: BTreeMap<[u8; 32], Erasure>,
    pub offers: BTreeMap<OfferId, ExplicitOffer>,
    pub volumes: BTreeMap<OfferId, Volume>,
    pub model: Option<StoredModel>,
    pub training_marker: Option<TrainingMarker>,
    pub policies: BTreeMap<String, StoredPolicy>,
    pub activations: Vec<Activation>,
    /// Version of the customers that were removed while idle, the highest; a customer stored anew has a higher one.
    pub version_floor: u64,
    /// Time before which events were removed by the retention sweep.
    pub events_swept_before: Option<Timestamp>,
}

impl MemoryStore {
    /// Creates an empty store.
    pub fn new() -> Self {
        Self::default()
    }

    pub(super) fn hash(&self, customer: &CustomerId) -> [u8; 32] {
        self.erasure_key().hash(customer)
    }

    pub(super) fn erasure_key(&self) -> &ErasureKey {
        self.erasure_key.0.get_or_init(ErasureKey::random)
    }

    pub(super) fn contents(&self) -> MutexGuard<'_, Contents> {
        // No method panics half-way through a change, so a poisoned lock guards consistent contents.
        self.contents.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Contents {
    /// Number of the policy in force.
    pub fn policy_number(&self) -> u64 {
        self.activations.len() as u64
    }

    /// Whether a unit is left of the volume of an explicit offer; false when the offer is not stored.
    pub fn has_volume_left(&self, offer: &OfferId) -> bool {
        let used = self.volumes.get(offer).map_or(0, Volume::used);
        self.offers.get(offer).is_some_and(|offer| offer.volume_cap.is_none_or(|cap| used < cap))
    }
}

#[async_trait]
impl Store for MemoryStore {
    async fn durable(&self) -> Result<(), StoreError> {
        Ok(())
    }

    async fn failed(&self) -> StoreError {
        std::future::pending().await
    }

    async fn close(&self) -> Result<(), StoreError> {
        Ok(())
    }
}
