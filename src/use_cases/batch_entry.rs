//! What becomes of one entry of a batch.

use super::change_customer::ChangeRejection;

/// What became of one entry of a batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EntryOutcome {
    /// It was new and is durable.
    New,
    /// It was known already and changed nothing.
    Duplicate,
    /// It changed nothing.
    Rejected(EntryRejection),
}

/// Why an entry of a batch changed nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EntryRejection {
    /// It is dated further in the future than clocks differ.
    InFuture,
    /// The decision is not known for this customer.
    DecisionNotFound,
    /// The decision did not serve the offer.
    OfferNotServed,
    /// An event of this kind needs a customer.
    CustomerMissing,
    /// The customer could not be changed.
    Change(ChangeRejection),
    /// It is dated before what is kept.
    TooOld,
}

impl From<ChangeRejection> for EntryRejection {
    fn from(rejection: ChangeRejection) -> Self {
        Self::Change(rejection)
    }
}
