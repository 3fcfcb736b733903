//! Reasons for which a candidate is not offered.

/// Reason for which a candidate is not in the slate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum WithheldReason {
    /// The customer already has it.
    Owned,
    /// The customer lacks a product that it requires.
    RequirementMissing,
    /// It is incompatible with a product of the customer.
    ExcludedByHolding,
    /// It is unavailable now.
    Unavailable,
    /// Outside its dates of sale.
    OutsideDates,
    /// Not priced in the requested currency.
    OtherCurrency,
    /// On a ladder that the customer is on already: left to up-sell.
    SameLadder,
    /// No better than a product of the customer.
    NotBetter,
    /// It only enlarges an allowance of which the customer uses little.
    UsageLow,
    /// A variant of a product that the customer has, or has in the basket.
    VariantOwned,
    /// Already in the basket or on the page.
    InContext,
    /// Excluded by the caller.
    ExcludedByCaller,
    /// Not in the catalogue.
    NotInCatalog,
    /// Offered within the cap window, and that offer is no longer open.
    OfferedRecently,
    /// Recently declined by the customer, it or a variant of it or a rung below it.
    Declined,
    /// Returned, cancelled or given up by the customer recently, it or a variant of it or a rung below it.
    GivenUp,
    /// Its score is zero or less.
    NotWorthAttention,
    /// Too similar to a better offer of the slate.
    TooSimilar,
    /// The customer's cap is used up.
    CapReached,
    /// The customer's cap for up-sell is used up.
    UpSellCapReached,
    /// A hold is in force.
    OnHold,
    /// Offers are paused after a rejection.
    BackOff,
    /// Offers are paused for a quiet period.
    QuietPeriod,
    /// The customer opted out of the channel.
    OptedOut,
    /// The channel needs a consent that is not recorded.
    ConsentMissing,
    /// The slate is full. Used for single candidates, not counted as withheld.
    SlateFull,
    /// The model does not propose it. Used for single candidates, not counted as withheld.
    NotProposed,
    /// The policy excludes offering it together with a product that is open, accepted, owned or in the slate.
    NeverTogether,
    /// The policy excludes offering it so soon after another product.
    NeverAfter,
    /// The policy requires another product first.
    OnlyAfter,
    /// The cap of its product family is used up.
    FamilyCapReached,
    /// The cap of the channel is used up.
    ChannelCapReached,
    /// The customer is in the control group.
    ControlGroup,
    /// The terms of an explicit offer are not valid now.
    OfferOutsideDates,
    /// The terms are for another channel or placement.
    OfferElsewhere,
    /// The customer does not meet the condition of the terms.
    OfferConditionUnmet,
    /// The volume cap of the explicit offer, over all customers, is used up.
    VolumeCapReached,
}

impl WithheldReason {
    /// Name in responses, metrics and logs.
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
            Self::UsageLow => "usage_low",
            Self::VariantOwned => "variant_owned",
            Self::InContext => "in_context",
            Self::ExcludedByCaller => "excluded_by_caller",
            Self::NotInCatalog => "not_in_catalog",
            Self::OfferedRecently => "offered_recently",
            Self::Declined => "declined",
            Self::GivenUp => "given_up",
            Self::NotWorthAttention => "not_worth_attention",
            Self::TooSimilar => "too_similar",
            Self::CapReached => "cap_reached",
            Self::UpSellCapReached => "up_sell_cap_reached",
            Self::OnHold => "on_hold",
            Self::BackOff => "back_off",
            Self::QuietPeriod => "quiet_period",
            Self::OptedOut => "opted_out",
            Self::ConsentMissing => "consent_missing",
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
