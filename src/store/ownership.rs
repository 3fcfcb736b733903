//! Checks that the records of a call belong together: events and decisions of the customer it names, and volume for
//! offers that its decision grants.
//!
//! A mismatch is a bug of the caller. It is rejected before anything is written, because the record would be stored under a
//! key that no reader uses, or would count for another customer.

use super::contract::change::Change;
use super::contract::error::StoreError;
use crate::domain::customer::Customer;
use crate::domain::decision::Decision;
use crate::domain::event::Event;
use crate::domain::ids::CustomerId;

/// Rejects an event that is not of this customer; `None` requires an event without a customer.
pub(super) fn require_event_of(customer: Option<&CustomerId>, event: &Event) -> Result<(), StoreError> {
    if event.customer.as_ref() == customer {
        return Ok(());
    }
    Err(wrong_customer("event"))
}

/// Rejects an event that is of none of the customer's ids.
pub(super) fn require_event_of_any(customer: &Customer, event: &Event) -> Result<(), StoreError> {
    let is_of = |id: &CustomerId| *id == customer.id || customer.merge.members.contains(id);
    if event.customer.as_ref().is_some_and(is_of) { Ok(()) } else { Err(wrong_customer("event")) }
}

/// Rejects a decision about another customer.
pub(super) fn require_decision_of(customer: &CustomerId, decision: &Decision) -> Result<(), StoreError> {
    if decision.customer == *customer {
        return Ok(());
    }
    Err(wrong_customer("decision"))
}

/// Rejects a change that takes volume for an offer that its decision does not grant: recovery after a crash could not see
/// that the unit is in use.
pub(super) fn require_granted_volume(change: &Change<'_>) -> Result<(), StoreError> {
    let granted = change.decision.into_iter().flat_map(|decision| &decision.slate).map(|offer| &offer.id);
    if change.takes.iter().all(|offer| granted.clone().any(|id| id == offer)) {
        return Ok(());
    }
    Err(StoreError::Damaged { what: "change", detail: "volume taken without a grant".to_owned() })
}

/// The error does not name the customer, because errors are logged.
fn wrong_customer(what: &'static str) -> StoreError {
    StoreError::Damaged { what, detail: "record belongs to another customer".to_owned() }
}
