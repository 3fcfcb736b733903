//! The outbox: what a customer's commits appended and what still has to be copied out of the customer's value.
//!
//! Entries keep the bytes that will lie in history or in the decision log, so copying is a copy.

use serde::{Deserialize, Serialize};

use super::decision::encode_decision;
use super::event::encode_event;
use crate::domain::ids::CustomerId;
use crate::store::contract::{Appended, StoreError};
use crate::store::ownership::{require_decision_of, require_event_of};

/// The entries of one customer, oldest first.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Outbox(pub Vec<OutboxEntry>);

/// One event or decision waiting to be copied.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OutboxEntry {
    /// The version of the customer with which it came.
    pub since: u64,
    /// What it is.
    pub item: OutboxItem,
}

/// What waits, as the bytes of its own stored format.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum OutboxItem {
    /// An event, as written by [`encode_event`].
    Event(Vec<u8>),
    /// A decision, as written by [`encode_decision`].
    Decision(Vec<u8>),
}

impl Outbox {
    /// The outbox entries of one commit. Refuses events and decisions of another customer: they would be copied to
    /// where nobody looks for them.
    pub fn of(since: u64, customer: &CustomerId, appended: &Appended) -> Result<Self, StoreError> {
        let Appended { events, decision } = appended;
        let mut entries = Vec::with_capacity(events.len() + usize::from(decision.is_some()));
        for event in events {
            require_event_of(Some(customer), event)?;
            entries.push(OutboxEntry { since, item: OutboxItem::Event(encode_event(event)?) });
        }
        if let Some(decision) = decision {
            require_decision_of(customer, decision)?;
            entries.push(OutboxEntry { since, item: OutboxItem::Decision(encode_decision(decision)?) });
        }
        Ok(Self(entries))
    }
}
