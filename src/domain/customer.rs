//! The customer record, the unit of consistency: everything that a decision changes is in this one value.

use std::collections::{BTreeMap, BTreeSet};

use super::ids::{Channel, CustomerId, HoldId, ProductId};
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
/// Maximum number of holdings stored in full: the latest ones.
pub const HOLDINGS_MAX: usize = 160;
/// Maximum number of fingerprints of older holdings.
pub const HOLDING_FINGERPRINTS_MAX: usize = 2048;

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

/// Products that a customer has or had, bounded: the latest in full, older ones as fingerprints.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Holdings {
    /// The most recently changed holdings, at most [`HOLDINGS_MAX`].
    pub latest: BTreeMap<ProductId, Holding>,
    /// 24-bit fingerprints of older owned products, at most [`HOLDING_FINGERPRINTS_MAX`]. A collision makes a product look
    /// owned that is not: one in 8,000 at worst, and the product is then not offered.
    pub fingerprints: BTreeSet<u32>,
}

/// A product that a customer has or had. Every field can be updated in any order of events.
#[derive(Debug, Clone, PartialEq)]
pub struct Holding {
    /// Earliest purchase or start of a subscription.
    pub first_at: Timestamp,
    /// Latest purchase, start or renewal.
    pub last_at: Timestamp,
    /// Number of items bought.
    pub bought: u64,
    /// Number of items returned.
    pub returned: u64,
    /// Latest start or renewal of a subscription.
    pub subscribed_at: Option<Timestamp>,
    /// Latest end, cancellation or downgrade.
    pub ended_at: Option<Timestamp>,
    /// Latest return.
    pub returned_at: Option<Timestamp>,
    /// Latest use of an allowance: the time, and the share used (1 is all of it).
    pub usage: Option<(Timestamp, f64)>,
}

impl Holding {
    /// Creates a holding with nothing but its first time.
    pub fn touched_at(at: Timestamp) -> Self {
        Self {
            first_at: at,
            last_at: at,
            bought: 0,
            returned: 0,
            subscribed_at: None,
            ended_at: None,
            returned_at: None,
            usage: None,
        }
    }

    /// Whether the customer has it: not ended since it last started, and not all items returned.
    pub fn is_owned(&self) -> bool {
        let has_ended = self.ended_at.is_some_and(|ended_at| ended_at >= self.last_at);
        !has_ended && (self.subscribed_at.is_some() || self.bought > self.returned)
    }

    /// Whether a subscription is running.
    pub fn is_subscribed(&self) -> bool {
        self.subscribed_at.is_some_and(|started_at| self.ended_at.is_none_or(|ended_at| ended_at < started_at))
    }
}

impl Holdings {
    /// Whether the customer has the product; also true for an older holding of which only the fingerprint is left.
    pub fn owns(&self, product: &ProductId) -> bool {
        match self.latest.get(product) {
            Some(holding) => holding.is_owned(),
            None => self.fingerprints.contains(&fingerprint(product)),
        }
    }

    /// Owned products among the holdings stored in full.
    pub fn owned(&self) -> impl Iterator<Item = (&ProductId, &Holding)> {
        self.latest.iter().filter(|(_, holding)| holding.is_owned())
    }

    /// Returns the holding of a product, created at `at` if there is none. Call [`Holdings::trim`] afterwards.
    pub fn touch(&mut self, product: &ProductId, at: Timestamp) -> &mut Holding {
        self.latest.entry(product.clone()).or_insert_with(|| Holding::touched_at(at))
    }

    /// Turns the oldest holdings into fingerprints until at most `len_max` are stored in full.
    pub fn trim(&mut self, len_max: usize) {
        while self.latest.len() > len_max {
            let oldest = self.latest.iter().min_by_key(|(product, holding)| (holding.last_at, *product));
            let Some((product, holding)) = oldest else { return };
            let (product, was_owned) = (product.clone(), holding.is_owned());
            self.latest.remove(&product);
            if was_owned && self.fingerprints.len() < HOLDING_FINGERPRINTS_MAX {
                self.fingerprints.insert(fingerprint(&product));
            }
        }
    }
}

/// The lower 24 bits of the FNV-1a hash of a product id, which [`Holdings::fingerprints`] stores.
pub fn fingerprint(product: &ProductId) -> u32 {
    let hash = product
        .as_str()
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
    u32::try_from((hash ^ (hash >> 24) ^ (hash >> 48)) & 0x00ff_ffff).expect("24 bits fit")
}
