//! Commit of one customer: a compare-and-swap on its value, then the copies of its outbox.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use sled::{IVec, Tree};

use super::committer::WriteGuard;
use super::engine::SledEngine;
use super::failpoint::failpoint;
use super::volumes::ReservationOutcome;
use crate::store::codec::customer::{CustomerBody, CustomerValue, encode_customer};
use crate::store::codec::decision::decode_decision;
use crate::store::codec::event::decode_event;
use crate::store::codec::outbox::{Outbox, OutboxEntry, OutboxItem};
use crate::store::contract::change::{APPENDED_BYTES_MAX, APPENDED_MAX, CUSTOMER_BYTES_MAX, Change, CommitOutcome};
use crate::store::contract::error::StoreError;
use crate::store::keys::{customer_key, decision_key, event_key};
use crate::store::ownership::require_granted_volume;

/// Maximum number of entries in an outbox. Twice what one commit may append, so that a commit need not wait for the
/// previous one.
const OUTBOX_MAX: usize = 2 * APPENDED_MAX;
/// Maximum size of the entries in an outbox, in bytes. A commit that needs more waits until earlier ones are durable: with
/// larger values, a leaf of full customers would not fit into a quarter of a segment of sled's log.
const OUTBOX_BYTES_MAX: usize = APPENDED_BYTES_MAX;

/// Maximum number of times a commit waits for capacity in the outbox. The first wait frees capacity unless another commit
/// uses it, and then the version has changed and the outcome is a conflict.
const OUTBOX_WAITS_MAX: usize = 4;

/// Change to a customer, encoded once for all attempts to commit it.
struct EncodedChange {
    key: Vec<u8>,
    expected: u64,
    body: CustomerBody,
    appended: Outbox,
}

/// Result of one attempt to commit.
enum StoreAttempt {
    Finished(CommitOutcome),
    /// The outbox is full, with entries that can be dropped once their copies are durable.
    OutboxFull,
}

impl EncodedChange {
    fn of(change: &Change<'_>) -> Result<Self, StoreError> {
        require_granted_volume(change)?;
        Ok(Self {
            key: customer_key(&change.customer.id),
            expected: change.expected,
            body: CustomerBody::of(change.customer)?,
            appended: Outbox::of(change)?,
        })
    }

    /// Rejection of a change that exceeds a limit by itself.
    fn rejection(&self) -> Option<CommitOutcome> {
        let appended_bytes = self.appended.bytes();
        if self.body.bytes() > CUSTOMER_BYTES_MAX {
            Some(CommitOutcome::TooLarge { bytes: self.body.bytes() })
        } else if self.appended.0.len() > APPENDED_MAX || appended_bytes > APPENDED_BYTES_MAX {
            Some(CommitOutcome::AppendedTooLarge { bytes: appended_bytes })
        } else {
            None
        }
    }
}

impl SledEngine {
    /// Commits a change: reserves the volume that it takes, swaps the customer, then settles and releases, in the order
    /// explained in [`super::volumes`]. A commit that fails half-way leaves its reservations to be recovered.
    pub async fn commit(self: &Arc<Self>, change: &Change<'_>) -> Result<CommitOutcome, StoreError> {
        let commit = EncodedChange::of(change)?;
        let _lock = self.customer_locks.shared(&commit.key).await;
        if change.expected == 0 && self.erasure_of(&change.customer.id)?.is_some() {
            return Ok(CommitOutcome::Erased);
        }
        // This process alone activates policies, and waits for the calls that it started before.
        if let Some(policy) = change.policy
            && self.policy_number()? != policy
        {
            return Ok(CommitOutcome::OtherPolicy);
        }
        let reservations = match self.reserve(change)? {
            ReservationOutcome::Reserved(reservations) => reservations,
            ReservationOutcome::Exhausted(offer) => return Ok(CommitOutcome::VolumeExhausted(offer)),
        };
        let outcome = self.commit_customer(&commit).await?;
        let is_committed = matches!(outcome, CommitOutcome::Committed { .. });
        if let Some(reservations) = reservations {
            if is_committed { self.settle(reservations)? } else { self.abandon(reservations)? }
        }
        if is_committed {
            self.release(change.releases)?;
        }
        Ok(outcome)
    }

    /// Commits the customer with its outbox, waiting for capacity in the outbox where needed.
    async fn commit_customer(&self, commit: &EncodedChange) -> Result<CommitOutcome, StoreError> {
        for _ in 0..OUTBOX_WAITS_MAX {
            match self.attempt(commit)? {
                StoreAttempt::Finished(outcome) => return Ok(outcome),
                StoreAttempt::OutboxFull => {
                    self.copy_outbox(&commit.key)?;
                    self.committer.durable().await?;
                }
            }
        }
        Err(StoreError::Failed { detail: "commit failed: the outbox of the customer stays full".to_owned() })
    }

    fn attempt(&self, commit: &EncodedChange) -> Result<StoreAttempt, StoreError> {
        failpoint!("store::before_apply", |_| stopped());
        if let Some(rejection) = commit.rejection() {
            return Ok(StoreAttempt::Finished(rejection));
        }
        let write = self.committer.begin_write();
        let before = if commit.expected == 0 { self.version_floor.load(Ordering::SeqCst) } else { commit.expected };
        let version = before + 1;
        let (outbox, is_first) = loop {
            let current = self.customer_bytes(&commit.key)?;
            let (stored_version, stored_outbox) = match &current {
                Some(bytes) => CustomerValue::parse(bytes).map(|value| (value.version, value.outbox))?,
                None => (0, Outbox::default()),
            };
            if stored_version != commit.expected {
                metrics::counter!("tactful_store_commit_conflicts_total").increment(1);
                return Ok(StoreAttempt::Finished(CommitOutcome::Conflict));
            }
            let Outbox(stored_entries) = stored_outbox;
            let stored_len = stored_entries.len();
            let retained = self.not_yet_durable(&commit.key, stored_entries);
            if retained.len() < stored_len {
                failpoint!("store::before_drop", |_| stopped());
            }
            let outbox = Outbox(retained.into_iter().chain(commit.appended.0.iter().cloned()).collect());
            if outbox.0.len() > OUTBOX_MAX || outbox.bytes() > OUTBOX_BYTES_MAX {
                return Ok(StoreAttempt::OutboxFull);
            }
            let bytes = encode_customer(version, &commit.body, &outbox)?;
            if self.swap(&commit.key, current.as_ref(), bytes)? {
                break (outbox, current.is_none());
            }
        };
        self.counters.customers.add_if(is_first);
        failpoint!("store::after_apply", |_| stopped());
        self.copy(&commit.key, &outbox, version, write)?;
        self.empty_oldest_outbox()?;
        Ok(StoreAttempt::Finished(CommitOutcome::Committed { version }))
    }

    /// Copies the entries in the outbox of a stored customer.
    fn copy_outbox(&self, key: &[u8]) -> Result<(), StoreError> {
        let write = self.committer.begin_write();
        let Some(bytes) = self.customer_bytes(key)? else { return Ok(()) };
        let value = CustomerValue::parse(&bytes)?;
        self.copy(key, &value.outbox, value.version, write)
    }

    /// Copies the entries that this process has not copied yet, and records that all up to `version` are copied.
    fn copy(&self, key: &[u8], outbox: &Outbox, version: u64, write: WriteGuard<'_>) -> Result<(), StoreError> {
        let copied_through = self.outbox_progress.copied_through(key);
        let Outbox(entries) = outbox;
        let mut uncopied = entries.iter().filter(|entry| entry.since > copied_through).peekable();
        while let Some(entry) = uncopied.next() {
            self.copy_entry(key, entry)?;
            if uncopied.peek().is_some() {
                failpoint!("store::between_copies", |_| stopped());
            }
        }
        failpoint!("store::after_copy", |_| stopped());
        let number = write.finish();
        if entries.is_empty() {
            self.outbox_progress.forget(key, version);
        } else {
            self.outbox_progress.record(key, version, number);
        }
        Ok(())
    }

    /// Copies one entry to history or to the decision log. Idempotent.
    pub(super) fn copy_entry(&self, key: &[u8], entry: &OutboxEntry) -> Result<(), StoreError> {
        let (tree, copy_key) = self.copy_target(key, entry)?;
        let (counter, bytes) = match &entry.item {
            OutboxItem::Event(bytes) => (&self.counters.events, bytes),
            OutboxItem::Decision(bytes) => (&self.counters.decisions, bytes),
        };
        counter.add_if(self.check(tree.insert(copy_key, bytes.as_slice()))?.is_none());
        Ok(())
    }

    /// Returns the tree and the key to which an entry is copied.
    pub(super) fn copy_target(&self, key: &[u8], entry: &OutboxEntry) -> Result<(&Tree, Vec<u8>), StoreError> {
        Ok(match &entry.item {
            OutboxItem::Event(bytes) => {
                // The event of a merged id is stored under that id.
                let event = decode_event(bytes)?;
                let of_event = event.customer.as_ref().map(customer_key);
                (&self.trees.history, event_key(of_event.as_deref().unwrap_or(key), &event.id))
            }
            OutboxItem::Decision(bytes) => (&self.trees.decisions, decision_key(key, decode_decision(bytes)?.id)),
        })
    }

    /// Returns the entries whose copies are not known to be durable. The others may be dropped.
    fn not_yet_durable(&self, key: &[u8], mut entries: Vec<OutboxEntry>) -> Vec<OutboxEntry> {
        let durable_through = self.outbox_progress.durable_through(key, self.committer.durable_through());
        entries.retain(|entry| entry.since > durable_through);
        entries
    }

    /// Empties the oldest outbox when there are too many: the outboxes of inactive customers would otherwise all be left
    /// to the recovery at the next start.
    fn empty_oldest_outbox(&self) -> Result<(), StoreError> {
        let Some(key) = self.outbox_progress.oldest_beyond_limit() else { return Ok(()) };
        let _write = self.committer.begin_write();
        let Some(current) = self.customer_bytes(&key)? else { return Ok(()) };
        let value = CustomerValue::parse(&current)?;
        let retained = self.not_yet_durable(&key, value.outbox.0.clone());
        let is_emptied =
            retained.is_empty() && self.swap(&key, Some(&current), value.with_outbox(&Outbox::default())?)?;
        if is_emptied {
            self.outbox_progress.forget(&key, value.version);
        } else {
            self.outbox_progress.defer(key);
        }
        Ok(())
    }

    /// Swaps a customer's value; false when another write has replaced `current`.
    pub(super) fn swap(&self, key: &[u8], current: Option<&IVec>, bytes: Vec<u8>) -> Result<bool, StoreError> {
        let swapped = self.trees.customers.compare_and_swap(key, current, Some(bytes));
        Ok(self.check(swapped)?.is_ok())
    }

    fn customer_bytes(&self, key: &[u8]) -> Result<Option<IVec>, StoreError> {
        self.check(self.trees.customers.get(key))
    }
}

/// Error of a commit that a failpoint stopped.
#[cfg(debug_assertions)]
fn stopped<Success>() -> Result<Success, StoreError> {
    Err(StoreError::Failed { detail: "stopped by a failpoint".to_owned() })
}
