//! What this process knows about copies: up to which version the outbox of a customer was copied, and with which write.
//!
//! Knowing too little is safe: entries are copied again, which changes nothing, and dropped later. Knowing too much
//! would lose them. A customer's versions only ever grow; whoever adds a way to remove customers must forget them here.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// The most customers with something in the outbox before the oldest are emptied. Bounds the sweep at the next start.
pub(super) const OUTBOXES_MAX: usize = 4096;

/// The copies made by this process and not yet dropped from outboxes.
#[derive(Default)]
pub(super) struct Copies {
    known: Mutex<Known>,
}

#[derive(Default)]
struct Known {
    by_customer: HashMap<Vec<u8>, VecDeque<Copied>>,
    /// Customers in the order in which they came in; may list some that are gone.
    order: VecDeque<Vec<u8>>,
}

/// All entries that came with this version of the customer or before are copied, by this write at the latest.
#[derive(Clone, Copy)]
struct Copied {
    version: u64,
    write: u64,
}

impl Copies {
    /// The version up to which everything is copied; 0 when nothing is known.
    pub fn copied_through(&self, customer: &[u8]) -> u64 {
        let known = self.known();
        known.by_customer.get(customer).and_then(VecDeque::back).map_or(0, |copied| copied.version)
    }

    /// The version up to which everything is copied by writes that are durable; 0 when nothing is known.
    pub fn durable_through(&self, customer: &[u8], durable_write: u64) -> u64 {
        let known = self.known();
        let copies = known.by_customer.get(customer).into_iter().flatten();
        copies.filter(|copied| copied.write <= durable_write).map(|copied| copied.version).max().unwrap_or(0)
    }

    /// Remembers that everything up to this version is copied, by this write at the latest.
    pub fn note(&self, customer: &[u8], version: u64, write: u64) {
        let mut known = self.known();
        if let Some(copies) = known.by_customer.get_mut(customer) {
            if copies.back().is_none_or(|last| last.version < version) {
                copies.push_back(Copied { version, write });
            }
            return;
        }
        known.by_customer.insert(customer.to_vec(), VecDeque::from([Copied { version, write }]));
        known.order.push_back(customer.to_vec());
    }

    /// Forgets what concerns entries up to this version: they were dropped.
    pub fn forget(&self, customer: &[u8], version: u64) {
        let mut known = self.known();
        let Some(copies) = known.by_customer.get_mut(customer) else { return };
        copies.retain(|copied| copied.version > version);
        if copies.is_empty() {
            known.by_customer.remove(customer);
        }
    }

    /// When there are too many: the customer that has waited longest, to be emptied or put back with [`Self::defer`].
    pub fn oldest_beyond_limit(&self) -> Option<Vec<u8>> {
        let mut known = self.known();
        // A customer that came back since is listed twice; shedding the list keeps it as short as the map.
        while known.order.len() > OUTBOXES_MAX {
            let customer = known.order.pop_front()?;
            if known.by_customer.contains_key(&customer) {
                return Some(customer);
            }
        }
        None
    }

    /// Puts a customer that could not be emptied back to the end of the list.
    pub fn defer(&self, customer: Vec<u8>) {
        self.known().order.push_back(customer);
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Broken by: leaving the writes out of the comparison. No test of a whole store sees that, because sled's log keeps
    /// the order of writes in every crash that can be simulated.
    #[test]
    fn copies_count_as_durable_only_after_their_write() {
        let copies = Copies::default();
        copies.note(b"ada", 3, 10);
        copies.note(b"ada", 5, 20);
        assert_eq!(copies.copied_through(b"ada"), 5);
        let durable = [9, 10, 19, 20].map(|write| copies.durable_through(b"ada", write));
        assert_eq!(durable, [0, 3, 3, 5]);
        assert_eq!(copies.durable_through(b"bob", 20), 0);
    }

    #[test]
    fn a_late_note_of_an_earlier_version_changes_nothing() {
        let copies = Copies::default();
        copies.note(b"ada", 5, 20);
        copies.note(b"ada", 3, 21);
        assert_eq!((copies.copied_through(b"ada"), copies.durable_through(b"ada", 20)), (5, 5));
    }

    #[test]
    fn the_oldest_come_first_and_only_beyond_the_limit() {
        let copies = Copies::default();
        for number in 0..OUTBOXES_MAX {
            copies.note(&number.to_be_bytes(), 1, 1);
        }
        assert_eq!(copies.oldest_beyond_limit(), None);
        copies.note(b"one more", 1, 1);
        assert_eq!(copies.oldest_beyond_limit().as_deref(), Some(&0_usize.to_be_bytes()[..]));
        copies.forget(&0_usize.to_be_bytes(), 1);
        assert_eq!(copies.oldest_beyond_limit(), None);
    }
}
