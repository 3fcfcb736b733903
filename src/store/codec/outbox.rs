//! The outbox: events and decisions that a customer's commits appended and that are not yet copied out of the value of
//! the customer.
//!
//! An entry contains the encoded bytes as history or the decision log will store them, so copying does not decode.

use serde::{Deserialize, Serialize};

use super::decision::encode_decision;
use super::event::encode_event;
use crate::store::contract::change::Change;
use crate::store::contract::error::StoreError;
use crate::store::ownership::{require_decision_of, require_event_of_any};

/// The outbox entries of one customer, oldest first.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Outbox(pub Vec<OutboxEntry>);

/// One event or decision that is not yet copied.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OutboxEntry {
    /// The commit version of the customer that appended it.
    pub since: u64,
    /// The encoded event or decision.
    pub item: OutboxItem,
}

/// An encoded event or decision in its own stored format.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum OutboxItem {
    /// An event encoded by [`encode_event`].
    Event(Vec<u8>),
    /// A decision encoded by [`encode_decision`].
    Decision(Vec<u8>),
}

impl Outbox {
    /// Size of the encoded events and decisions, in bytes.
    pub fn bytes(&self) -> usize {
        let Self(entries) = self;
        let bytes = |entry: &OutboxEntry| match &entry.item {
            OutboxItem::Event(bytes) | OutboxItem::Decision(bytes) => bytes.len(),
        };
        entries.iter().map(bytes).sum()
    }

    /// Builds the outbox entries of the commit of a change.
    ///
    /// # Errors
    /// When an event or the decision belongs to another customer, under whose key no reader would find it.
    pub fn of(change: &Change<'_>) -> Result<Self, StoreError> {
        let Change { expected, customer, events, decision, takes: _, releases: _, policy: _, now: _ } = *change;
        let since = expected + 1;
        let mut entries = Vec::with_capacity(events.len() + usize::from(decision.is_some()));
        for event in events {
            require_event_of_any(customer, event)?;
            entries.push(OutboxEntry { since, item: OutboxItem::Event(encode_event(event)?) });
        }
        if let Some(decision) = decision {
            require_decision_of(&customer.id, decision)?;
            entries.push(OutboxEntry { since, item: OutboxItem::Decision(encode_decision(decision)?) });
        }
        Ok(Self(entries))
    }
}
