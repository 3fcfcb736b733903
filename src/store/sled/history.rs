//! Events and decisions, which are first in the outbox of their customer, then in the trees to which they are copied.

use std::collections::HashMap;

use sled::Tree;

use super::engine::SledEngine;
use crate::domain::decision::Decision;
use crate::domain::event::Event;
use crate::domain::ids::{CustomerId, DecisionId, EventId};
use crate::domain::merge::MEMBERS_MAX;
use crate::store::codec::customer::CustomerValue;
use crate::store::codec::decision::decode_decision;
use crate::store::codec::event::{decode_event, encode_event};
use crate::store::codec::outbox::OutboxItem;
use crate::store::contract::error::StoreError;
use crate::store::keys::{customer_key, decision_key, event_key};
use crate::store::ownership::require_event_of;

impl SledEngine {
    /// Reads the events of a customer in its outbox and, for an alias, in those of the customers that commit them.
    fn outbox_events(&self, customer: &CustomerId) -> Result<HashMap<EventId, Event>, StoreError> {
        let mut events = HashMap::new();
        let mut id = customer.clone();
        for _ in 0..MEMBERS_MAX {
            let Some(bytes) = self.check(self.trees.customers.get(customer_key(&id)))? else { break };
            let value = CustomerValue::parse(&bytes)?;
            for entry in &value.outbox.0 {
                if let OutboxItem::Event(bytes) = &entry.item {
                    let event = decode_event(bytes)?;
                    if event.customer.as_ref() == Some(customer) {
                        events.insert(event.id.clone(), event);
                    }
                }
            }
            let merge = value.merge_state()?;
            let Some(into) = merge.alias_of() else { break };
            id = into.clone();
        }
        Ok(events)
    }

    /// Reads events by id, without a customer among the anonymous ones. The outbox is read before history: an entry leaves
    /// it only after it was copied.
    pub fn load_events(
        &self,
        customer: Option<&CustomerId>,
        events: &[EventId],
    ) -> Result<Vec<Option<Event>>, StoreError> {
        let load = |tree: &Tree, key: &[u8]| {
            let bytes = self.check(tree.get(key))?;
            bytes.map(|bytes| decode_event(&bytes)).transpose()
        };
        let Some(customer) = customer else {
            return events.iter().map(|id| load(&self.trees.anonymous, id.as_str().as_bytes())).collect();
        };
        let key = customer_key(customer);
        let in_outbox = self.outbox_events(customer)?;
        let mut loaded = Vec::with_capacity(events.len());
        for id in events {
            loaded.push(match in_outbox.get(id) {
                Some(event) => Some(event.clone()),
                None => load(&self.trees.history, &event_key(&key, id))?,
            });
        }
        Ok(loaded)
    }

    /// Reads a decision, from the outbox or from the decision log.
    pub fn load_decision(&self, customer: &CustomerId, decision: DecisionId) -> Result<Option<Decision>, StoreError> {
        let key = customer_key(customer);
        if let Some(bytes) = self.check(self.trees.customers.get(&key))? {
            for entry in CustomerValue::parse(&bytes)?.outbox.0 {
                if let OutboxItem::Decision(bytes) = entry.item {
                    let found = decode_decision(&bytes)?;
                    if found.id == decision {
                        return Ok(Some(found));
                    }
                }
            }
        }
        let bytes = self.check(self.trees.decisions.get(decision_key(&key, decision)))?;
        bytes.map(|bytes| decode_decision(&bytes)).transpose()
    }

    /// Adds events without a customer.
    pub fn append_anonymous(&self, events: &[Event]) -> Result<Vec<bool>, StoreError> {
        let mut encoded = Vec::with_capacity(events.len());
        for event in events {
            require_event_of(None, event)?;
            encoded.push((event.id.as_str(), encode_event(event)?));
        }
        let _write = self.committer.begin_write();
        let mut were_new = Vec::with_capacity(events.len());
        for (id, bytes) in encoded {
            let swapped = self.trees.anonymous.compare_and_swap(id, None::<&[u8]>, Some(bytes));
            let is_new = self.check(swapped)?.is_ok();
            self.counters.events.add_if(is_new);
            were_new.push(is_new);
        }
        Ok(were_new)
    }
}
