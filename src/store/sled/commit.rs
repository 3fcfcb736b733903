//! One commit: a compare-and-swap on the customer's value, then the copies.

use std::sync::Arc;

use sled::{IVec, Tree};

use super::committer::WriteGuard;
use super::failpoint::failpoint;
use super::inner::Inner;
use super::volumes::ReservationOutcome;
use crate::store::codec::customer::{CustomerBody, CustomerValue, encode_customer};
use crate::store::codec::decision::decode_decision;
use crate::store::codec::event::decode_event;
use crate::store::codec::outbox::{Outbox, OutboxEntry, OutboxItem};
use crate::store::contract::change::{APPENDED_MAX, CUSTOMER_BYTES_MAX, Change, CommitOutcome};
use crate::store::contract::error::StoreError;
use crate::store::keys::{customer_key, decision_key, event_key};
use crate::store::ownership::require_granted_volume;

/// The most entries in an outbox. Twice what one commit may append, so that one commit need not wait for the one before.
const OUTBOX_MAX: usize = 2 * APPENDED_MAX;

/// How often a commit waits for room in the outbox. The first wait makes room unless another commit took it, and then
/// the version has moved on and the answer is a conflict.
const WAITS_FOR_ROOM_MAX: usize = 4;

/// A commit, encoded once for all its attempts.
struct Commit {
    key: Vec<u8>,
    expected: u64,
    body: CustomerBody,
    appended: Outbox,
}

enum CommitAttempt {
    Ended(CommitOutcome),
    /// What waits in the outbox leaves no room, but will be dropped once durable.
    NeedsRoom,
}

impl Commit {
    fn of(change: &Change<'_>) -> Result<Self, StoreError> {
        require_granted_volume(change)?;
        Ok(Self {
            key: customer_key(&change.customer.id),
            expected: change.expected,
            body: CustomerBody::of(change.customer)?,
            appended: Outbox::of(change)?,
        })
    }
}

impl Inner {
    /// Commits a change: reserves the volume that it takes, swaps the customer, then settles and releases. The order is that
    /// of [`super::volumes`]. A commit that fails half-way leaves its reservations to be recovered.
    pub async fn commit(self: &Arc<Self>, change: &Change<'_>) -> Result<CommitOutcome, StoreError> {
        let commit = Commit::of(change)?;
        let _lock = self.customer_locks.shared(&commit.key).await;
        if change.expected == 0 && self.erasure_of(&change.customer.id)?.is_some() {
            return Ok(CommitOutcome::Erased);
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

    /// Commits the customer with its outbox, waiting for room in it where needed.
    async fn commit_customer(&self, commit: &Commit) -> Result<CommitOutcome, StoreError> {
        for _ in 0..WAITS_FOR_ROOM_MAX {
            match self.attempt(commit)? {
                CommitAttempt::Ended(outcome) => return Ok(outcome),
                CommitAttempt::NeedsRoom => {
                    self.copy_outbox(&commit.key)?;
                    self.committer.durable().await?;
                }
            }
        }
        Err(StoreError::Failed { detail: "the outbox of a customer does not empty".to_owned() })
    }

    fn attempt(&self, commit: &Commit) -> Result<CommitAttempt, StoreError> {
        failpoint!("store::before_apply", |_| stopped());
        let write = self.committer.begin_write();
        let version = commit.expected + 1;
        let (outbox, is_first) = loop {
            let current = self.customers(&commit.key)?;
            let (found, waiting) = match &current {
                Some(bytes) => CustomerValue::parse(bytes).map(|value| (value.version, value.outbox))?,
                None => (0, Outbox::default()),
            };
            if found != commit.expected {
                metrics::counter!("tactful_store_commit_conflicts_total").increment(1);
                return Ok(CommitAttempt::Ended(CommitOutcome::Conflict));
            }
            let Outbox(waiting) = waiting;
            let waiting_before = waiting.len();
            let kept = self.not_yet_durable(&commit.key, waiting);
            if kept.len() < waiting_before {
                failpoint!("store::before_drop", |_| stopped());
            }
            let outbox = Outbox(kept.into_iter().chain(commit.appended.0.iter().cloned()).collect());
            let bytes = encode_customer(version, &commit.body, &outbox)?;
            if bytes.len() > CUSTOMER_BYTES_MAX || outbox.0.len() > OUTBOX_MAX || commit.appended.0.len() > APPENDED_MAX
            {
                return refuse_or_wait(commit, version);
            }
            if self.swap(&commit.key, current.as_ref(), bytes)? {
                break (outbox, current.is_none());
            }
        };
        self.counters.customers.add_if(is_first);
        failpoint!("store::after_apply", |_| stopped());
        self.copy(&commit.key, &outbox, version, write)?;
        self.empty_oldest_outbox()?;
        Ok(CommitAttempt::Ended(CommitOutcome::Committed { version }))
    }

    /// Copies what the outbox of a stored customer holds.
    fn copy_outbox(&self, key: &[u8]) -> Result<(), StoreError> {
        let write = self.committer.begin_write();
        let Some(bytes) = self.customers(key)? else { return Ok(()) };
        let value = CustomerValue::parse(&bytes)?;
        self.copy(key, &value.outbox, value.version, write)
    }

    /// Copies the entries not known to be copied, and notes that all up to `version` are.
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
            self.outbox_progress.note(key, version, number);
        }
        Ok(())
    }

    /// Copies one entry to where it belongs; a second time changes nothing.
    pub(super) fn copy_entry(&self, key: &[u8], entry: &OutboxEntry) -> Result<(), StoreError> {
        let (tree, copy_key) = self.copy_of(key, entry)?;
        let (counter, bytes) = match &entry.item {
            OutboxItem::Event(bytes) => (&self.counters.events, bytes),
            OutboxItem::Decision(bytes) => (&self.counters.decisions, bytes),
        };
        counter.add_if(self.healthy(tree.insert(copy_key, bytes.as_slice()))?.is_none());
        Ok(())
    }

    /// Where an entry is copied to.
    pub(super) fn copy_of(&self, key: &[u8], entry: &OutboxEntry) -> Result<(&Tree, Vec<u8>), StoreError> {
        Ok(match &entry.item {
            OutboxItem::Event(bytes) => (&self.trees.history, event_key(key, &decode_event(bytes)?.id)),
            OutboxItem::Decision(bytes) => (&self.trees.decisions, decision_key(key, decode_decision(bytes)?.id)),
        })
    }

    /// The entries whose copies are not known to be durable. The others may be dropped.
    fn not_yet_durable(&self, key: &[u8], mut entries: Vec<OutboxEntry>) -> Vec<OutboxEntry> {
        let durable_through = self.outbox_progress.durable_through(key, self.committer.durable_through());
        entries.retain(|entry| entry.since > durable_through);
        entries
    }

    /// Empties the outbox of the customer that has waited longest, when too many wait: customers who stay away would
    /// otherwise all wait for the sweep at the next start.
    fn empty_oldest_outbox(&self) -> Result<(), StoreError> {
        let Some(key) = self.outbox_progress.oldest_beyond_limit() else { return Ok(()) };
        let _write = self.committer.begin_write();
        let Some(current) = self.customers(&key)? else { return Ok(()) };
        let value = CustomerValue::parse(&current)?;
        let kept = self.not_yet_durable(&key, value.outbox.0.clone());
        let is_emptied = kept.is_empty() && self.swap(&key, Some(&current), value.with_outbox(&Outbox::default())?)?;
        if is_emptied {
            self.outbox_progress.forget(&key, value.version);
        } else {
            self.outbox_progress.defer(key);
        }
        Ok(())
    }

    /// Swaps a customer's value; false when it is not `current` any more.
    pub(super) fn swap(&self, key: &[u8], current: Option<&IVec>, bytes: Vec<u8>) -> Result<bool, StoreError> {
        let swapped = self.trees.customers.compare_and_swap(key, current, Some(bytes));
        Ok(self.healthy(swapped)?.is_ok())
    }

    fn customers(&self, key: &[u8]) -> Result<Option<IVec>, StoreError> {
        self.healthy(self.trees.customers.get(key))
    }
}

/// Too large by itself, or only together with what waits in the outbox?
fn refuse_or_wait(commit: &Commit, version: u64) -> Result<CommitAttempt, StoreError> {
    let bytes = encode_customer(version, &commit.body, &commit.appended)?.len();
    if bytes > CUSTOMER_BYTES_MAX || commit.appended.0.len() > APPENDED_MAX {
        return Ok(CommitAttempt::Ended(CommitOutcome::TooLarge { bytes }));
    }
    Ok(CommitAttempt::NeedsRoom)
}

/// Error of a commit that a failpoint stopped.
#[cfg(debug_assertions)]
fn stopped<Success>() -> Result<Success, StoreError> {
    Err(StoreError::Failed { detail: "stopped by a failpoint".to_owned() })
}
