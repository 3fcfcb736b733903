//! Progress of copying outboxes: the version up to which each customer's outbox is copied, and the write that copied it.
//!
//! It lives in memory only. A missing record is safe: entries are copied again, which changes nothing, and dropped
//! later. A record of a copy that is not durable would lose them. A customer's versions only ever grow; code that removes
//! customers must call [`OutboxProgress::forget`].

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Number of customers with a filled outbox above which the oldest are emptied. Bounds the recovery at the next start.
pub(super) const OUTBOXES_MAX: usize = 4096;

/// Copies made by this process whose entries are still in outboxes.
#[derive(Default)]
pub(super) struct OutboxProgress {
    progress: Mutex<ProgressByCustomer>,
}

#[derive(Default)]
struct ProgressByCustomer {
    /// Versions and writes both rise from front to back.
    by_customer: HashMap<Vec<u8>, VecDeque<CopiedVersion>>,
    /// Customers, the oldest outbox first; may list some whose outbox has been emptied since.
    order: VecDeque<Vec<u8>>,
}

/// Record that all entries of a customer's versions up to this one are copied, by this write at the latest.
#[derive(Clone, Copy)]
struct CopiedVersion {
    version: u64,
    write: u64,
}

impl OutboxProgress {
    /// Returns the version up to which all entries are copied; 0 when nothing is recorded.
    pub fn copied_through(&self, customer: &[u8]) -> u64 {
        let progress = self.progress();
        progress.by_customer.get(customer).and_then(VecDeque::back).map_or(0, |copied| copied.version)
    }

    /// Returns the version up to which all entries are copied by durable writes; 0 when nothing is recorded. Forgets the
    /// records of earlier versions, so that of a customer only the latest durable copy and those of commits since the last
    /// flush are left, however many commits there are.
    pub fn durable_through(&self, customer: &[u8], durable_write: u64) -> u64 {
        let mut progress = self.progress();
        let Some(copied_versions) = progress.by_customer.get_mut(customer) else { return 0 };
        while copied_versions.get(1).is_some_and(|second| second.write <= durable_write) {
            copied_versions.pop_front();
        }
        copied_versions.front().filter(|first| first.write <= durable_write).map_or(0, |first| first.version)
    }

    /// Records that all entries up to this version are copied, by this write at the latest.
    pub fn record(&self, customer: &[u8], version: u64, write: u64) {
        let mut progress = self.progress();
        if let Some(copied_versions) = progress.by_customer.get_mut(customer) {
            if copied_versions.back().is_none_or(|last| last.version < version) {
                // A later version that is copied by an earlier write says all that these do.
                while copied_versions.back().is_some_and(|last| last.write >= write) {
                    copied_versions.pop_back();
                }
                copied_versions.push_back(CopiedVersion { version, write });
            }
            return;
        }
        progress.by_customer.insert(customer.to_vec(), VecDeque::from([CopiedVersion { version, write }]));
        progress.order.push_back(customer.to_vec());
    }

    /// Forgets the copies of entries up to this version, which were dropped from the outbox.
    pub fn forget(&self, customer: &[u8], version: u64) {
        let mut progress = self.progress();
        let Some(copied_versions) = progress.by_customer.get_mut(customer) else { return };
        copied_versions.retain(|copied| copied.version > version);
        if copied_versions.is_empty() {
            progress.by_customer.remove(customer);
        }
    }

    /// Returns the customer with the oldest outbox when there are too many, for the caller to empty or to
    /// [`Self::defer`].
    pub fn oldest_beyond_limit(&self) -> Option<Vec<u8>> {
        let mut progress = self.progress();
        // A customer recorded again after it was emptied is listed twice; dropping the old entry keeps the list short.
        while progress.order.len() > OUTBOXES_MAX {
            let customer = progress.order.pop_front()?;
            if progress.by_customer.contains_key(&customer) {
                return Some(customer);
            }
        }
        None
    }

    /// Moves a customer whose outbox could not be emptied to the end of the list.
    pub fn defer(&self, customer: Vec<u8>) {
        self.progress().order.push_back(customer);
    }

    fn progress(&self) -> MutexGuard<'_, ProgressByCustomer> {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Broken by: leaving the writes out of the comparison. No test of a whole store sees that, because sled's log keeps
    /// the order of writes in every crash that can be simulated.
    #[test]
    fn copies_count_as_durable_only_after_their_write() {
        let outbox_progress = OutboxProgress::default();
        outbox_progress.record(b"ada", 3, 10);
        outbox_progress.record(b"ada", 5, 20);
        assert_eq!(outbox_progress.copied_through(b"ada"), 5);
        let durable = [9, 10, 19, 20].map(|write| outbox_progress.durable_through(b"ada", write));
        assert_eq!(durable, [0, 3, 3, 5]);
        assert_eq!(outbox_progress.durable_through(b"bob", 20), 0);
    }

    /// Broken by: a record for every commit of a customer who is never idle, all of which each commit then reads.
    #[test]
    fn a_busy_customer_takes_no_more_memory_than_its_commits_since_the_last_flush() {
        const COMMITS_PER_FLUSH: u64 = 7;
        let outbox_progress = OutboxProgress::default();
        for version in 1..=10_000 {
            let durable = (version - 1) / COMMITS_PER_FLUSH * COMMITS_PER_FLUSH;
            assert_eq!(outbox_progress.durable_through(b"ada", durable), durable);
            outbox_progress.record(b"ada", version, version);
            let records = outbox_progress.progress().by_customer[&b"ada"[..]].len() as u64;
            assert!(records <= COMMITS_PER_FLUSH + 1, "{records} records after {version} commits");
        }
    }

    /// A commit may finish its copies before an earlier one that started first.
    #[test]
    fn copies_that_finish_out_of_order_are_durable_with_their_write() {
        let outbox_progress = OutboxProgress::default();
        outbox_progress.record(b"ada", 5, 20);
        outbox_progress.record(b"ada", 6, 22);
        outbox_progress.record(b"ada", 7, 21);
        let durable = [19, 20, 21, 22].map(|write| outbox_progress.durable_through(b"ada", write));
        assert_eq!(durable, [0, 5, 7, 7]);
    }

    #[test]
    fn recording_an_earlier_version_late_changes_nothing() {
        let outbox_progress = OutboxProgress::default();
        outbox_progress.record(b"ada", 5, 20);
        outbox_progress.record(b"ada", 3, 21);
        assert_eq!((outbox_progress.copied_through(b"ada"), outbox_progress.durable_through(b"ada", 20)), (5, 5));
    }

    #[test]
    fn outboxes_beyond_the_limit_are_returned_oldest_first() {
        let outbox_progress = OutboxProgress::default();
        for number in 0..OUTBOXES_MAX {
            outbox_progress.record(&number.to_be_bytes(), 1, 1);
        }
        assert_eq!(outbox_progress.oldest_beyond_limit(), None);
        outbox_progress.record(b"one more", 1, 1);
        assert_eq!(outbox_progress.oldest_beyond_limit().as_deref(), Some(&0_usize.to_be_bytes()[..]));
        outbox_progress.forget(&0_usize.to_be_bytes(), 1);
        assert_eq!(outbox_progress.oldest_beyond_limit(), None);
    }
}
