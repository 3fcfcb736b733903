//! A customer: the unit of consistency. All that a decision changes about a customer is in this one value.

use std::collections::{BTreeMap, BTreeSet};

use super::ids::{Channel, CustomerId, HoldId, ProductId};
use super::ledger::Ledger;
use super::relationship::RelationshipState;
use super::time::Timestamp;

/// The most attributes of one customer.
pub const ATTRIBUTES_MAX: usize = 48;
/// The longest attribute name or value, in bytes.
pub const ATTRIBUTE_BYTES_MAX: usize = 128;
/// The most holds of one customer.
pub const HOLDS_MAX: usize = 16;
/// The longest note on a hold, in bytes.
pub const HOLD_NOTE_BYTES_MAX: usize = 256;
/// The most channels a customer can opt out of one by one.
pub const CHANNEL_OPT_OUTS_MAX: usize = 16;
/// The most holdings kept in full, the latest ones.
pub const HOLDINGS_MAX: usize = 160;
/// The most fingerprints of holdings no longer kept in full.
pub const FORGOTTEN_HOLDINGS_MAX: usize = 2048;

/// Everything that is kept about a customer outside the history.
#[derive(Debug, Clone, PartialEq)]
pub struct Customer {
    /// Who it is.
    pub id: CustomerId,
    /// The profile: segment, contract, region and whatever else the owner knows, at most [`ATTRIBUTES_MAX`].
    pub attributes: BTreeMap<String, String>,
    /// What the customer agreed to.
    pub consents: Consents,
    /// Reasons to offer nothing, each with its end, at most [`HOLDS_MAX`].
    pub holds: Vec<Hold>,
    /// What the customer has.
    pub holdings: Holdings,
    /// What relationship health is made from.
    pub relationship: RelationshipState,
    /// What was offered, and what may be offered now.
    pub ledger: Ledger,
}

impl Customer {
    /// A customer of whom nothing is known.
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

/// What a customer agreed to. The default: may be offered things, on every channel.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Consents {
    /// True: no offers at all.
    pub is_opted_out: bool,
    /// No offers on these channels.
    pub channel_opt_outs: BTreeSet<Channel>,
    /// True: the customer objects to profiling; no ranking and no training, so no offers.
    pub objects_to_profiling: bool,
}

/// A reason to offer nothing for a while.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hold {
    /// Names the hold.
    pub id: HoldId,
    /// Why.
    pub reason: HoldReason,
    /// For people; never shown to the customer.
    pub note: String,
    /// Since when.
    pub created_at: Timestamp,
    /// Until when; `None` until it is deleted.
    pub expires_at: Option<Timestamp>,
}

impl Hold {
    /// True from creation until just before the expiry.
    pub fn is_active(&self, now: Timestamp) -> bool {
        self.expires_at.is_none_or(|expires_at| now < expires_at)
    }
}

/// A hold that applies at the moment asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HoldInForce {
    /// The hold.
    pub hold: Hold,
    /// True when it follows from an event or a consent and cannot be deleted.
    pub is_derived: bool,
}

/// Why a customer is offered nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum HoldReason {
    /// The customer wants no offers.
    OptOut,
    /// A complaint is open, or was settled a short while ago.
    OpenComplaint,
    /// A person of the company asked for quiet.
    AgentHold,
    /// The customer gave notice.
    CancellationNotice,
    /// Debt is being collected.
    Collections,
    /// A death in the family.
    Bereavement,
    /// The customer needs particular care.
    Vulnerability,
    /// The customer objects to profiling.
    ProfilingObjection,
}

impl HoldReason {
    /// The reason's name in answers and logs.
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

/// What a customer has or had, bounded: the latest in full, the rest as fingerprints.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Holdings {
    /// At most [`HOLDINGS_MAX`], the ones touched last.
    pub latest: BTreeMap<ProductId, Holding>,
    /// 24-bit fingerprints of older holdings, at most [`FORGOTTEN_HOLDINGS_MAX`]. A collision makes a product look
    /// owned that is not: one in 8,000 at worst, and it only withholds.
    pub forgotten: BTreeSet<u32>,
}

/// What is known of one product in a customer's hands. Every field can be updated in any order of events.
#[derive(Debug, Clone, PartialEq)]
pub struct Holding {
    /// The earliest purchase or start.
    pub first_at: Timestamp,
    /// The latest purchase, start or renewal.
    pub last_at: Timestamp,
    /// Items bought.
    pub bought: u64,
    /// Items brought back.
    pub returned: u64,
    /// The latest start or renewal of a subscription.
    pub subscribed_at: Option<Timestamp>,
    /// The latest end, cancellation or move to a lesser product.
    pub ended_at: Option<Timestamp>,
    /// The latest return.
    pub returned_at: Option<Timestamp>,
    /// The latest use of an allowance: when, and the share used (1 is all of it).
    pub usage: Option<(Timestamp, f64)>,
}

impl Holding {
    /// A product touched at this moment and nothing else known.
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

    /// True while the customer has it: not ended since it last began, and not all brought back.
    pub fn is_owned(&self) -> bool {
        let has_ended = self.ended_at.is_some_and(|ended_at| ended_at >= self.last_at);
        !has_ended && (self.subscribed_at.is_some() || self.bought > self.returned)
    }

    /// True while a subscription runs.
    pub fn is_subscribed(&self) -> bool {
        self.subscribed_at.is_some_and(|began_at| self.ended_at.is_none_or(|ended_at| ended_at < began_at))
    }
}

impl Holdings {
    /// True when the customer has the product, or had it so long ago that only its fingerprint is left.
    pub fn owns(&self, product: &ProductId) -> bool {
        match self.latest.get(product) {
            Some(holding) => holding.is_owned(),
            None => self.forgotten.contains(&fingerprint(product)),
        }
    }

    /// The products held now that are kept in full.
    pub fn owned(&self) -> impl Iterator<Item = (&ProductId, &Holding)> {
        self.latest.iter().filter(|(_, holding)| holding.is_owned())
    }

    /// The holding of a product touched at `at`, made when there is none. Call [`Holdings::trim`] afterwards.
    pub fn touch(&mut self, product: &ProductId, at: Timestamp) -> &mut Holding {
        self.latest.entry(product.clone()).or_insert_with(|| Holding::touched_at(at))
    }

    /// Turns the oldest holdings into fingerprints until at most `keep` are kept in full.
    pub fn trim(&mut self, keep: usize) {
        while self.latest.len() > keep {
            let oldest = self.latest.iter().min_by_key(|(product, holding)| (holding.last_at, *product));
            let Some((product, holding)) = oldest else { return };
            let (product, was_owned) = (product.clone(), holding.is_owned());
            self.latest.remove(&product);
            if was_owned && self.forgotten.len() < FORGOTTEN_HOLDINGS_MAX {
                self.forgotten.insert(fingerprint(&product));
            }
        }
    }
}

/// The lower 24 bits of the FNV-1a hash of a product id, which [`Holdings::forgotten`] keeps.
pub fn fingerprint(product: &ProductId) -> u32 {
    let hash = product
        .as_str()
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
    u32::try_from((hash ^ (hash >> 24) ^ (hash >> 48)) & 0x00ff_ffff).expect("24 bits fit")
}
