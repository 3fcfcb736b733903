//! The loop of load, change and commit that is behind every write to a customer.
//!
//! A commit succeeds only against the version that was read, so a change that meets another one starts over from a fresh
//! read. [`serve_offers`](super::serve_offers) has a loop of its own around the same [`commit`]: what it decides differs
//! from attempt to attempt, and it takes volume.

use super::app::App;
use super::load_customer::load_or_unknown;
use super::volumes::{explicit_grants, released_units};
use crate::domain::customer::Customer;
use crate::domain::decision::Decision;
use crate::domain::event::Event;
use crate::domain::ids::{CustomerId, OfferId};
use crate::domain::state_bounds::StateBounds;
use crate::store::contract::change::{Change, CommitOutcome, VolumeUnit};
use crate::store::contract::error::StoreError;
use crate::store::contract::versioned::Versioned;
use crate::telemetry::call_context::CallStage;

/// Maximum number of attempts. In each round one call succeeds, so this many calls may meet on one customer before one of
/// them gives up.
pub(super) const ATTEMPTS_MAX: usize = 256;
/// Number of detailed holdings below which trimming them further would not make the record fit.
const DETAILED_HOLDINGS_MIN: usize = 16;

/// Reason for which a change was not committed although the store works.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ChangeRejection {
    /// Other calls kept changing the customer; the caller may retry.
    #[error("too many calls for this customer at once")]
    Contended,
    /// The customer's record has reached its maximum size.
    #[error("the customer's record is full")]
    CustomerFull,
    /// The customer was erased, and nothing may be stored under this id again.
    #[error("the customer was erased")]
    CustomerErased,
}

/// Error returned by a change of a customer. The errors of use cases that change one embed it.
#[derive(Debug, thiserror::Error)]
pub enum ChangeError {
    /// The change was not committed.
    #[error(transparent)]
    Rejected(#[from] ChangeRejection),
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Result of one application of a change to a customer as it was read.
pub(super) enum CustomerChange<T> {
    /// The customer is to be committed, with events that the commit appends to history. Grants of explicit offers that are no
    /// longer in its ledger return their units to the volumes.
    Commit { customer: Customer, events: Vec<Event>, result: T },
    /// There is nothing to commit.
    Unchanged { customer: Customer, result: T },
}

/// Loads the customer, applies `change` and commits, again from the start while other calls change the customer
/// meanwhile. Returns the customer as it is stored afterwards and the result of the attempt that was committed. The commit
/// is not yet durable.
pub(super) async fn change_customer<T, E, C>(
    app: &App,
    id: &CustomerId,
    // Not `AsyncFnMut`: the compiler cannot prove its futures to be `Send`.
    change: impl Fn(Versioned<Customer>) -> C,
) -> Result<(Customer, T), E>
where
    E: From<ChangeError>,
    C: Future<Output = Result<CustomerChange<T>, E>>,
{
    let store = app.store.as_ref();
    for _ in 0..ATTEMPTS_MAX {
        let loaded = CallStage::Load.instrument(load_or_unknown(store, id)).await.map_err(ChangeError::from)?;
        let version = loaded.version;
        let grants = explicit_grants(&loaded.value.ledger);
        let (mut customer, events, result) = match change(loaded).await? {
            CustomerChange::Commit { customer, events, result } => (customer, events, result),
            CustomerChange::Unchanged { customer, result } => return Ok((customer, result)),
        };
        let releases = released_units(grants, &customer.ledger);
        let records = CommitRecords { events: &events, releases: &releases, ..CommitRecords::default() };
        let committing = CallStage::Commit.instrument(commit(app, version, &mut customer, records));
        match committing.await.map_err(ChangeError::from)? {
            CommitAttempt::Committed => {
                for unit in &releases {
                    app.exhausted_offers.remove(&unit.offer);
                }
                return Ok((customer, result));
            }
            // Nothing is taken here, so no volume can be exhausted.
            CommitAttempt::Conflict | CommitAttempt::VolumeExhausted(_) => {}
            CommitAttempt::Erased => return Err(ChangeError::from(ChangeRejection::CustomerErased).into()),
            CommitAttempt::Full => return Err(ChangeError::from(ChangeRejection::CustomerFull).into()),
        }
    }
    Err(ChangeError::from(ChangeRejection::Contended).into())
}

/// Outcome of one attempt to commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum CommitAttempt {
    Committed,
    Conflict,
    /// The customer was erased; nothing may be stored under this id again.
    Erased,
    /// The record would exceed its maximum size, and nothing more may be trimmed; or the appended records exceed theirs, and
    /// fewer of them may fit.
    Full,
    /// No unit is left of the volume of this offer.
    VolumeExhausted(OfferId),
}

/// Records that a commit adds beside the customer.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct CommitRecords<'a> {
    pub(super) events: &'a [Event],
    pub(super) decision: Option<&'a Decision>,
    /// Offers of whose volume the decision takes a unit.
    pub(super) takes: &'a [OfferId],
    /// Units that return to their volumes.
    pub(super) releases: &'a [VolumeUnit],
}

/// Commits against the version that was read. When the record is too large, the holdings that rules need least are evicted.
pub(super) async fn commit(
    app: &App,
    read_version: u64,
    customer: &mut Customer,
    records: CommitRecords<'_>,
) -> Result<CommitAttempt, StoreError> {
    let CommitRecords { events, decision, takes, releases } = records;
    loop {
        let change = Change { expected: read_version, customer, events, decision, takes, releases, now: app.now() };
        match app.store.commit(change).await? {
            CommitOutcome::Committed { version: _ } => return Ok(CommitAttempt::Committed),
            CommitOutcome::Conflict => return Ok(CommitAttempt::Conflict),
            CommitOutcome::Erased => return Ok(CommitAttempt::Erased),
            CommitOutcome::VolumeExhausted(offer) => return Ok(CommitAttempt::VolumeExhausted(offer)),
            CommitOutcome::AppendedTooLarge { bytes: _ } => return Ok(CommitAttempt::Full),
            CommitOutcome::TooLarge { bytes } => {
                let detailed = customer.holdings.latest.len();
                if detailed <= DETAILED_HOLDINGS_MIN {
                    tracing::warn!(bytes, "customer record is full");
                    return Ok(CommitAttempt::Full);
                }
                customer.holdings.trim(detailed * 3 / 4, &StateBounds::STORED, app.now());
            }
        }
    }
}
