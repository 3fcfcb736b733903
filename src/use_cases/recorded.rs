//! What becomes of one entry of a batch.

/// What became of one entry of a batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Recorded {
    /// It was new and is durable.
    New,
    /// It was known already and changed nothing.
    Duplicate,
    /// It changed nothing.
    Rejected(Rejection),
}

/// Why an entry of a batch changed nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Rejection {
    /// It is dated further in the future than clocks differ.
    InFuture,
    /// The decision is not known for this customer.
    DecisionNotFound,
    /// The decision did not serve the offer.
    OfferNotServed,
    /// The customer's record is full; retry later.
    CustomerFull,
    /// An event of this kind needs a customer.
    CustomerMissing,
    /// Too many calls changed the customer at once; retry.
    Contended,
    /// The customer was erased; nothing may be stored of this id again.
    CustomerErased,
    /// It is dated before what is kept.
    TooOld,
}
