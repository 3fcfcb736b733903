//! Numbers of records.

/// Number of records in the store. Backends count as they write, so reading it is cheap.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct StoreCounts {
    /// Number of stored customers.
    pub customers: u64,
    /// Number of stored products.
    pub products: u64,
    /// Number of events, with and without a customer.
    pub events: u64,
    /// Number of recorded decisions.
    pub decisions: u64,
}

/// Number of records that a retention sweep removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ExpiredRecords {
    /// Number of events, with and without a customer.
    pub events: u64,
    /// Number of removed decisions.
    pub decisions: u64,
}
