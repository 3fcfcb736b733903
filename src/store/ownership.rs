//! Whose events and decisions a call may bring: those of the customer it names, or nobody's.
//!
//! A mix-up is a fault of the caller. It is refused before anything is written, because the record would be filed where
//! nobody looks for it and would count for somebody else.

use super::contract::StoreError;
use crate::domain::decision::Decision;
use crate::domain::event::Event;
use crate::domain::ids::CustomerId;

/// Refuses an event that is not of this customer; `None` asks for an event without a customer.
pub(super) fn require_event_of(customer: Option<&CustomerId>, event: &Event) -> Result<(), StoreError> {
    if event.customer.as_ref() == customer {
        return Ok(());
    }
    let asked = customer.map_or("nobody", CustomerId::as_str);
    let found = event.customer.as_ref().map_or("nobody", CustomerId::as_str);
    Err(misfiled("event", asked, found))
}

/// Refuses a decision about another customer.
pub(super) fn require_decision_of(customer: &CustomerId, decision: &Decision) -> Result<(), StoreError> {
    if decision.customer == *customer {
        return Ok(());
    }
    Err(misfiled("decision", customer.as_str(), decision.customer.as_str()))
}

fn misfiled(what: &'static str, asked: &str, found: &str) -> StoreError {
    StoreError::Damaged { what, detail: format!("it belongs to {found} and came with {asked}") }
}
