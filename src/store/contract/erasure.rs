//! The erasure of a customer.

use crate::domain::time::Timestamp;

/// Record that remains of an erased customer, beside a keyed hash of the id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Erasure {
    /// Time of the first erasure.
    pub at: Timestamp,
    /// Whether the customer had opted out of offers.
    pub was_opted_out: bool,
}

/// Result of erasing a customer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ErasureResult {
    /// Number of records removed now; none when the customer was erased before.
    pub removed: ErasedRecords,
    /// The record that remains.
    pub erasure: Erasure,
}

/// Number of records that an erasure removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ErasedRecords {
    /// Whether the customer was stored.
    pub was_stored: bool,
    /// Number of events removed.
    pub events: u64,
    /// Number of decisions removed.
    pub decisions: u64,
}
