//! Outcome of one entry of a batch.

use super::change_customer::ChangeRejection;
use crate::domain::event::EventDifference;
use crate::domain::time::Timestamp;

/// Outcome of one entry of a batch. Entries are independent: a rejected one does not affect the others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EntryOutcome {
    /// The entry was new and is durable.
    New,
    /// The entry was recorded before and changed nothing.
    Duplicate,
    /// The entry was rejected and changed nothing.
    Rejected(EntryRejection),
}

/// Reason for which an entry of a batch was rejected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EntryRejection {
    /// The event is dated further in the future than clocks may differ.
    InFuture,
    /// The customer has no such decision.
    DecisionNotFound,
    /// The decision did not serve the offer.
    OfferNotServed,
    /// An event of this kind needs a customer.
    CustomerMissing,
    /// The customer could not be changed.
    Change(ChangeRejection),
    /// Another event is recorded under this id.
    IdReused(EventDifference),
    /// The event is older than events are kept, and has no effect.
    TooOld {
        /// Time from which on events have an effect.
        oldest: Timestamp,
    },
}

impl From<ChangeRejection> for EntryRejection {
    fn from(rejection: ChangeRejection) -> Self {
        Self::Change(rejection)
    }
}
