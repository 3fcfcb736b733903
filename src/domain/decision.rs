//! The record of one answer with everything that led to it.

use std::collections::BTreeMap;
use std::time::Duration;

use super::customer::HoldReason;
use super::ids::{Channel, CustomerId, DecisionId, Placement};
use super::offer::{Offer, OfferKind};
use super::rejected_candidate::RejectedCandidate;
use super::relationship::RelationshipHealth;
use super::time::Timestamp;

/// One answer. A replay returns it as it is; it is never computed again.
#[derive(Debug, Clone, PartialEq)]
pub struct Decision {
    /// Names the decision.
    pub id: DecisionId,
    /// Who was asked about.
    pub customer: CustomerId,
    /// Cross-sell or up-sell.
    pub kind: OfferKind,
    /// When it was made.
    pub at: Timestamp,
    /// The channel asked for.
    pub channel: Option<Channel>,
    /// The placement asked for.
    pub placement: Option<Placement>,
    /// The offers, best first; empty is an answer.
    pub slate: Vec<Offer>,
    /// What would have been the slate, had the customer not been in the control group.
    pub would_be_slate: Vec<Offer>,
    /// One sentence for people.
    pub message: String,
    /// Relationship health at the time.
    pub relationship_health: RelationshipHealth,
    /// Every cap that applies, the customer's own first.
    pub caps: Vec<Cap>,
    /// The place in `caps` of the one that bound; `None` when no cap kept an offer back.
    pub binding_cap: Option<usize>,
    /// Why candidates were withheld, with counts.
    pub withheld: BTreeMap<WithheldReason, u32>,
    /// The candidates that came closest to the slate, closest first; at most as many as asked for.
    pub rejected_candidates: Vec<RejectedCandidate>,
    /// The policy in force.
    pub policy_version: String,
    /// The model that proposed; 0 while there is none.
    pub model_version: u64,
    /// When the candidates were ranked: before `at` when they had been prepared.
    pub ranked_at: Timestamp,
}

/// The state of one cap, after this decision.
#[derive(Debug, Clone, PartialEq)]
pub struct Cap {
    /// Which cap.
    pub kind: CapKind,
    /// The most offers within the window.
    pub limit: u32,
    /// Offers that count now, this decision's included.
    pub used: u32,
    /// What is left.
    pub remaining: u32,
    /// The window; zero where none applies.
    pub window: Duration,
    /// When one more offer becomes possible under this cap alone; `None` when it is possible now, or no time can be
    /// named.
    pub next_eligible_at: Option<Timestamp>,
}

/// The caps. They combine with AND.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum CapKind {
    /// Offers of any kind, set by relationship health.
    RelationshipHealth,
    /// Up-sell offers, set by relationship health.
    UpSell,
    /// The cap rises by one a week at most after it fell.
    SlowRise,
    /// A hold: nothing.
    Hold(HoldReason),
    /// A pause after a rejection: nothing.
    BackOff,
    /// A pause after a purchase, return, ticket or payment trouble: nothing.
    QuietPeriod,
    /// The customer opted out of the channel: nothing.
    ChannelOptOut,
    /// Offers on the channel asked for.
    Channel,
    /// The customer is in the control group: nothing.
    ControlGroup,
}

impl CapKind {
    /// The cap's name in answers and logs.
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

/// Why a candidate is not in the slate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum WithheldReason {
    /// The customer has it and one is enough.
    Owned,
    /// Something it requires is missing.
    RequirementMissing,
    /// It does not go with something the customer has.
    ExcludedByHolding,
    /// It is not to be had now.
    Unavailable,
    /// Before its first or after its last day of sale.
    OutsideDates,
    /// Priced in another currency than the caller asked for.
    OtherCurrency,
    /// On a ladder the customer is on already: a matter for up-sell.
    SameLadder,
    /// No better than what the customer has.
    NotBetter,
    /// In the basket or on the page already.
    InContext,
    /// The caller asked to leave it out.
    ExcludedByCaller,
    /// Not in the catalogue.
    NotInCatalog,
    /// Offered within the window and no longer open.
    OfferedRecently,
    /// The customer declined it a while ago.
    Declined,
    /// Its score is zero or less.
    NotWorthAttention,
    /// Too much like a better offer of the slate.
    TooSimilar,
    /// The customer's cap is spent.
    CapReached,
    /// The customer's cap for up-sell is spent.
    UpSellCapReached,
    /// A hold is on.
    OnHold,
    /// A rejection is too recent.
    BackOff,
    /// A quiet period is on.
    QuietPeriod,
    /// The customer opted out of the channel.
    OptedOut,
    /// The slate was as long as asked for. Told of single candidates, not counted as withheld.
    SlateFull,
    /// The model does not propose it. Told of single candidates, not counted as withheld.
    NotProposed,
    /// Never offered together with something that is open or in the slate.
    NeverTogether,
    /// Something was offered too short a time ago that it must not follow.
    NeverAfter,
    /// The customer lacks what it is only offered after.
    OnlyAfter,
    /// The cap of its family is spent.
    FamilyCapReached,
    /// The cap of the channel is spent.
    ChannelCapReached,
    /// The customer is in the control group.
    ControlGroup,
    /// The terms of an explicit offer are not valid now.
    OfferOutsideDates,
    /// The terms are for another channel or placement.
    OfferElsewhere,
    /// The terms are for other customers.
    OfferConditionUnmet,
    /// The volume of an explicit offer over all customers is gone.
    VolumeCapReached,
}

impl WithheldReason {
    /// The reason's name in answers, metrics and logs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Owned => "owned",
            Self::RequirementMissing => "requirement_missing",
            Self::ExcludedByHolding => "excluded_by_holding",
            Self::Unavailable => "unavailable",
            Self::OutsideDates => "outside_dates",
            Self::OtherCurrency => "other_currency",
            Self::SameLadder => "same_ladder",
            Self::NotBetter => "not_better",
            Self::InContext => "in_context",
            Self::ExcludedByCaller => "excluded_by_caller",
            Self::NotInCatalog => "not_in_catalog",
            Self::OfferedRecently => "offered_recently",
            Self::Declined => "declined",
            Self::NotWorthAttention => "not_worth_attention",
            Self::TooSimilar => "too_similar",
            Self::CapReached => "cap_reached",
            Self::UpSellCapReached => "up_sell_cap_reached",
            Self::OnHold => "on_hold",
            Self::BackOff => "back_off",
            Self::QuietPeriod => "quiet_period",
            Self::OptedOut => "opted_out",
            Self::SlateFull => "slate_full",
            Self::NotProposed => "not_proposed",
            Self::NeverTogether => "never_together",
            Self::NeverAfter => "never_after",
            Self::OnlyAfter => "only_after",
            Self::FamilyCapReached => "family_cap_reached",
            Self::ChannelCapReached => "channel_cap_reached",
            Self::ControlGroup => "control_group",
            Self::OfferOutsideDates => "offer_outside_dates",
            Self::OfferElsewhere => "offer_elsewhere",
            Self::OfferConditionUnmet => "offer_condition_unmet",
            Self::VolumeCapReached => "volume_cap_reached",
        }
    }
}
