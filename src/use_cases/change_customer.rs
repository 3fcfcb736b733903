//! The loop of load, change and commit that is behind every write to a customer.
//!
//! A commit succeeds only against the version that was read, so a change that meets another one starts over from a fresh
//! read. [`serve_offers`](super::serve_offers) has a loop of its own around the same [`commit`]: what it decides differs
//! from attempt to attempt, and it takes volume. A customer whose merge was interrupted is merged first.

use super::app::App;
use super::commit_customer::{ATTEMPTS_MAX, CommitAttempt, CommitRecords, commit};
use super::finish_merge::{MergeEnd, resume_merge};
use super::load_customer::load_or_unknown;
use super::volumes::{explicit_grants, released_units};
use crate::domain::customer::Customer;
use crate::domain::event::Event;
use crate::domain::ids::CustomerId;
use crate::store::contract::error::StoreError;
use crate::store::contract::versioned::Versioned;
use crate::telemetry::call_context::CallStage;

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
    /// There is nothing to commit: what was read is the answer, once it is confirmed.
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
        if loaded.value.merge.is_in_progress() {
            match resume_merge(app, &loaded.value.id).await.map_err(ChangeError::from)? {
                MergeEnd::Contended => break,
                MergeEnd::Finished | MergeEnd::CustomerFull => continue,
            }
        }
        let version = loaded.version;
        let grants = explicit_grants(&loaded.value.ledger);
        let (mut customer, events, result) = match change(loaded).await? {
            CustomerChange::Commit { customer, events, result } => (customer, events, result),
            CustomerChange::Unchanged { customer, result } => {
                if CallStage::Durable
                    .instrument(store.confirm(&customer.id, version))
                    .await
                    .map_err(ChangeError::from)?
                {
                    return Ok((customer, result));
                }
                continue;
            }
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
            // Nothing is taken here, so no volume can be exhausted, and no policy is named.
            CommitAttempt::Conflict | CommitAttempt::VolumeExhausted(_) | CommitAttempt::OtherPolicy => {}
            CommitAttempt::Erased => return Err(ChangeError::from(ChangeRejection::CustomerErased).into()),
            CommitAttempt::Full => return Err(ChangeError::from(ChangeRejection::CustomerFull).into()),
        }
    }
    Err(ChangeError::from(ChangeRejection::Contended).into())
}
