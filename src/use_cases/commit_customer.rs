//! One attempt to commit a customer against the version that was read.

use super::app::App;
use crate::domain::customer::Customer;
use crate::domain::decision::Decision;
use crate::domain::event::Event;
use crate::domain::ids::OfferId;
use crate::domain::state_bounds::StateBounds;
use crate::store::contract::change::{Change, CommitOutcome, VolumeUnit};
use crate::store::contract::error::StoreError;

/// Maximum number of attempts. In each round one call succeeds, so this many calls may meet on one customer before one of
/// them gives up.
pub(super) const ATTEMPTS_MAX: usize = 256;
/// Number of detailed holdings below which trimming them further would not make the record fit.
const DETAILED_HOLDINGS_MIN: usize = 16;

/// Outcome of one attempt to commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum CommitAttempt {
    Committed,
    Conflict,
    /// Another policy is in force than the one that the change was decided under.
    OtherPolicy,
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
    /// Number of the policy that the change was decided under.
    pub(super) policy: Option<u64>,
}

/// Commits against the version that was read. When the record is too large, the holdings that rules need least are evicted.
pub(super) async fn commit(
    app: &App,
    read_version: u64,
    customer: &mut Customer,
    records: CommitRecords<'_>,
) -> Result<CommitAttempt, StoreError> {
    let CommitRecords { events, decision, takes, releases, policy } = records;
    loop {
        let change =
            Change { expected: read_version, customer, events, decision, takes, releases, policy, now: app.now() };
        match app.store.commit(change).await? {
            CommitOutcome::Committed { version: _ } => return Ok(CommitAttempt::Committed),
            CommitOutcome::Conflict => return Ok(CommitAttempt::Conflict),
            CommitOutcome::OtherPolicy => return Ok(CommitAttempt::OtherPolicy),
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
