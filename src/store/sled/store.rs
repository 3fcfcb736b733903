//! The sled backend as the contract sees it.

use std::collections::HashSet;
use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use tokio::sync::{mpsc, watch};

use super::back_up::Releases;
use super::commit::Commit;
use super::committer::{Committer, Disk};
use super::copies::Copies;
use super::counters::Counters;
use super::erase::Turns;
use super::high_water::HighWater;
use super::inner::Inner;
use super::open::open_database;
use super::scan::blocking;
use crate::domain::cached_ranking::CachedRanking;
use crate::domain::customer::Customer;
use crate::domain::decision::Decision;
use crate::domain::event::Event;
use crate::domain::explicit_offer::{ExplicitOffer, Volume, VolumeToken};
use crate::domain::ids::{CustomerId, DecisionId, EventId, OfferId, ProductId};
use crate::domain::product::Product;
use crate::domain::time::Timestamp;
use crate::store::backup::record::BackupRecord;
use crate::store::codec::customer::{CustomerValue, decode_customer};
use crate::store::codec::decision::decode_decision;
use crate::store::codec::event::{decode_event, encode_event};
use crate::store::codec::outbox::OutboxItem;
use crate::store::codec::product::encode_product;
use crate::store::contract::{
    Activation, Appended, CommitOutcome, Erased, Erasure, Forgotten, HeldPage, HeldPlace, Store, StoreCounts,
    StoreError, StoredModel, StoredPolicy, Versioned,
};
use crate::store::keys::{customer_key, decision_key, event_key};
use crate::store::ownership::require_event_of;

/// A store in a directory on local disk. Dropping it flushes and releases the directory; [`SledStore::close`] does the
/// same without blocking the caller's thread.
pub struct SledStore {
    inner: Arc<Inner>,
}

impl SledStore {
    /// Opens the store in this directory, creating it where missing; its parent must exist. Finishes what a crash left
    /// unfinished and counts everything, so this takes longer the more is stored.
    pub async fn open(directory: impl AsRef<Path>) -> Result<Self, StoreError> {
        let directory = directory.as_ref().to_owned();
        let opened = tokio::task::spawn_blocking(move || Inner::open(&directory)).await;
        // sled panics on some kinds of corruption; that must not look like anything but a failure to open.
        let inner =
            opened.unwrap_or_else(|error| Err(StoreError::Failed { detail: format!("opening died: {error}") }))?;
        Ok(Self { inner: Arc::new(inner) })
    }

    /// Makes everything durable and ends the background thread. Later calls that need it fail.
    pub async fn close(&self) -> Result<(), StoreError> {
        blocking(&self.inner, |inner| {
            inner.committer.close();
            inner.committer.check()
        })
        .await
    }

    /// True once the disk or sled failed. Only a restart helps.
    pub fn is_failed(&self) -> bool {
        self.inner.committer.check().is_err()
    }

    /// Tells when and why the store fails; `None` until then.
    pub fn failure(&self) -> watch::Receiver<Option<String>> {
        self.inner.committer.failure()
    }
}

impl Drop for SledStore {
    fn drop(&mut self) {
        self.inner.committer.close();
    }
}

impl Inner {
    fn open(directory: &Path) -> Result<Self, StoreError> {
        let (db, trees) = open_database(directory)?;
        let at = |error: std::io::Error| StoreError::Failed { detail: format!("{}: {error}", directory.display()) };
        let mut disk = Disk::open(db.clone(), directory).map_err(at)?;
        let high_water = HighWater::open(&trees.meta, directory)?;
        let inner = Self {
            trees,
            committer: Committer::start(db, directory, high_water).map_err(at)?,
            copies: Copies::default(),
            counters: Counters::default(),
            turns: Turns::default(),
            model_turn: tokio::sync::Mutex::default(),
            releases: Releases::default(),
        };
        inner.sweep(&mut disk)?;
        Ok(inner)
    }

    fn waiting_events(&self, customer_key: &[u8]) -> Result<HashSet<EventId>, StoreError> {
        let mut waiting = HashSet::new();
        let Some(bytes) = self.healthy(self.trees.customers.get(customer_key))? else { return Ok(waiting) };
        for entry in CustomerValue::parse(&bytes)?.outbox.0 {
            if let OutboxItem::Event(bytes) = entry.item {
                waiting.insert(decode_event(&bytes)?.id);
            }
        }
        Ok(waiting)
    }

    /// The outbox is read before history: an entry leaves it only after it was copied.
    fn recorded(&self, customer: &CustomerId, events: &[EventId]) -> Result<Vec<bool>, StoreError> {
        let key = customer_key(customer);
        let waiting = self.waiting_events(&key)?;
        let mut known = Vec::with_capacity(events.len());
        for id in events {
            known.push(waiting.contains(id) || self.healthy(self.trees.history.contains_key(event_key(&key, id)))?);
        }
        Ok(known)
    }

    fn load_decision(&self, customer: &CustomerId, decision: DecisionId) -> Result<Option<Decision>, StoreError> {
        let key = customer_key(customer);
        if let Some(bytes) = self.healthy(self.trees.customers.get(&key))? {
            for entry in CustomerValue::parse(&bytes)?.outbox.0 {
                if let OutboxItem::Decision(bytes) = entry.item {
                    let waiting = decode_decision(&bytes)?;
                    if waiting.id == decision {
                        return Ok(Some(waiting));
                    }
                }
            }
        }
        let bytes = self.healthy(self.trees.decisions.get(decision_key(&key, decision)))?;
        bytes.map(|bytes| decode_decision(&bytes)).transpose()
    }

    fn append_anonymous(&self, events: &[Event]) -> Result<Vec<bool>, StoreError> {
        let mut encoded = Vec::with_capacity(events.len());
        for event in events {
            require_event_of(None, event)?;
            encoded.push((event.id.as_str(), encode_event(event)?));
        }
        let _write = self.committer.begin_write();
        let mut were_new = Vec::with_capacity(events.len());
        for (id, bytes) in encoded {
            let swapped = self.trees.anonymous.compare_and_swap(id, None::<&[u8]>, Some(bytes));
            let is_new = self.healthy(swapped)?.is_ok();
            self.counters.events.add_if(is_new);
            were_new.push(is_new);
        }
        Ok(were_new)
    }

    fn put_products(&self, products: &[Product]) -> Result<Vec<bool>, StoreError> {
        let mut encoded = Vec::with_capacity(products.len());
        for product in products {
            encoded.push((product.id.as_str(), encode_product(product)?));
        }
        let _write = self.committer.begin_write();
        let mut changes = Vec::with_capacity(encoded.len());
        for (id, bytes) in encoded {
            let before = self.healthy(self.trees.products.insert(id, bytes.as_slice()))?;
            self.counters.products.add_if(before.is_none());
            changes.push(before.is_none_or(|before| before != bytes));
        }
        Ok(changes)
    }

    fn delete_product(&self, id: &ProductId) -> Result<bool, StoreError> {
        let _write = self.committer.begin_write();
        let was_there = self.healthy(self.trees.products.remove(id.as_str()))?.is_some();
        self.counters.products.subtract_if(was_there);
        Ok(was_there)
    }
}

#[async_trait]
impl Store for SledStore {
    async fn load_customer(&self, id: &CustomerId) -> Result<Option<Versioned<Customer>>, StoreError> {
        self.inner.committer.check()?;
        let bytes = self.inner.healthy(self.inner.trees.customers.get(customer_key(id)))?;
        bytes.map(|bytes| decode_customer(&bytes)).transpose()
    }

    async fn commit_customer(
        &self,
        expected: u64,
        customer: &Customer,
        appended: &Appended,
    ) -> Result<CommitOutcome, StoreError> {
        self.inner.committer.check()?;
        self.inner.commit(&Commit::of(expected, customer, appended)?).await
    }

    async fn durable(&self) -> Result<(), StoreError> {
        self.inner.committer.durable().await
    }

    async fn recorded(&self, customer: Option<&CustomerId>, events: &[EventId]) -> Result<Vec<bool>, StoreError> {
        self.inner.committer.check()?;
        if let Some(customer) = customer {
            return self.inner.recorded(customer, events);
        }
        let contains = |id: &EventId| self.inner.healthy(self.inner.trees.anonymous.contains_key(id.as_str()));
        events.iter().map(contains).collect()
    }

    async fn erase_customer(&self, customer: &CustomerId, at: Timestamp) -> Result<Erased, StoreError> {
        self.inner.committer.check()?;
        self.inner.erase(customer, at).await
    }

    async fn load_erasure(&self, customer: &CustomerId) -> Result<Option<Erasure>, StoreError> {
        self.inner.committer.check()?;
        self.inner.erasure_of(customer)
    }

    async fn put_cached_ranking(&self, customer: &CustomerId, prepared: &CachedRanking) -> Result<(), StoreError> {
        self.inner.committer.check()?;
        self.inner.put_cached_ranking(customer, prepared).await
    }

    async fn delete_cached_ranking(&self, customer: &CustomerId) -> Result<(), StoreError> {
        self.inner.committer.check()?;
        self.inner.healthy(self.inner.trees.prepared.remove(customer_key(customer))).map(drop)
    }

    async fn load_cached_ranking(&self, customer: &CustomerId) -> Result<Option<CachedRanking>, StoreError> {
        self.inner.committer.check()?;
        self.inner.load_cached_ranking(&customer_key(customer))
    }

    async fn load_held(
        &self,
        customer: &CustomerId,
        place: HeldPlace,
        page_len: usize,
    ) -> Result<HeldPage, StoreError> {
        self.inner.committer.check()?;
        self.inner.load_held(customer, place, page_len.max(1)).await
    }

    async fn forget_before(
        &self,
        events: Option<Timestamp>,
        decisions: Option<Timestamp>,
    ) -> Result<Forgotten, StoreError> {
        self.inner.committer.check()?;
        self.inner.forget_before(events, decisions).await
    }

    async fn append_anonymous(&self, events: &[Event]) -> Result<Vec<bool>, StoreError> {
        self.inner.committer.check()?;
        let events = events.to_vec();
        blocking(&self.inner, move |inner| inner.append_anonymous(&events)).await
    }

    async fn visit_customers(
        &self,
        page_len: usize,
        visit: &mut (dyn FnMut(Vec<Customer>) + Send),
    ) -> Result<(), StoreError> {
        self.inner.committer.check()?;
        self.inner.visit_customers(page_len, visit).await
    }

    async fn visit_history(
        &self,
        page_len: usize,
        visit: &mut (dyn FnMut(Vec<Event>) + Send),
    ) -> Result<(), StoreError> {
        self.inner.committer.check()?;
        self.inner.visit_history(page_len, visit).await
    }

    async fn visit_decisions(
        &self,
        page_len: usize,
        visit: &mut (dyn FnMut(Vec<Decision>) + Send),
    ) -> Result<(), StoreError> {
        self.inner.committer.check()?;
        self.inner.visit_decisions(page_len, visit).await
    }

    async fn load_decision(&self, customer: &CustomerId, decision: DecisionId) -> Result<Option<Decision>, StoreError> {
        self.inner.committer.check()?;
        self.inner.load_decision(customer, decision)
    }

    async fn put_products(&self, products: &[Product]) -> Result<Vec<bool>, StoreError> {
        self.inner.committer.check()?;
        let products = products.to_vec();
        blocking(&self.inner, move |inner| inner.put_products(&products)).await
    }

    async fn delete_product(&self, id: &ProductId) -> Result<bool, StoreError> {
        self.inner.committer.check()?;
        self.inner.delete_product(id)
    }

    async fn load_products(&self) -> Result<Vec<Product>, StoreError> {
        self.inner.committer.check()?;
        self.inner.load_products().await
    }

    async fn put_offers(&self, offers: &[ExplicitOffer]) -> Result<Vec<bool>, StoreError> {
        self.inner.committer.check()?;
        self.inner.put_offers(offers).await
    }

    async fn delete_offer(&self, id: &OfferId) -> Result<bool, StoreError> {
        self.inner.committer.check()?;
        self.inner.delete_offer(id)
    }

    async fn load_offers(&self) -> Result<Vec<ExplicitOffer>, StoreError> {
        self.inner.committer.check()?;
        self.inner.load_offers().await
    }

    async fn take_volume(&self, token: &VolumeToken, cap: u64) -> Result<bool, StoreError> {
        self.inner.committer.check()?;
        self.inner.change_volume(&token.offer, |volume| volume.take(token, cap))
    }

    async fn settle_volume(&self, offer: &OfferId, decision: DecisionId) -> Result<(), StoreError> {
        self.inner.committer.check()?;
        self.inner.change_volume(offer, |volume| volume.settle(decision))
    }

    async fn abandon_volume(&self, offer: &OfferId, decision: DecisionId) -> Result<(), StoreError> {
        self.inner.committer.check()?;
        self.inner.change_volume(offer, |volume| volume.abandon(decision))
    }

    async fn release_volume(&self, offer: &OfferId, decision: DecisionId) -> Result<(), StoreError> {
        self.inner.committer.check()?;
        self.inner.releases.note(offer);
        self.inner.change_volume(offer, |volume| volume.release(decision))
    }

    async fn load_volume(&self, offer: &OfferId) -> Result<Volume, StoreError> {
        self.inner.committer.check()?;
        self.inner.load_volume(offer)
    }

    async fn load_volumes(&self) -> Result<Vec<(OfferId, Volume)>, StoreError> {
        self.inner.committer.check()?;
        self.inner.load_volumes().await
    }

    async fn put_model(&self, model: &StoredModel) -> Result<(), StoreError> {
        self.inner.committer.check()?;
        self.inner.put_model(model).await
    }

    async fn load_model(&self) -> Result<Option<StoredModel>, StoreError> {
        self.inner.committer.check()?;
        self.inner.load_model().await
    }

    async fn put_policy(&self, policy: &StoredPolicy) -> Result<bool, StoreError> {
        self.inner.committer.check()?;
        self.inner.put_policy(policy).await
    }

    async fn load_policies(&self) -> Result<Vec<StoredPolicy>, StoreError> {
        self.inner.committer.check()?;
        self.inner.load_policies().await
    }

    async fn append_activation(&self, activation: &Activation) -> Result<(), StoreError> {
        self.inner.committer.check()?;
        self.inner.append_activation(activation).await
    }

    async fn load_activations(&self) -> Result<Vec<Activation>, StoreError> {
        self.inner.committer.check()?;
        self.inner.load_activations().await
    }

    async fn counts(&self) -> Result<StoreCounts, StoreError> {
        self.inner.committer.check()?;
        Ok(self.inner.counters.read())
    }

    async fn back_up(&self, pages: mpsc::Sender<Vec<BackupRecord>>) -> Result<(), StoreError> {
        self.inner.committer.check()?;
        self.inner.back_up(pages).await
    }

    async fn restore(&self, records: Vec<BackupRecord>) -> Result<(), StoreError> {
        self.inner.committer.check()?;
        blocking(&self.inner, move |inner| inner.enter_records(&records)).await
    }

    async fn digest(&self) -> Result<u64, StoreError> {
        self.inner.committer.check()?;
        self.inner.digest().await
    }
}
