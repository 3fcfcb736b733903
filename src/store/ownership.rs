//! Whose events and decisions a call may bring: those of the customer it names, or nobody's.
//!
//! A mix-up is a fault of the caller. It is refused before anything is written, because the record would be filed where
//! nobody looks for it and would count for somebody else.

use super::contract::error::StoreError;
use crate::domain::decision::Decision;
use crate::domain::event::Event;
use crate::domain::ids::CustomerId;

/// Refuses an event that is not of this customer; `None` asks for an event without a customer.
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

/// Names nobody: errors are logged.
fn misfiled(what: &'static str) -> StoreError {
    StoreError::Damaged { what, detail: "it belongs to somebody else than it came with".to_owned() }
}
