//! The store in memory: for tests and demonstrations. Everything is gone when the process ends.
//!
//! One mutex guards everything, so each method is one step. Limits are those of the other backends, byte for byte: a
//! commit is encoded to know its size.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use async_trait::async_trait;
use tokio::sync::mpsc;

use super::backup::record::BackupRecord;
use super::codec::customer::{CustomerBody, encode_customer};
use super::codec::decision::encode_decision;
use super::codec::event::encode_event;
use super::codec::explicit_offer::{encode_explicit_offer, encode_volume};
use super::codec::held::{customer_as_json, decision_as_json, event_as_json, prepared_as_json};
use super::codec::outbox::Outbox;
use super::codec::product::encode_product;
use super::contract::{
    APPENDED_MAX, Activation, Appended, CUSTOMER_BYTES_MAX, CommitOutcome, Erased, Erasure, Forgotten, HeldPage,
    HeldPlace, Store, StoreCounts, StoreError, StoredModel, StoredPolicy, Versioned,
};
use super::digest::{DigestKind, StoreDigest};
use super::erasure::ErasureKey;
use super::ownership::require_event_of;
use crate::domain::cached_ranking::CachedRanking;
use crate::domain::customer::Customer;
use crate::domain::decision::Decision;
use crate::domain::event::Event;
use crate::domain::explicit_offer::{ExplicitOffer, Volume, VolumeToken};
use crate::domain::ids::{CustomerId, DecisionId, EventId, OfferId, ProductId};
use crate::domain::product::Product;
use crate::domain::time::Timestamp;

mod backup;

/// A store in memory.
#[derive(Debug, Default)]
pub struct MemoryStore {
    contents: Mutex<Contents>,
    erasure_key: LazyErasureKey,
}

/// Made when it is needed first.
#[derive(Default)]
struct LazyErasureKey(OnceLock<ErasureKey>);

impl std::fmt::Debug for LazyErasureKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ErasureKey(..)")
    }
}

#[derive(Debug, Clone, Default)]
struct Contents {
    customers: BTreeMap<CustomerId, Versioned<Customer>>,
    /// By customer, then id; `None` before all customers.
    events: BTreeMap<(Option<CustomerId>, EventId), Event>,
    decisions: BTreeMap<(CustomerId, DecisionId), Decision>,
    prepared: BTreeMap<CustomerId, CachedRanking>,
    products: BTreeMap<ProductId, Product>,
    /// By keyed hash of the id.
    erased: BTreeMap<[u8; 32], Erasure>,
    offers: BTreeMap<OfferId, ExplicitOffer>,
    volumes: BTreeMap<OfferId, Volume>,
    model: Option<StoredModel>,
    policies: BTreeMap<String, StoredPolicy>,
    activations: Vec<Activation>,
}

impl MemoryStore {
    /// An empty store.
    pub fn new() -> Self {
        Self::default()
    }

    fn hash(&self, customer: &CustomerId) -> [u8; 32] {
        self.erasure_key.0.get_or_init(ErasureKey::random).hash(customer)
    }

    fn contents(&self) -> MutexGuard<'_, Contents> {
        // No method leaves a change half made, so a panic elsewhere under the lock did not either.
        self.contents.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl Store for MemoryStore {
    async fn load_customer(&self, id: &CustomerId) -> Result<Option<Versioned<Customer>>, StoreError> {
        Ok(self.contents().customers.get(id).cloned())
    }

    async fn commit_customer(
        &self,
        expected: u64,
        customer: &Customer,
        appended: &Appended,
    ) -> Result<CommitOutcome, StoreError> {
        let version = expected + 1;
        let outbox = Outbox::of(version, &customer.id, appended)?;
        let bytes = encode_customer(version, &CustomerBody::of(customer)?, &outbox)?.len();
        let mut contents = self.contents();
        if expected == 0 && contents.erased.contains_key(&self.hash(&customer.id)) {
            return Ok(CommitOutcome::Erased);
        }
        if contents.customers.get(&customer.id).map_or(0, |stored| stored.version) != expected {
            return Ok(CommitOutcome::Conflict);
        }
        if bytes > CUSTOMER_BYTES_MAX || outbox.0.len() > APPENDED_MAX {
            return Ok(CommitOutcome::TooLarge { bytes });
        }
        contents.customers.insert(customer.id.clone(), Versioned { version, value: customer.clone() });
        let Appended { events, decision } = appended;
        for event in events {
            contents.events.insert((event.customer.clone(), event.id.clone()), event.clone());
        }
        if let Some(decision) = decision {
            contents.decisions.insert((customer.id.clone(), decision.id), decision.clone());
        }
        Ok(CommitOutcome::Committed { version })
    }

    async fn durable(&self) -> Result<(), StoreError> {
        Ok(())
    }

    async fn recorded(&self, customer: Option<&CustomerId>, events: &[EventId]) -> Result<Vec<bool>, StoreError> {
        let contents = self.contents();
        let is_known = |id: &EventId| contents.events.contains_key(&(customer.cloned(), id.clone()));
        Ok(events.iter().map(is_known).collect())
    }

    async fn erase_customer(&self, customer: &CustomerId, at: Timestamp) -> Result<Erased, StoreError> {
        let hash = self.hash(customer);
        let mut contents = self.contents();
        let stored = contents.customers.remove(customer);
        let opted_out = stored.as_ref().is_some_and(|stored| stored.value.consents.is_opted_out);
        let erasure = contents.erased.entry(hash).or_insert(Erasure { at, was_opted_out: false });
        erasure.was_opted_out |= opted_out;
        contents.prepared.remove(customer);
        let (events, decisions) = (contents.events.len(), contents.decisions.len());
        contents.events.retain(|(whose, _), _| whose.as_ref() != Some(customer));
        contents.decisions.retain(|(whose, _), _| whose != customer);
        for volume in contents.volumes.values_mut() {
            let pending: Vec<DecisionId> =
                volume.pending.iter().filter(|it| it.customer == *customer).map(|it| it.decision).collect();
            for decision in pending {
                volume.settle(decision);
            }
        }
        Ok(Erased {
            was_stored: stored.is_some(),
            events: (events - contents.events.len()) as u64,
            decisions: (decisions - contents.decisions.len()) as u64,
        })
    }

    async fn load_erasure(&self, customer: &CustomerId) -> Result<Option<Erasure>, StoreError> {
        Ok(self.contents().erased.get(&self.hash(customer)).copied())
    }

    async fn put_cached_ranking(&self, customer: &CustomerId, prepared: &CachedRanking) -> Result<(), StoreError> {
        let mut contents = self.contents();
        if contents.customers.contains_key(customer) {
            contents.prepared.insert(customer.clone(), prepared.clone());
        }
        Ok(())
    }

    async fn delete_cached_ranking(&self, customer: &CustomerId) -> Result<(), StoreError> {
        self.contents().prepared.remove(customer);
        Ok(())
    }

    async fn load_cached_ranking(&self, customer: &CustomerId) -> Result<Option<CachedRanking>, StoreError> {
        Ok(self.contents().prepared.get(customer).cloned())
    }

    async fn load_held(
        &self,
        customer: &CustomerId,
        place: HeldPlace,
        page_len: usize,
    ) -> Result<HeldPage, StoreError> {
        let contents = self.contents();
        let page_len = page_len.max(1);
        match place {
            HeldPlace::Profile => {
                let stored = contents.customers.get(customer).map(|stored| customer_as_json(&stored.value));
                let prepared = contents.prepared.get(customer).map(prepared_as_json);
                let records = stored.into_iter().chain(prepared).collect::<Result<_, _>>()?;
                Ok(HeldPage { records, next: Some(HeldPlace::Events { after: None }) })
            }
            HeldPlace::Events { after } => {
                let events = contents.events.iter().filter(|((whose, _), _)| whose.as_ref() == Some(customer));
                let events = events.filter(|((_, id), _)| after.as_ref().is_none_or(|after| id > after));
                let page: Vec<&Event> = events.map(|(_, event)| event).take(page_len).collect();
                let last = page.last().filter(|_| page.len() == page_len).map(|event| event.id.clone());
                let next =
                    last.map_or(HeldPlace::Decisions { after: None }, |id| HeldPlace::Events { after: Some(id) });
                let records = page.into_iter().map(event_as_json).collect::<Result<_, _>>()?;
                Ok(HeldPage { records, next: Some(next) })
            }
            HeldPlace::Decisions { after } => {
                let decisions = contents.decisions.iter().filter(|((whose, _), _)| whose == customer);
                let decisions = decisions.filter(|((_, id), _)| after.is_none_or(|after| *id > after));
                let page: Vec<&Decision> = decisions.map(|(_, decision)| decision).take(page_len).collect();
                let last = page.last().filter(|_| page.len() == page_len).map(|decision| decision.id);
                let records = page.into_iter().map(decision_as_json).collect::<Result<_, _>>()?;
                Ok(HeldPage { records, next: last.map(|id| HeldPlace::Decisions { after: Some(id) }) })
            }
        }
    }

    async fn forget_before(
        &self,
        events: Option<Timestamp>,
        decisions: Option<Timestamp>,
    ) -> Result<Forgotten, StoreError> {
        let mut contents = self.contents();
        let (all_events, all_decisions) = (contents.events.len(), contents.decisions.len());
        contents.events.retain(|_, event| events.is_none_or(|before| event.at >= before));
        contents.decisions.retain(|_, decision| decisions.is_none_or(|before| decision.at >= before));
        Ok(Forgotten {
            events: (all_events - contents.events.len()) as u64,
            decisions: (all_decisions - contents.decisions.len()) as u64,
        })
    }

    async fn append_anonymous(&self, events: &[Event]) -> Result<Vec<bool>, StoreError> {
        for event in events {
            require_event_of(None, event)?;
            encode_event(event)?;
        }
        let mut contents = self.contents();
        let mut were_new = Vec::with_capacity(events.len());
        for event in events {
            let key = (None, event.id.clone());
            let is_new = !contents.events.contains_key(&key);
            if is_new {
                contents.events.insert(key, event.clone());
            }
            were_new.push(is_new);
        }
        Ok(were_new)
    }

    async fn visit_history(
        &self,
        page_len: usize,
        visit: &mut (dyn FnMut(Vec<Event>) + Send),
    ) -> Result<(), StoreError> {
        use std::ops::Bound;
        let mut start = Bound::Unbounded;
        loop {
            let (page, last) = {
                let contents = self.contents();
                let entries: Vec<_> = contents.events.range((start, Bound::Unbounded)).take(page_len.max(1)).collect();
                let Some(&(last, _)) = entries.last() else { return Ok(()) };
                (entries.iter().map(|&(_, event)| event.clone()).collect(), last.clone())
            };
            visit(page);
            start = Bound::Excluded(last);
            tokio::task::yield_now().await;
        }
    }

    async fn visit_customers(
        &self,
        page_len: usize,
        visit: &mut (dyn FnMut(Vec<Customer>) + Send),
    ) -> Result<(), StoreError> {
        use std::ops::Bound;
        let mut start = Bound::Unbounded;
        loop {
            let page: Vec<Customer> = {
                let contents = self.contents();
                let customers = contents.customers.range((start, Bound::Unbounded)).take(page_len.max(1));
                customers.map(|(_, stored)| stored.value.clone()).collect()
            };
            let Some(last) = page.last().map(|customer| customer.id.clone()) else { return Ok(()) };
            visit(page);
            start = Bound::Excluded(last);
            tokio::task::yield_now().await;
        }
    }

    async fn visit_decisions(
        &self,
        page_len: usize,
        visit: &mut (dyn FnMut(Vec<Decision>) + Send),
    ) -> Result<(), StoreError> {
        use std::ops::Bound;
        let mut start = Bound::Unbounded;
        loop {
            let page: Vec<Decision> = {
                let contents = self.contents();
                let decisions = contents.decisions.range((start, Bound::Unbounded)).take(page_len.max(1));
                decisions.map(|(_, decision)| decision.clone()).collect()
            };
            let Some(last) = page.last().map(|decision| (decision.customer.clone(), decision.id)) else {
                return Ok(());
            };
            visit(page);
            start = Bound::Excluded(last);
            tokio::task::yield_now().await;
        }
    }

    async fn load_decision(&self, customer: &CustomerId, decision: DecisionId) -> Result<Option<Decision>, StoreError> {
        Ok(self.contents().decisions.get(&(customer.clone(), decision)).cloned())
    }

    async fn put_products(&self, products: &[Product]) -> Result<Vec<bool>, StoreError> {
        for product in products {
            encode_product(product)?;
        }
        let mut contents = self.contents();
        let put = |product: &Product| {
            let before = contents.products.insert(product.id.clone(), product.clone());
            before.as_ref() != Some(product)
        };
        Ok(products.iter().map(put).collect())
    }

    async fn delete_product(&self, id: &ProductId) -> Result<bool, StoreError> {
        Ok(self.contents().products.remove(id).is_some())
    }

    async fn load_products(&self) -> Result<Vec<Product>, StoreError> {
        Ok(self.contents().products.values().cloned().collect())
    }

    async fn put_offers(&self, offers: &[ExplicitOffer]) -> Result<Vec<bool>, StoreError> {
        for offer in offers {
            encode_explicit_offer(offer)?;
        }
        let mut contents = self.contents();
        let put =
            |offer: &ExplicitOffer| contents.offers.insert(offer.id.clone(), offer.clone()).as_ref() != Some(offer);
        Ok(offers.iter().map(put).collect())
    }

    async fn delete_offer(&self, id: &OfferId) -> Result<bool, StoreError> {
        Ok(self.contents().offers.remove(id).is_some())
    }

    async fn load_offers(&self) -> Result<Vec<ExplicitOffer>, StoreError> {
        Ok(self.contents().offers.values().cloned().collect())
    }

    async fn take_volume(&self, token: &VolumeToken, cap: u64) -> Result<bool, StoreError> {
        Ok(self.contents().volumes.entry(token.offer.clone()).or_default().take(token, cap))
    }

    async fn settle_volume(&self, offer: &OfferId, decision: DecisionId) -> Result<(), StoreError> {
        self.contents().volumes.entry(offer.clone()).or_default().settle(decision);
        Ok(())
    }

    async fn abandon_volume(&self, offer: &OfferId, decision: DecisionId) -> Result<(), StoreError> {
        self.contents().volumes.entry(offer.clone()).or_default().abandon(decision);
        Ok(())
    }

    async fn release_volume(&self, offer: &OfferId, decision: DecisionId) -> Result<(), StoreError> {
        self.contents().volumes.entry(offer.clone()).or_default().release(decision);
        Ok(())
    }

    async fn load_volume(&self, offer: &OfferId) -> Result<Volume, StoreError> {
        Ok(self.contents().volumes.get(offer).cloned().unwrap_or_default())
    }

    async fn load_volumes(&self) -> Result<Vec<(OfferId, Volume)>, StoreError> {
        let contents = self.contents();
        let taken = contents.volumes.iter().filter(|(_, volume)| **volume != Volume::default());
        Ok(taken.map(|(offer, volume)| (offer.clone(), volume.clone())).collect())
    }

    async fn put_model(&self, model: &StoredModel) -> Result<(), StoreError> {
        self.contents().model = Some(model.clone());
        Ok(())
    }

    async fn load_model(&self) -> Result<Option<StoredModel>, StoreError> {
        Ok(self.contents().model.clone())
    }

    async fn put_policy(&self, policy: &StoredPolicy) -> Result<bool, StoreError> {
        let mut contents = self.contents();
        let is_new = !contents.policies.contains_key(&policy.version);
        if is_new {
            contents.policies.insert(policy.version.clone(), policy.clone());
        }
        Ok(is_new)
    }

    async fn load_policies(&self) -> Result<Vec<StoredPolicy>, StoreError> {
        Ok(self.contents().policies.values().cloned().collect())
    }

    async fn append_activation(&self, activation: &Activation) -> Result<(), StoreError> {
        self.contents().activations.push(activation.clone());
        Ok(())
    }

    async fn load_activations(&self) -> Result<Vec<Activation>, StoreError> {
        Ok(self.contents().activations.clone())
    }

    async fn counts(&self) -> Result<StoreCounts, StoreError> {
        let contents = self.contents();
        Ok(StoreCounts {
            customers: contents.customers.len() as u64,
            products: contents.products.len() as u64,
            events: contents.events.len() as u64,
            decisions: contents.decisions.len() as u64,
        })
    }

    async fn back_up(&self, pages: mpsc::Sender<Vec<BackupRecord>>) -> Result<(), StoreError> {
        // One copy is one moment.
        let contents = self.contents().clone();
        backup::send(contents, self.erasure_key.0.get(), &pages).await
    }

    async fn restore(&self, records: Vec<BackupRecord>) -> Result<(), StoreError> {
        let mut contents = self.contents();
        for record in records {
            backup::enter(&mut contents, &self.erasure_key.0, record)?;
        }
        Ok(())
    }

    async fn digest(&self) -> Result<u64, StoreError> {
        let contents = self.contents();
        let mut digest = StoreDigest::default();
        for stored in contents.customers.values() {
            let body = CustomerBody::of(&stored.value)?;
            digest.add(DigestKind::Customer, &encode_customer(0, &body, &Outbox::default())?);
        }
        for event in contents.events.values() {
            digest.add(DigestKind::Event, &encode_event(event)?);
        }
        for decision in contents.decisions.values() {
            digest.add(DigestKind::Decision, &encode_decision(decision)?);
        }
        for product in contents.products.values() {
            digest.add(DigestKind::Product, &encode_product(product)?);
        }
        for offer in contents.offers.values() {
            digest.add(DigestKind::ExplicitOffer, &encode_explicit_offer(offer)?);
        }
        for (offer, volume) in contents.volumes.iter().filter(|(_, volume)| **volume != Volume::default()) {
            digest.add(DigestKind::Volume, &[offer.as_str().as_bytes(), &encode_volume(volume)?].concat());
        }
        Ok(digest.value())
    }
}
