//! The record of one decision, with everything that led to it.

use std::collections::BTreeMap;
use std::time::Duration;

use super::customer::HoldReason;
use super::ids::{Channel, CustomerId, DecisionId, Placement};
use super::offer::{Offer, OfferKind};
use super::rejected_candidate::RejectedCandidate;
use super::relationship::RelationshipHealth;
use super::time::Timestamp;
use super::withheld_reason::WithheldReason;

/// One decision. A retry returns the record; it is never computed again.
#[derive(Debug, Clone, PartialEq)]
pub struct Decision {
    /// Id of the decision.
    pub id: DecisionId,
    /// The customer.
    pub customer: CustomerId,
    /// Cross-sell or up-sell.
    pub kind: OfferKind,
    /// Time of the decision.
    pub at: Timestamp,
    /// Channel of the query.
    pub channel: Option<Channel>,
    /// Placement of the query.
    pub placement: Option<Placement>,
    /// The offers, best first; may be empty.
    pub slate: Vec<Offer>,
    /// The slate that a customer of the control group would have got.
    pub would_be_slate: Vec<Offer>,
    /// One sentence for agents.
    pub message: String,
    /// Relationship health at the time.
    pub relationship_health: RelationshipHealth,
    /// Every cap that applies, the customer's own first.
    pub caps: Vec<Cap>,
    /// Index in `caps` of the binding cap; `None` when no cap withheld an offer.
    pub binding_cap: Option<usize>,
    /// Number of withheld candidates by reason.
    pub withheld: BTreeMap<WithheldReason, u32>,
    /// The rejected candidates that came closest to the slate, closest first.
    pub rejected_candidates: Vec<RejectedCandidate>,
    /// Version of the active policy.
    pub policy_version: String,
    /// Version of the model that proposed the candidates; 0 without a model.
    pub model_version: u64,
    /// Time at which the candidates were ranked: before `at` for a cached ranking.
    pub ranked_at: Timestamp,
}

/// State of one cap, after this decision.
#[derive(Debug, Clone, PartialEq)]
pub struct Cap {
    /// Kind of cap.
    pub kind: CapKind,
    /// Maximum number of offers within the window.
    pub limit: u32,
    /// Number of offers that count now, including those of this decision.
    pub used: u32,
    /// Number of offers left.
    pub remaining: u32,
    /// The sliding window; zero where none applies.
    pub window: Duration,
    /// Time at which one more offer becomes possible under this cap alone; `None` when one is possible now, or when the time
    /// is unknown.
    pub next_eligible_at: Option<Timestamp>,
}

/// Kind of cap. Caps combine with AND.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum CapKind {
    /// Offers of any kind, set by relationship health.
    RelationshipHealth,
    /// Up-sell offers, set by relationship health.
    UpSell,
    /// After a fall the cap rises slowly: by default one offer a week.
    SlowRise,
    /// A hold: no offers.
    Hold(HoldReason),
    /// A pause after a rejection: no offers.
    BackOff,
    /// A pause after a purchase, return, ticket or payment problem: no offers.
    QuietPeriod,
    /// The customer opted out of the channel: no offers.
    ChannelOptOut,
    /// Offers on the channel of the query.
    Channel,
    /// The customer is in the control group: no offers.
    ControlGroup,
}

impl CapKind {
    /// Name in responses and logs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::RelationshipHealth => "relationship_health",
            Self::UpSell => "up_sell",
            Self::SlowRise => "slow_rise",
            Self::Hold(_) => "hold",
            Self::BackOff => "back_off",
            Self::QuietPeriod => "quiet_period",
            Self::ChannelOptOut => "channel_opt_out",
            Self::Channel => "channel",
            Self::ControlGroup => "control_group",
        }
    }
}
