//! The record of one decision, with everything that led to it.

use std::collections::BTreeMap;
use std::time::Duration;

use super::channel::ChannelScope;
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
    /// Registered name of the channel; `None` when the query named none and the strictest of all counted.
    pub channel: Option<Channel>,
    /// Placement of the query.
    pub placement: Option<Placement>,
    /// The offers, best first; may be empty.
    pub slate: Vec<Offer>,
    /// The slate that a customer of the control group would have got.
    pub would_be_slate: Vec<Offer>,
    /// Message for agents.
    pub message: DecisionMessage,
    /// Relationship health at the time.
    pub relationship_health: RelationshipHealth,
    /// Every cap that applies, the customer's own first.
    pub caps: Vec<Cap>,
    /// Index in `caps` of the binding cap; `None` when no cap withheld an offer.
    pub binding_cap: Option<usize>,
    /// First instant at which one more offer of this kind becomes possible on this channel, over all caps, holds and pauses at
    /// once; `None` when one is possible now, when none is within 180 days, and for customers of the control group. Computed
    /// from the state after this decision, as if nothing happened until then.
    pub next_eligible_at: Option<Timestamp>,
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

/// Message of a decision, as a code with parameters. `wording` puts it into words when it is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DecisionMessage {
    /// Offers are made.
    Offers {
        /// Number of offers.
        made: u32,
        /// Number of further offers of this kind that are allowed now.
        left: u32,
    },
    /// The binding cap withholds every offer.
    Capped,
    /// No cap withholds an offer, but no candidate is worth offering.
    NothingSuitable,
    /// Every offer of the decision has been released since. Only in replays.
    Released,
}

impl DecisionMessage {
    /// Name in exports.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Offers { .. } => "offers",
            Self::Capped => "capped",
            Self::NothingSuitable => "nothing_suitable",
            Self::Released => "released",
        }
    }
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
    /// Start of the hold, or time of the event that the pause follows; `None` for counted caps and where unknown.
    pub since: Option<Timestamp>,
    /// Resolution of the complaint that the hold follows; `None` for an open complaint and for other caps.
    pub resolved_at: Option<Timestamp>,
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
    /// A pause after an event: no offers.
    QuietPeriod(QuietPeriodCause),
    /// The customer opted out of the channel: no offers.
    ChannelOptOut(ChannelScope),
    /// The channel needs a consent that is not recorded: no offers.
    ConsentMissing(ChannelScope),
    /// Offers on the channel of the query.
    Channel,
    /// The customer is in the control group: no offers.
    ControlGroup,
    /// Offers that the customer's record can hold. Only where several policies together allowed more.
    GrantsKept,
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
            Self::QuietPeriod(_) => "quiet_period",
            Self::ChannelOptOut(_) => "channel_opt_out",
            Self::ConsentMissing(_) => "consent_missing",
            Self::Channel => "channel",
            Self::ControlGroup => "control_group",
            Self::GrantsKept => "grants_kept",
        }
    }
}

/// Event that a quiet period follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum QuietPeriodCause {
    /// A purchase.
    Purchase,
    /// A return.
    Return,
    /// A support ticket.
    Ticket,
    /// A late, failed or disputed payment.
    PaymentTrouble,
    /// A detractor's answer to a survey.
    DetractorSurvey,
    /// Repeated failures of payments.
    PaymentFailures,
}
