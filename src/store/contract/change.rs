//! A commit: what it appends and how it ends.

use crate::domain::decision::Decision;
use crate::domain::event::Event;

/// Maximum size of an encoded customer, in bytes.
pub const CUSTOMER_BYTES_MAX: usize = 16 * 1024;
/// Maximum number of events and decisions that one commit appends.
pub const APPENDED_MAX: usize = 64;

/// Records that a commit adds to history and to the decision log.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Appended {
    /// Events of this customer, each with an id that history does not contain yet.
    pub events: Vec<Event>,
    /// The decision made, if any.
    pub decision: Option<Decision>,
}

/// Outcome of a commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
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
    /// The customer with its appended records exceeds [`CUSTOMER_BYTES_MAX`]; nothing changed. Trim the customer and retry.
    TooLarge {
        /// The size it would have, in bytes.
        bytes: usize,
    },
}
