//! Checks that a call brings records that belong together: events and decisions of the customer it names, and volume for
//! offers that its decision grants.
//!
//! A mix-up is a fault of the caller. It is refused before anything is written, because the record would be stored where no
//! reader looks for it, or would count for another customer.

use super::contract::change::Change;
use super::contract::error::StoreError;
use crate::domain::decision::Decision;
use crate::domain::event::Event;
use crate::domain::ids::CustomerId;

/// Refuses an event that is not of this customer; `None` requires an event without a customer.
pub(super) fn require_event_of(customer: Option<&CustomerId>, event: &Event) -> Result<(), StoreError> {
    if event.customer.as_ref() == customer {
        return Ok(());
    }
    Err(misfiled("event"))
}

/// Refuses a decision about another customer.
pub(super) fn require_decision_of(customer: &CustomerId, decision: &Decision) -> Result<(), StoreError> {
    if decision.customer == *customer {
        return Ok(());
    }
    Err(misfiled("decision"))
}

/// Refuses a change that takes volume for an offer that its decision does not grant: after a crash nothing would tell that
/// the unit is in use.
pub(super) fn require_granted_volume(change: &Change<'_>) -> Result<(), StoreError> {
    let granted = change.decision.into_iter().flat_map(|decision| &decision.slate).map(|offer| &offer.id);
    if change.takes.iter().all(|offer| granted.clone().any(|id| id == offer)) {
        return Ok(());
    }
    Err(StoreError::Damaged { what: "change", detail: "it takes volume without a grant".to_owned() })
}

/// The error does not name the customer, because errors are logged.
fn misfiled(what: &'static str) -> StoreError {
    StoreError::Damaged { what, detail: "it belongs to another customer than the one named".to_owned() }
}
