//! All that is held of a customer, a page at a time.

use std::ops::Bound;
use std::sync::Arc;

use serde_json::Value;
use sled::Tree;

use super::inner::Inner;
use super::scan::blocking;
use crate::domain::ids::CustomerId;
use crate::store::codec::customer::CustomerValue;
use crate::store::codec::decision::decode_decision;
use crate::store::codec::event::decode_event;
use crate::store::codec::held::{customer_as_json, decision_as_json, event_as_json, prepared_as_json};
use crate::store::codec::outbox::OutboxItem;
use crate::store::contract::customer_export::{HeldPage, HeldPlace};
use crate::store::contract::error::StoreError;
use crate::store::keys::{customer_key, decision_key, event_key};

impl Inner {
    /// A page of all that is held of a customer.
    pub async fn load_held(
        self: &Arc<Self>,
        customer: &CustomerId,
        place: HeldPlace,
        page_len: usize,
    ) -> Result<HeldPage, StoreError> {
        let key = customer_key(customer);
        blocking(self, move |inner| match place {
            HeldPlace::Profile => inner.held_profile(&key),
            HeldPlace::Events { after } => {
                let after = after.map(|event| event_key(&key, &event));
                let (records, last) = inner.held_in(&inner.trees.history, &key, after, page_len, |bytes| {
                    let event = decode_event(bytes)?;
                    Ok((event_as_json(&event)?, event.id))
                })?;
                let next =
                    last.map_or(HeldPlace::Decisions { after: None }, |id| HeldPlace::Events { after: Some(id) });
                Ok(HeldPage { records, next: Some(next) })
            }
            HeldPlace::Decisions { after } => {
                let after = after.map(|decision| decision_key(&key, decision));
                let (records, last) = inner.held_in(&inner.trees.decisions, &key, after, page_len, |bytes| {
                    let decision = decode_decision(bytes)?;
                    Ok((decision_as_json(&decision)?, decision.id))
                })?;
                Ok(HeldPage { records, next: last.map(|id| HeldPlace::Decisions { after: Some(id) }) })
            }
        })
        .await
    }

    /// The customer, and what waits in the outbox and is not copied yet.
    fn held_profile(&self, key: &[u8]) -> Result<HeldPage, StoreError> {
        let next = Some(HeldPlace::Events { after: None });
        let Some(bytes) = self.healthy(self.trees.customers.get(key))? else {
            return Ok(HeldPage { records: Vec::new(), next });
        };
        let value = CustomerValue::parse(&bytes)?;
        let mut records = vec![customer_as_json(&value.customer()?.value)?];
        records.extend(self.load_cached_ranking(key)?.map(|prepared| prepared_as_json(&prepared)).transpose()?);
        for entry in &value.outbox.0 {
            let (tree, copy_key) = self.copy_of(key, entry)?;
            if !self.healthy(tree.contains_key(copy_key))? {
                records.push(match &entry.item {
                    OutboxItem::Event(bytes) => event_as_json(&decode_event(bytes)?)?,
                    OutboxItem::Decision(bytes) => decision_as_json(&decode_decision(bytes)?)?,
                });
            }
        }
        Ok(HeldPage { records, next })
    }

    /// The records of a customer after a key, and the id of the last one where more may follow.
    fn held_in<Id>(
        &self,
        tree: &Tree,
        customer_key: &[u8],
        after: Option<Vec<u8>>,
        page_len: usize,
        read: impl Fn(&[u8]) -> Result<(Value, Id), StoreError>,
    ) -> Result<(Vec<Value>, Option<Id>), StoreError> {
        let start = after.map_or_else(|| Bound::Included(customer_key.to_vec()), Bound::Excluded);
        let (mut records, mut last) = (Vec::new(), None);
        for record in tree.range::<Vec<u8>, _>((start, Bound::Unbounded)).take(page_len) {
            let (key, bytes) = self.healthy(record)?;
            if !key.starts_with(customer_key) {
                break;
            }
            let (record, id) = read(&bytes)?;
            records.push(record);
            last = Some(id);
        }
        let is_full = records.len() == page_len;
        Ok((records, last.filter(|_| is_full)))
    }
}
