//! How much is stored, kept while it changes: asking sled would read everything.

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

/// One counter.
#[derive(Default)]
pub(super) struct Counter(AtomicU64);

impl Counter {
    /// Counts one more record if it is a new one.
    pub fn add_if(&self, is_new: bool) {
        self.0.fetch_add(u64::from(is_new), Ordering::Relaxed);
    }

    /// Counts one record less if it was there.
    pub fn subtract_if(&self, was_there: bool) {
        self.0.fetch_sub(u64::from(was_there), Ordering::Relaxed);
    }

    /// Counts so many records less.
    pub fn subtract(&self, records: u64) {
        self.0.fetch_sub(records, Ordering::Relaxed);
    }

    /// Adds what was there when the store was opened.
    pub fn add(&self, records: u64) {
        self.0.fetch_add(records, Ordering::Relaxed);
    }

    fn read(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

impl Counters {
    /// All counters now.
    pub fn read(&self) -> StoreCounts {
        StoreCounts {
            customers: self.customers.read(),
            products: self.products.read(),
            events: self.events.read(),
            decisions: self.decisions.read(),
        }
    }
}
