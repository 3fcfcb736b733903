//! The customer record, the unit of consistency: everything that a decision changes is in this one value.

use std::collections::{BTreeMap, BTreeSet};

use super::holdings::Holdings;
use super::ids::{Channel, CustomerId, HoldId};
use super::ledger::Ledger;
use super::relationship::RelationshipState;
use super::time::Timestamp;

/// Maximum number of attributes of one customer.
pub const ATTRIBUTES_MAX: usize = 48;
/// Maximum length of an attribute name or value, in bytes.
pub const ATTRIBUTE_BYTES_MAX: usize = 128;
/// Maximum number of created holds of one customer.
pub const HOLDS_MAX: usize = 16;
/// Maximum length of the note on a hold, in bytes.
pub const HOLD_NOTE_BYTES_MAX: usize = 256;
/// Maximum number of single channels that a customer can opt out of.
pub const CHANNEL_OPT_OUTS_MAX: usize = 16;

/// Everything that is stored about a customer apart from events and decisions.
#[derive(Debug, Clone, PartialEq)]
pub struct Customer {
    /// Id of the customer.
    pub id: CustomerId,
    /// The profile, such as segment, contract and region; at most [`ATTRIBUTES_MAX`] attributes.
    pub attributes: BTreeMap<String, String>,
    /// Opt-outs and objections.
    pub consents: Consents,
    /// Holds that agents created, at most [`HOLDS_MAX`].
    pub holds: Vec<Hold>,
    /// Products that the customer has or had.
    pub holdings: Holdings,
    /// State that relationship health is computed from.
    pub relationship: RelationshipState,
    /// Granted offers and the state of the caps.
    pub ledger: Ledger,
}

impl Customer {
    /// Creates a customer without any history.
    pub fn unknown(id: CustomerId) -> Self {
        Self {
            id,
            attributes: BTreeMap::new(),
            consents: Consents::default(),
            holds: Vec::new(),
            holdings: Holdings::default(),
            relationship: RelationshipState::default(),
            ledger: Ledger::default(),
        }
    }
}

/// A customer's opt-outs and objections. By default offers are allowed on every channel.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Consents {
    /// Whether the customer wants no offers at all.
    pub is_opted_out: bool,
    /// Channels on which the customer wants no offers.
    pub channel_opt_outs: BTreeSet<Channel>,
    /// Whether the customer objects to profiling: no ranking and no training, so no offers.
    pub objects_to_profiling: bool,
}

/// A suspension of all offers to a customer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hold {
    /// Id of the hold.
    pub id: HoldId,
    /// Reason for the hold.
    pub reason: HoldReason,
    /// Note for agents; never shown to the customer.
    pub note: String,
    /// Start of the hold.
    pub created_at: Timestamp,
    /// End of the hold; `None` for a hold that lasts until it is deleted.
    pub expires_at: Option<Timestamp>,
}

impl Hold {
    /// Whether the hold is in force: until just before it expires.
    pub fn is_active(&self, now: Timestamp) -> bool {
        self.expires_at.is_none_or(|expires_at| now < expires_at)
    }
}

/// A hold in force at a given moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ActiveHold {
    /// The hold.
    pub hold: Hold,
    /// Whether it is derived from an event or a consent, so that it cannot be deleted.
    pub is_derived: bool,
    /// Resolution of the complaint that it follows; `None` for an open complaint and for other holds.
    pub resolved_at: Option<Timestamp>,
}

/// Reason for a hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum HoldReason {
    /// The customer wants no offers.
    OptOut,
    /// A complaint is open, or was resolved recently.
    OpenComplaint,
    /// An agent asked for no offers.
    AgentHold,
    /// The customer gave notice of cancellation.
    CancellationNotice,
    /// Debt is being collected.
    Collections,
    /// There was a death in the family.
    Bereavement,
    /// The customer needs particular care.
    Vulnerability,
    /// The customer objects to profiling.
    ProfilingObjection,
}

impl HoldReason {
    /// Name in responses and logs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::OptOut => "opt_out",
            Self::OpenComplaint => "open_complaint",
            Self::AgentHold => "agent_hold",
            Self::CancellationNotice => "cancellation_notice",
            Self::Collections => "collections",
            Self::Bereavement => "bereavement",
            Self::Vulnerability => "vulnerability",
            Self::ProfilingObjection => "profiling_objection",
        }
    }
}
