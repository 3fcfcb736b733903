//! The pages of a customer's export.

use crate::domain::ids::{DecisionId, EventId};

/// A place in all that is held of a customer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HeldPlace {
    /// The customer, and what was committed and not yet entered in history.
    Profile,
    /// History, after this event.
    Events {
        /// The last event told.
        after: Option<EventId>,
    },
    /// The decision log, after this decision.
    Decisions {
        /// The last decision told.
        after: Option<DecisionId>,
    },
}

/// A page of all that is held of a customer.
#[derive(Debug, Clone, PartialEq)]
pub struct HeldPage {
    /// Records as they are stored, in JSON; each names its kind in `record`.
    pub records: Vec<serde_json::Value>,
    /// Where the next page begins; `None` after the last.
    pub next: Option<HeldPlace>,
}
