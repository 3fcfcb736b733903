//! The customer record, the unit of consistency: everything that a decision changes is in this one value.

use std::collections::{BTreeMap, BTreeSet};

use super::channel::ConsentKind;
use super::holdings::Holdings;
use super::ids::{Channel, CustomerId, HoldId};
use super::ledger::Ledger;
use super::merge::MergeState;
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
/// Maximum number of single channels with a recorded consent.
pub const CHANNEL_CONSENTS_MAX: usize = 16;
/// Maximum length of the source of a consent, in bytes.
pub const CONSENT_SOURCE_BYTES_MAX: usize = 128;

/// Everything that is stored about a customer apart from events and decisions.
#[derive(Debug, Clone, PartialEq)]
pub struct Customer {
    /// Id of the customer.
    pub id: CustomerId,
    /// Other ids of the customer, and merges in progress.
    pub merge: MergeState,
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
            merge: MergeState::default(),
            attributes: BTreeMap::new(),
            consents: Consents::default(),
            holds: Vec::new(),
            holdings: Holdings::default(),
            relationship: RelationshipState::default(),
            ledger: Ledger::default(),
        }
    }
}

/// A customer's consents, opt-outs and objections. By default offers are allowed on every channel for which the policy
/// demands no recorded consent. An opt-out takes precedence over a consent, whichever is later.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Consents {
    /// Whether the customer wants no offers at all.
    pub is_opted_out: bool,
    /// Channels on which the customer wants no offers, as the caller wrote them.
    pub channel_opt_outs: BTreeSet<Channel>,
    /// Recorded consents by channel, as the caller wrote it; at most [`CHANNEL_CONSENTS_MAX`].
    pub channel_consents: BTreeMap<Channel, ChannelConsent>,
    /// Whether the customer objects to profiling: no ranking and no training, so no offers.
    pub objects_to_profiling: bool,
}

/// A recorded consent to offers on a channel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChannelConsent {
    /// Kind of the consent.
    pub kind: ConsentKind,
    /// Time at which the customer gave it.
    pub granted_at: Timestamp,
    /// Place where it was given, such as a form with its version; at most [`CONSENT_SOURCE_BYTES_MAX`] bytes.
    pub source: String,
}

impl Consents {
    /// Adds further opt-outs, objections and consents, and clears none. Of two consents to one channel the earlier one stays.
    /// With more opt-outs of channels than fit, the customer is opted out of all offers.
    pub fn add(&mut self, further: Self) {
        let Self { is_opted_out, channel_opt_outs, channel_consents, objects_to_profiling } = further;
        self.is_opted_out |= is_opted_out;
        self.objects_to_profiling |= objects_to_profiling;
        for channel in channel_opt_outs {
            if self.channel_opt_outs.len() < CHANNEL_OPT_OUTS_MAX {
                self.channel_opt_outs.insert(channel);
            } else {
                self.is_opted_out |= !self.channel_opt_outs.contains(&channel);
            }
        }
        for (channel, consent) in channel_consents {
            if self.channel_consents.contains_key(&channel) || self.channel_consents.len() < CHANNEL_CONSENTS_MAX {
                self.channel_consents.entry(channel).or_insert(consent);
            }
        }
    }
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
    /// Ids of the customer are being merged, split or erased.
    Merge,
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
            Self::Merge => "merge",
        }
    }
}
