//! What is remembered of a relationship, and what is made of it: relationship health.
//!
//! The state here is a bounded summary of the history; `decision::relationship` holds the formulas. Lists keep the most
//! recent entries by a rule that depends on the entries alone, never on the order in which they arrived.

use std::collections::BTreeSet;

use super::decayed_sum::DecayedSum;
use super::event::Severity;
use super::ids::{CaseId, ProductId};
use super::time::{Day, Timestamp};

/// The most cases kept singly; older ones are folded into a decayed sum.
pub const CASES_MAX: usize = 32;
/// The most accepted offers kept singly; older ones are folded into a decayed sum.
pub const ACCEPTED_OFFERS_MAX: usize = 32;
/// The most days of purchase kept, the latest ones.
pub const PURCHASE_DAYS_MAX: usize = 128;

/// Everything remembered of a relationship that relationship health is made from.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct RelationshipState {
    /// Tickets and complaints, at most [`CASES_MAX`].
    pub cases: Vec<Case>,
    /// The friction of cases no longer kept singly.
    pub folded_friction: DecayedSum,
    /// Late, failed and disputed payments, weighted.
    pub payment_trouble: DecayedSum,
    /// Offers shown, dismissed, rejected and complained of, weighted.
    pub offer_pressure: DecayedSum,
    /// Survey satisfaction, -1 to 1 an answer.
    pub sentiment: DecayedSum,
    /// Offers the customer took, at most [`ACCEPTED_OFFERS_MAX`].
    pub accepted_offers: Vec<AcceptedOffer>,
    /// The value of accepted offers no longer kept singly, and returns of things that were never offered.
    pub folded_value: DecayedSum,
    /// Visits, usage, starts and renewals, weighted. Purchases are in `purchase_days`.
    pub engagement: DecayedSum,
    /// The latest days on which the customer bought, at most [`PURCHASE_DAYS_MAX`].
    pub purchase_days: BTreeSet<Day>,
    /// Money spent, in units of the currency of each purchase.
    pub spent: DecayedSum,
    /// Lines brought back.
    pub returned: DecayedSum,
    /// When things last happened.
    pub last: LastTimes,
}

impl RelationshipState {
    /// Notes a purchase: the day, and what was spent where that is known.
    pub fn note_purchase(&mut self, at: Timestamp, spent: f64) {
        self.purchase_days.insert(at.day());
        while self.purchase_days.len() > PURCHASE_DAYS_MAX {
            self.purchase_days.pop_first();
        }
        if spent > 0.0 {
            self.spent.add(at, spent);
        }
    }

    /// Notes that something was brought back.
    pub fn note_return(&mut self, at: Timestamp) {
        self.returned.add(at, 1.0);
    }
}

/// The latest moment of each kind of event that a quiet period or a hold may follow.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct LastTimes {
    /// A purchase.
    pub purchase: Option<Timestamp>,
    /// A return.
    pub return_: Option<Timestamp>,
    /// A support ticket.
    pub ticket: Option<Timestamp>,
    /// A late, failed or disputed payment.
    pub payment_trouble: Option<Timestamp>,
    /// A cancellation.
    pub cancellation: Option<Timestamp>,
    /// A subscription began or was renewed.
    pub commitment: Option<Timestamp>,
}

/// A ticket or complaint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Case {
    /// The case.
    pub id: CaseId,
    /// True once any report of the case was a complaint.
    pub is_complaint: bool,
    /// The worst severity reported; `None` while only the resolution is known.
    pub severity: Option<Severity>,
    /// The latest report.
    pub reported_at: Option<Timestamp>,
    /// The latest resolution.
    pub resolved_at: Option<Timestamp>,
}

impl Case {
    /// True while the latest report is not followed by a resolution.
    pub fn is_open(&self) -> bool {
        match (self.reported_at, self.resolved_at) {
            (Some(reported), Some(resolved)) => resolved < reported,
            (Some(_), None) => true,
            (None, _) => false,
        }
    }
}

/// An offer that the customer took.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AcceptedOffer {
    /// The product.
    pub product: ProductId,
    /// When it was taken.
    pub at: Timestamp,
    /// When it was returned, cancelled or downgraded, soon enough to count as regret.
    pub regretted_at: Option<Timestamp>,
}

/// The components of relationship health.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ComponentKind {
    /// Tickets and complaints.
    ServiceFriction,
    /// Late, failed and disputed payments.
    Payment,
    /// How much the customer was pitched lately.
    OfferPressure,
    /// What the customer says in surveys.
    Sentiment,
    /// Whether offers taken were kept.
    ValueDelivered,
    /// Whether the customer comes more or less often than usual.
    EngagementTrend,
    /// The probability that the customer buys again or stays.
    RetentionOutlook,
}

impl ComponentKind {
    /// All components, in the order in which they are shown.
    pub const ALL: [Self; 7] = [
        Self::ServiceFriction,
        Self::Payment,
        Self::OfferPressure,
        Self::Sentiment,
        Self::ValueDelivered,
        Self::EngagementTrend,
        Self::RetentionOutlook,
    ];

    /// The component's name in answers and logs.
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
    /// Which one.
    pub kind: ComponentKind,
    /// 0 (bad) to 1 (good).
    pub value: f64,
    /// Its weight in the geometric mean; the weights of all components sum to 1.
    pub weight: f64,
    /// The quantity the value was made from: a decayed sum, a rate or a probability, as the component says.
    pub input: f64,
    /// The half-life behind the input, in days; `None` where none applies.
    pub half_life_days: Option<f64>,
    /// False when nothing was known and the value is the policy's prior.
    pub is_known: bool,
}

/// Relationship health: would another pitch hurt?
#[derive(Debug, Clone, PartialEq)]
pub struct RelationshipHealth {
    /// 0 (bad) to 1 (good).
    pub score: f64,
    /// The band that the score and the evidence put the customer in.
    pub band: Band,
    /// The share of the weights whose components are known, 0 to 1.
    pub coverage: f64,
    /// All components, in the order of [`ComponentKind::ALL`].
    pub components: Vec<Component>,
}

/// A class of relationship health with its own caps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Band {
    /// Offers would hurt.
    Strained,
    /// Few offers, none of them up-sell.
    Guarded,
    /// The usual relationship.
    Steady,
    /// A good relationship.
    Strong,
    /// Not enough evidence yet.
    NewCustomer,
}

impl Band {
    /// All bands.
    pub const ALL: [Self; 5] = [Self::Strained, Self::Guarded, Self::Steady, Self::Strong, Self::NewCustomer];

    /// The band's name in answers and logs.
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
