//! Pages of the export of a customer.

use crate::domain::customer_export::ExportedRecord;
use crate::domain::ids::{DecisionId, EventId};

/// Position in the export of a customer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CustomerExportPosition {
    /// The customer, the cached ranking, and what was committed but not yet copied to history and decision log.
    Customer,
    /// The history.
    Events {
        /// The last event that was exported.
        after: Option<EventId>,
    },
    /// The decision log.
    Decisions {
        /// The last decision that was exported.
        after: Option<DecisionId>,
    },
}

/// A page of the export of a customer.
#[derive(Debug, Clone, PartialEq)]
pub struct CustomerExportPage {
    /// The records; may be empty although more follow.
    pub records: Vec<ExportedRecord>,
    /// Position of the next page; `None` after the last.
    pub next: Option<CustomerExportPosition>,
}
