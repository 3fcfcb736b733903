//! Number of stored records, updated with every change: counting in sled would read all of them.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::store::contract::counts::StoreCounts;

/// Counters that are set at the start and follow every change.
#[derive(Default)]
pub(super) struct Counters {
    pub customers: Counter,
    pub products: Counter,
    pub events: Counter,
    pub decisions: Counter,
}

/// Number of stored records of one kind.
#[derive(Default)]
pub(super) struct Counter(AtomicU64);

impl Counter {
    /// Adds one record if it is new.
    pub fn add_if(&self, is_new: bool) {
        self.0.fetch_add(u64::from(is_new), Ordering::Relaxed);
    }

    /// Subtracts one record if it was stored.
    pub fn subtract_if(&self, was_stored: bool) {
        self.0.fetch_sub(u64::from(was_stored), Ordering::Relaxed);
    }

    pub fn subtract(&self, records: u64) {
        self.0.fetch_sub(records, Ordering::Relaxed);
    }

    /// Adds the records counted when the store was opened.
    pub fn add(&self, records: u64) {
        self.0.fetch_add(records, Ordering::Relaxed);
    }

    fn read(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

impl Counters {
    /// Returns the current counts.
    pub fn read(&self) -> StoreCounts {
        StoreCounts {
            customers: self.customers.read(),
            products: self.products.read(),
            events: self.events.read(),
            decisions: self.decisions.read(),
        }
    }
}
