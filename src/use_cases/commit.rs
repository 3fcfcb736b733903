//! Commits a changed customer, making room where room can be made.

use crate::domain::customer::Customer;
use crate::domain::ids::CustomerId;
use crate::store::contract::{Appended, CommitOutcome, Store, StoreError, Versioned};

/// How often a change is tried again when others changed the customer meanwhile. Each round some call succeeds, so this
/// many calls may meet on one customer before one gives up.
pub(super) const ATTEMPTS_MAX: usize = 256;
/// With fewer holdings than this in full the rest of the record is the trouble, and forgetting more would not help.
const HOLDINGS_KEPT_MIN: usize = 16;

/// How an attempt to commit ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Attempt {
    Committed,
    Conflict,
    /// The customer was erased; nothing may be stored of this id again.
    Erased,
    /// The record would be too large, and nothing more may be forgotten for this.
    Full,
}

/// Reads a customer; one that is not stored is an unknown one at version 0. One who was erased wants nothing any more.
pub(super) async fn load_or_unknown(store: &dyn Store, id: &CustomerId) -> Result<Versioned<Customer>, StoreError> {
    if let Some(loaded) = store.load_customer(id).await? {
        return Ok(loaded);
    }
    let mut customer = Customer::unknown(id.clone());
    customer.consents.is_opted_out = store.load_erasure(id).await?.is_some();
    Ok(Versioned { version: 0, value: customer })
}

/// Commits against the version that was read. A record that is too large turns its oldest holdings into fingerprints,
/// unless it is several events that make it so: fewer at once may fit.
pub(super) async fn commit(
    store: &dyn Store,
    read_version: u64,
    customer: &mut Customer,
    appended: &Appended,
) -> Result<Attempt, StoreError> {
    loop {
        match store.commit_customer(read_version, customer, appended).await? {
            CommitOutcome::Committed { version: _ } => return Ok(Attempt::Committed),
            CommitOutcome::Conflict => return Ok(Attempt::Conflict),
            CommitOutcome::Erased => return Ok(Attempt::Erased),
            CommitOutcome::TooLarge { bytes } => {
                let kept = customer.holdings.latest.len();
                if appended.events.len() > 1 {
                    return Ok(Attempt::Full);
                }
                if kept <= HOLDINGS_KEPT_MIN {
                    tracing::warn!(bytes, "a customer's record is full");
                    return Ok(Attempt::Full);
                }
                customer.holdings.trim(kept * 3 / 4);
            }
        }
    }
}
