//! Change of one customer, and the outcome of its commit.

use crate::domain::customer::Customer;
use crate::domain::decision::Decision;
use crate::domain::event::Event;
use crate::domain::ids::{DecisionId, OfferId};
use crate::domain::time::Timestamp;

/// Maximum size of an encoded customer, in bytes, without the records that commits append.
pub const CUSTOMER_BYTES_MAX: usize = 16 * 1024;
/// Maximum size of the encoded events and decisions that one commit appends, in bytes. It is a budget of its own: what waits
/// to be copied out of a customer's value must not evict what the customer has.
pub const APPENDED_BYTES_MAX: usize = 12 * 1024;
/// Maximum number of events and decisions that one commit appends.
pub const APPENDED_MAX: usize = 64;

/// Change of one customer with the records appended with it. It is committed as a whole or not at all.
#[derive(Debug, Clone, Copy)]
pub struct Change<'a> {
    /// Version at which the customer was read; 0 when it was not stored.
    pub expected: u64,
    /// The customer as it is to be stored.
    pub customer: &'a Customer,
    /// Events of this customer to append to history, each with an id that history does not contain yet. An event of one of
    /// its other ids is stored under that id.
    pub events: &'a [Event],
    /// Decision about this customer to append to the decision log.
    pub decision: Option<&'a Decision>,
    /// Explicit offers that the decision grants: it takes one unit of the volume of each.
    pub takes: &'a [OfferId],
    /// Units that return to their volumes, because their grants were released. Each may be released once.
    pub releases: &'a [VolumeUnit],
    /// Number of the policy that the change was decided under; `None` when it rests on none.
    pub policy: Option<u64>,
    /// Time of the commit.
    pub now: Timestamp,
}

impl<'a> Change<'a> {
    /// Creates a change of the customer alone.
    pub fn new(expected: u64, customer: &'a Customer, now: Timestamp) -> Self {
        Self { expected, customer, events: &[], decision: None, takes: &[], releases: &[], policy: None, now }
    }
}

/// One unit of an explicit offer's volume, identified by the decision that took it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VolumeUnit {
    /// The explicit offer.
    pub offer: OfferId,
    /// Decision that took the unit.
    pub decision: DecisionId,
}

/// Outcome of a commit; every one but `Committed` has changed nothing. When several apply, which one is returned is up to the
/// backend.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CommitOutcome {
    /// The customer now has this version.
    Committed {
        /// The version after the commit.
        version: u64,
    },
    /// The customer changed since it was read; read again and decide again.
    Conflict,
    /// The customer was erased and cannot be stored again.
    Erased,
    /// The customer exceeds [`CUSTOMER_BYTES_MAX`]; trim the customer and retry.
    TooLarge {
        /// Size that the customer would have, in bytes.
        bytes: usize,
    },
    /// The appended records exceed [`APPENDED_MAX`] or [`APPENDED_BYTES_MAX`]; append fewer of them.
    AppendedTooLarge {
        /// Size of the appended records, in bytes.
        bytes: usize,
    },
    /// Another policy is in force than the one that the change was decided under; decide again under that one.
    OtherPolicy,
    /// No unit is left of the volume of this offer, or the offer is not stored any more; decide again without it.
    VolumeExhausted(OfferId),
}
