//! Scans of whole trees in pages. Each page is read on the blocking pool, so that no thread of the runtime is blocked and a
//! cancelled scan stops after the current page.

use std::ops::Bound;
use std::sync::Arc;

use sled::{IVec, Tree};

use super::engine::SledEngine;
use crate::domain::customer::Customer;
use crate::domain::decision::Decision;
use crate::domain::event::Event;
use crate::store::codec::customer::{CustomerValue, decode_customer, encode_customer};
use crate::store::codec::decision::decode_decision;
use crate::store::codec::event::decode_event;
use crate::store::codec::outbox::{Outbox, OutboxItem};
use crate::store::contract::error::StoreError;
use crate::store::digest::{DigestKind, StoreDigest};

/// Default number of records read at once.
pub(super) const PAGE_LEN: usize = 256;

/// Page of records of a tree, in the order of their keys.
pub(super) struct Page {
    pub records: Vec<(IVec, IVec)>,
}

impl Page {
    /// Returns the cursor for the next page; `None` for an empty page, which follows the last.
    pub fn last_key(&self) -> Option<IVec> {
        self.records.last().map(|(key, _)| key.clone())
    }
}

/// Runs a closure that may block on the blocking pool. It runs to its end even if the caller is cancelled.
pub(super) async fn blocking<T: Send + 'static>(
    engine: &Arc<SledEngine>,
    work: impl FnOnce(&SledEngine) -> Result<T, StoreError> + Send + 'static,
) -> Result<T, StoreError> {
    let engine = Arc::clone(engine);
    let joined = tokio::task::spawn_blocking(move || work(&engine)).await;
    joined.unwrap_or_else(|error| Err(StoreError::Failed { detail: format!("store task panicked: {error}") }))
}

impl SledEngine {
    /// Visits all events, those without a customer last.
    pub async fn visit_events(
        self: &Arc<Self>,
        page_len: usize,
        visit: &mut (dyn FnMut(Vec<Event>) + Send),
    ) -> Result<(), StoreError> {
        self.visit(&self.trees.history, page_len, decode_event, visit).await?;
        self.visit(&self.trees.anonymous, page_len, decode_event, visit).await
    }

    /// Visits all decisions; those of one customer are adjacent.
    pub async fn visit_decisions(
        self: &Arc<Self>,
        page_len: usize,
        visit: &mut (dyn FnMut(Vec<Decision>) + Send),
    ) -> Result<(), StoreError> {
        self.visit(&self.trees.decisions, page_len, decode_decision, visit).await
    }

    pub async fn visit_customers(
        self: &Arc<Self>,
        page_len: usize,
        visit: &mut (dyn FnMut(Vec<Customer>) + Send),
    ) -> Result<(), StoreError> {
        let decode = |bytes: &[u8]| Ok(decode_customer(bytes)?.value);
        self.visit(&self.trees.customers, page_len, decode, visit).await
    }

    /// Visits a whole tree, a page at a time.
    pub async fn visit<T: Send + 'static>(
        self: &Arc<Self>,
        tree: &Tree,
        page_len: usize,
        decode: impl Fn(&[u8]) -> Result<T, StoreError> + Copy + Send + 'static,
        visit: &mut (dyn FnMut(Vec<T>) + Send),
    ) -> Result<(), StoreError> {
        let mut last = None;
        loop {
            let tree = tree.clone();
            let read = move |engine: &SledEngine| {
                let page = engine.page(&tree, last.as_ref(), page_len.max(1))?;
                let values: Result<Vec<T>, StoreError> = page.records.iter().map(|(_, bytes)| decode(bytes)).collect();
                Ok((page.last_key(), values?))
            };
            let (next, values) = blocking(self, read).await?;
            if values.is_empty() {
                return Ok(());
            }
            visit(values);
            last = next;
        }
    }

    /// Returns the digest of all records except models, policies, rankings and erasures.
    pub async fn digest(self: &Arc<Self>) -> Result<u64, StoreError> {
        let mut digest = StoreDigest::default();
        let trees = [
            (DigestKind::Customer, &self.trees.customers),
            (DigestKind::Event, &self.trees.history),
            (DigestKind::Event, &self.trees.anonymous),
            (DigestKind::Decision, &self.trees.decisions),
            (DigestKind::Product, &self.trees.products),
            (DigestKind::ExplicitOffer, &self.trees.offers),
            (DigestKind::Volume, &self.trees.volumes),
        ];
        for (kind, tree) in trees {
            let mut last = None;
            loop {
                let tree = tree.clone();
                let read = move |engine: &SledEngine| {
                    let page = engine.page(&tree, last.as_ref(), PAGE_LEN)?;
                    Ok((page.last_key(), engine.digest_page(kind, &page)?))
                };
                let (next, part) = blocking(self, read).await?;
                digest.merge(&part);
                if next.is_none() {
                    break;
                }
                last = next;
            }
        }
        Ok(digest.value())
    }

    fn digest_page(&self, kind: DigestKind, page: &Page) -> Result<StoreDigest, StoreError> {
        let mut digest = StoreDigest::default();
        for (key, bytes) in &page.records {
            match kind {
                DigestKind::Customer => self.digest_customer(&mut digest, key, bytes)?,
                DigestKind::Volume => digest.add(kind, &[key, &bytes[..]].concat()),
                DigestKind::Event | DigestKind::Decision | DigestKind::Product | DigestKind::ExplicitOffer => {
                    digest.add(kind, bytes);
                }
            }
        }
        Ok(digest)
    }

    /// Adds a customer without its version and outbox; entries in the outbox are added as if they were copied.
    fn digest_customer(&self, digest: &mut StoreDigest, key: &[u8], bytes: &[u8]) -> Result<(), StoreError> {
        let value = CustomerValue::parse(bytes)?;
        digest.add(DigestKind::Customer, &encode_customer(0, &value.body(), &Outbox::default())?);
        for entry in &value.outbox.0 {
            let (kind, bytes) = match &entry.item {
                OutboxItem::Event(bytes) => (DigestKind::Event, bytes),
                OutboxItem::Decision(bytes) => (DigestKind::Decision, bytes),
            };
            let (tree, copy_key) = self.copy_target(key, entry)?;
            if !self.check(tree.contains_key(copy_key))? {
                digest.add(kind, bytes);
            }
        }
        Ok(())
    }

    /// Reads the page that follows the key `last`.
    pub(super) fn page(&self, tree: &Tree, last: Option<&IVec>, page_len: usize) -> Result<Page, StoreError> {
        let start = last.map_or(Bound::Unbounded, Bound::Excluded);
        let mut records = Vec::new();
        for record in tree.range::<&IVec, _>((start, Bound::Unbounded)).take(page_len) {
            records.push(self.check(record)?);
        }
        Ok(Page { records })
    }
}
