//! Relationship health, and the state that it is computed from.
//!
//! The state is a bounded summary of the history; `decision::relationship` has the formulas. Lists keep the most recent
//! entries by a rule that depends on the entries alone, never on their order of arrival.

use std::collections::BTreeSet;
use std::time::Duration;

use super::decayed_sum::DecayedSum;
use super::event::{PlanDirection, Severity};
use super::ids::{CaseId, ProductId};
use super::state_bounds::StateBounds;
use super::time::{Day, Timestamp};

/// Maximum number of failed payments whose times are stored: the latest ones.
pub const PAYMENT_FAILURES_MAX: usize = 8;

/// State that relationship health is computed from.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct RelationshipState {
    /// Tickets and complaints, at most [`StateBounds::cases`].
    pub cases: Vec<Case>,
    /// Friction of cases that are no longer stored one by one.
    pub folded_friction: DecayedSum,
    /// Undecayed friction of open cases that are no longer stored one by one.
    pub folded_open_cases: Option<FoldedOpenCases>,
    /// End of the longest hold of the complaints that are no longer stored one by one.
    pub folded_complaints_hold_until: Option<Timestamp>,
    /// Late, failed and disputed payments, weighted.
    pub payment_trouble: DecayedSum,
    /// Offers shown, dismissed, rejected and complained about, weighted.
    pub offer_pressure: DecayedSum,
    /// Survey satisfaction, -1 to 1 for each answer.
    pub sentiment: DecayedSum,
    /// Offers that the customer accepted in the order of time, at most [`StateBounds::accepted_offers`].
    pub accepted_offers: Vec<AcceptedOffer>,
    /// Time of the latest acceptance that is no longer stored.
    pub acceptances_dropped_through: Option<Timestamp>,
    /// Returns in the order of time, at most [`StateBounds::returns`].
    pub returns: Vec<ProductReturn>,
    /// Time of the latest return that is no longer stored.
    pub returns_dropped_through: Option<Timestamp>,
    /// Cancellations, ends and changes of subscriptions in the order of time, at most [`StateBounds::partings`].
    pub partings: Vec<Parting>,
    /// Time of the latest parting that is no longer stored.
    pub partings_dropped_through: Option<Timestamp>,
    /// Value lost by returns, and by regrets that are no longer stored one by one.
    pub folded_value: DecayedSum,
    /// Visits, usage, starts and renewals, weighted. Purchases are in `purchase_days`.
    pub engagement: DecayedSum,
    /// Latest days with a purchase, at most [`StateBounds::purchase_days`].
    pub purchase_days: BTreeSet<Day>,
    /// First day with a purchase.
    pub first_purchase_day: Option<Day>,
    /// Money spent, in units of the currency of each purchase.
    pub spent: DecayedSum,
    /// Number of returned order lines.
    pub returned: DecayedSum,
    /// Times of the latest events.
    pub last: LastEventTimes,
}

impl RelationshipState {
    /// Records the day of a purchase, and the money spent where it is known.
    pub fn record_purchase(&mut self, at: Timestamp, spent: f64) {
        self.record_purchase_within(at, spent, StateBounds::STORED.purchase_days);
    }

    /// Records a purchase, and stores at most `days_max` days. Returns the day that was dropped.
    pub fn record_purchase_within(&mut self, at: Timestamp, spent: f64, days_max: usize) -> Option<Day> {
        let day = at.day();
        self.purchase_days.insert(day);
        self.first_purchase_day = Some(self.first_purchase_day.map_or(day, |first| first.min(day)));
        if spent > 0.0 {
            self.spent.add(at, spent);
        }
        if self.purchase_days.len() > days_max { self.purchase_days.pop_first() } else { None }
    }

    /// Records a return.
    pub fn record_return(&mut self, at: Timestamp) {
        self.returned.add(at, 1.0);
    }
}

/// Time of the latest event of each kind that starts a quiet period or a hold.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct LastEventTimes {
    /// Latest purchase.
    pub purchase: Option<Timestamp>,
    /// Latest return.
    pub return_: Option<Timestamp>,
    /// Latest support ticket.
    pub ticket: Option<Timestamp>,
    /// Latest late, failed or disputed payment.
    pub payment_trouble: Option<Timestamp>,
    /// Latest cancellation of the whole relationship.
    pub cancellation: Option<Timestamp>,
    /// Latest start or renewal of a subscription, or move to a better plan.
    pub commitment: Option<Timestamp>,
    /// Latest start of a subscription or change of plans.
    pub subscription_start: Option<Timestamp>,
    /// Latest answer of a detractor to a survey.
    pub detractor_survey: Option<Timestamp>,
    /// Latest failed payments, at most [`PAYMENT_FAILURES_MAX`].
    pub payment_failures: BTreeSet<Timestamp>,
}

impl LastEventTimes {
    /// Records a failed payment.
    pub fn record_payment_failure(&mut self, at: Timestamp) {
        self.payment_failures.insert(at);
        while self.payment_failures.len() > PAYMENT_FAILURES_MAX {
            self.payment_failures.pop_first();
        }
    }

    /// Time of the latest failed payment that completed a series of this many within the window.
    pub fn repeated_payment_failure(&self, failures_min: usize, window: Duration) -> Option<Timestamp> {
        let times: Vec<Timestamp> = self.payment_failures.iter().copied().collect();
        let series = times.windows(failures_min.max(1));
        series.rev().find(|series| series[series.len() - 1] <= series[0] + window)?.last().copied()
    }
}

/// A support case: a ticket or complaint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Case {
    /// Id of the case.
    pub id: CaseId,
    /// Whether any report of the case was a complaint.
    pub is_complaint: bool,
    /// Highest severity reported; `None` while only the resolution is known.
    pub severity: Option<Severity>,
    /// Time of the latest report.
    pub reported_at: Option<Timestamp>,
    /// Time of the latest resolution.
    pub resolved_at: Option<Timestamp>,
}

impl Case {
    /// Whether no resolution has followed the latest report.
    pub fn is_open(&self) -> bool {
        match (self.reported_at, self.resolved_at) {
            (Some(reported), Some(resolved)) => resolved < reported,
            (Some(_), None) => true,
            (None, _) => false,
        }
    }
}

/// Open cases that are no longer stored one by one. All of them count until the last of them would be too old to be
/// considered open.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct FoldedOpenCases {
    /// Sum of what they add to friction while they are open.
    pub friction: f64,
    /// Time until which they count.
    pub until: Timestamp,
}

/// An offer that the customer accepted. The same acceptance may be reported several times, as an outcome and as a purchase:
/// which acceptances count is decided when they are read.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct AcceptedOffer {
    /// Time of the acceptance.
    pub at: Timestamp,
    /// The product.
    pub product: ProductId,
    /// Time of the earliest acceptance that was merged into this one when the list was full; `at` otherwise.
    pub since: Timestamp,
}

/// A return of a product.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProductReturn {
    /// Time of the return.
    pub at: Timestamp,
    /// The product.
    pub product: ProductId,
    /// Whether an accepted offer of the product came so shortly before that the return is a regret.
    pub follows_acceptance: bool,
}

/// A cancellation, an end or a change of a subscription, as it was reported. What it means depends on the starts around it
/// and on the catalogue, and is decided when it is read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parting {
    /// Time of the parting.
    pub at: Timestamp,
    /// The product given up.
    pub product: ProductId,
    /// Kind of parting.
    pub kind: PartingKind,
    /// Whether an accepted offer of the product came so shortly before that the parting may be a regret.
    pub follows_acceptance: bool,
}

/// Kind of parting.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum PartingKind {
    /// The product was cancelled.
    Cancellation,
    /// The subscription ended.
    SubscriptionEnd,
    /// The customer moved to a lesser product.
    Downgrade {
        /// The lesser product.
        to: Option<ProductId>,
    },
    /// The customer moved to another plan.
    PlanChange {
        /// The other plan.
        to: ProductId,
        /// Direction of the change; `None` leaves it to the tiers of the ladder.
        direction: Option<PlanDirection>,
    },
}

impl PartingKind {
    /// Whether it may be one half of a renewal or of a change of plans, of which the other half is a start.
    pub fn is_end(&self) -> bool {
        match self {
            Self::Cancellation | Self::SubscriptionEnd => true,
            Self::Downgrade { .. } | Self::PlanChange { .. } => false,
        }
    }
}

/// Component of relationship health.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ComponentKind {
    /// Tickets and complaints.
    ServiceFriction,
    /// Late, failed and disputed payments.
    Payment,
    /// Offers shown to the customer recently.
    OfferPressure,
    /// Satisfaction in surveys.
    Sentiment,
    /// Accepted offers, less those regretted.
    ValueDelivered,
    /// Recent engagement compared with the usual one.
    EngagementTrend,
    /// Probability that the customer buys again or stays.
    RetentionOutlook,
}

impl ComponentKind {
    /// All components, in the order of responses.
    pub const ALL: [Self; 7] = [
        Self::ServiceFriction,
        Self::Payment,
        Self::OfferPressure,
        Self::Sentiment,
        Self::ValueDelivered,
        Self::EngagementTrend,
        Self::RetentionOutlook,
    ];

    /// Name in responses and logs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ServiceFriction => "service_friction",
            Self::Payment => "payment",
            Self::OfferPressure => "offer_pressure",
            Self::Sentiment => "sentiment",
            Self::ValueDelivered => "value_delivered",
            Self::EngagementTrend => "engagement_trend",
            Self::RetentionOutlook => "retention_outlook",
        }
    }
}

/// One component of relationship health as it entered the score.
#[derive(Debug, Clone, PartialEq)]
pub struct Component {
    /// Kind of component.
    pub kind: ComponentKind,
    /// Value, 0 (bad) to 1 (good).
    pub value: f64,
    /// Weight in the geometric mean; the weights of all components sum to 1.
    pub weight: f64,
    /// Quantity that the value was computed from: a decayed sum, a ratio or a probability, depending on the component.
    pub input: f64,
    /// Half-life of the input, in days; `None` where none applies.
    pub half_life_days: Option<f64>,
    /// Whether there was any data; without it the value is the policy's prior.
    pub is_known: bool,
}

/// Relationship health: a score for whether another offer would hurt the relationship.
#[derive(Debug, Clone, PartialEq)]
pub struct RelationshipHealth {
    /// Score, 0 (bad) to 1 (good).
    pub score: f64,
    /// Band that follows from the score and the amount of evidence.
    pub band: Band,
    /// Whether the customer is new: there is not enough evidence yet, whatever the band.
    pub is_new: bool,
    /// Total weight of the known components, 0 to 1.
    pub coverage: f64,
    /// All components, in the order of [`ComponentKind::ALL`].
    pub components: Vec<Component>,
}

/// Band of relationship health, each with caps of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Band {
    /// Offers would hurt.
    Strained,
    /// Few offers, no up-sell.
    Guarded,
    /// A normal relationship.
    Steady,
    /// A good relationship.
    Strong,
    /// Not enough evidence yet.
    NewCustomer,
}

impl Band {
    /// All bands.
    pub const ALL: [Self; 5] = [Self::Strained, Self::Guarded, Self::Steady, Self::Strong, Self::NewCustomer];

    /// Name in responses and logs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Strained => "strained",
            Self::Guarded => "guarded",
            Self::Steady => "steady",
            Self::Strong => "strong",
            Self::NewCustomer => "new_customer",
        }
    }
}
