//! Relationship health, and the state that it is computed from.
//!
//! The state is a bounded summary of the history; `decision::relationship` has the formulas. Lists keep the most recent
//! entries by a rule that depends on the entries alone, never on their order of arrival.

use std::collections::BTreeSet;

use super::decayed_sum::DecayedSum;
use super::event::Severity;
use super::ids::{CaseId, ProductId};
use super::state_bounds::StateBounds;
use super::time::{Day, Timestamp};


/// State that relationship health is computed from.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct RelationshipState {
    /// Tickets and complaints, at most [`StateBounds::cases`].
    pub cases: Vec<Case>,
    /// Friction of cases that are no longer stored one by one.
    pub folded_friction: DecayedSum,
    /// Late, failed and disputed payments, weighted.
    pub payment_trouble: DecayedSum,
    /// Offers shown, dismissed, rejected and complained about, weighted.
    pub offer_pressure: DecayedSum,
    /// Survey satisfaction, -1 to 1 for each answer.
    pub sentiment: DecayedSum,
    /// Offers that the customer accepted, at most [`StateBounds::accepted_offers`].
    pub accepted_offers: Vec<AcceptedOffer>,
    /// Value of accepted offers that are no longer stored one by one, less returns.
    pub folded_value: DecayedSum,
    /// Visits, usage, starts and renewals, weighted. Purchases are in `purchase_days`.
    pub engagement: DecayedSum,
    /// Latest days with a purchase, at most [`StateBounds::purchase_days`].
    pub purchase_days: BTreeSet<Day>,
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

    /// Records a purchase, and stores at most `days_max` days.
    pub fn record_purchase_within(&mut self, at: Timestamp, spent: f64, days_max: usize) {
        self.purchase_days.insert(at.day());
        while self.purchase_days.len() > days_max {
            self.purchase_days.pop_first();
        }
        if spent > 0.0 {
            self.spent.add(at, spent);
        }
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
    /// Latest start or renewal of a subscription.
    pub commitment: Option<Timestamp>,
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

/// An offer that the customer accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AcceptedOffer {
    /// The product.
    pub product: ProductId,
    /// Time of the acceptance.
    pub at: Timestamp,
    /// Time of its return, cancellation or downgrade, if soon enough to count as regret.
    pub regretted_at: Option<Timestamp>,
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
