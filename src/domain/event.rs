//! What happened: the facts that callers report, each counted once.

use super::ids::{CaseId, CustomerId, DecisionId, EventId, OfferId, OrderId, ProductId};
use super::money::Money;
use super::time::Timestamp;

/// The largest quantity of one line.
pub const QUANTITY_MAX: u32 = 1_000_000_000;

/// One thing that happened.
#[derive(Debug, Clone, PartialEq)]
pub struct Event {
    /// Counts once per customer; events without a customer share one scope of their own.
    pub id: EventId,
    /// Whom it happened to. An event without a customer teaches the model and changes no customer.
    pub customer: Option<CustomerId>,
    /// When it happened, as the caller says.
    pub at: Timestamp,
    /// What happened.
    pub kind: EventKind,
}

/// The kinds of event. Each is declared good, bad or neutral for the relationship by [`EventKind::polarity`].
#[derive(Debug, Clone, PartialEq)]
pub enum EventKind {
    /// Bought; the purchases with one order id are a basket.
    Purchase(OrderLine),
    /// Brought back, wholly or in part.
    Return(OrderLine),
    /// The customer cancelled a product or, without a product, gave notice on the relation.
    Cancellation {
        /// The product; `None` for the whole relation.
        product: Option<ProductId>,
    },
    /// Moved from a product to a lesser one.
    Downgrade {
        /// The product given up.
        from: ProductId,
        /// The lesser product.
        to: Option<ProductId>,
    },
    /// A subscription began.
    SubscriptionStart {
        /// The product.
        product: ProductId,
    },
    /// A subscription ended.
    SubscriptionEnd {
        /// The product.
        product: ProductId,
    },
    /// A subscription was renewed.
    SubscriptionRenewal {
        /// The product.
        product: ProductId,
    },
    /// Used some of an allowance.
    Usage {
        /// The product used.
        product: ProductId,
        /// How much, finite, 0 and more.
        amount: f64,
        /// How much was allowed, finite, above 0; `None` when unlimited or unknown.
        allowance: Option<f64>,
    },
    /// Asked for help.
    SupportTicket(CaseReport),
    /// Complained.
    Complaint(CaseReport),
    /// A ticket or complaint was settled.
    CaseResolved {
        /// The case.
        case: CaseId,
    },
    /// Paid late.
    PaymentLate,
    /// A payment failed.
    PaymentFailed,
    /// A payment was disputed.
    PaymentDisputed,
    /// Answered a survey.
    Survey(SurveyAnswer),
    /// Came by: a visit to a shop, a site or an app.
    Visit {
        /// The product looked at.
        product: Option<ProductId>,
    },
    /// Something came of an offer.
    Outcome(Outcome),
}

/// Some items of one product.
#[derive(Debug, Clone, PartialEq)]
pub struct OrderLine {
    /// The product.
    pub product: ProductId,
    /// The order that the line belongs to.
    pub order: Option<OrderId>,
    /// Whole items, 1 to [`QUANTITY_MAX`].
    pub quantity: u32,
    /// What one was sold for.
    pub unit_price: Option<Money>,
}

impl OrderLine {
    /// What the line was sold for, in units of its currency, for estimates and never for bookkeeping; 0 when no price is
    /// known, or a negative one.
    pub fn approximate_value(&self) -> f64 {
        self.unit_price.map_or(0.0, |price| (price.approximate() * f64::from(self.quantity)).max(0.0))
    }
}

/// A report that opens a case or adds to one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CaseReport {
    /// The case; a report without one is a case of its own, named by its event.
    pub case: Option<CaseId>,
    /// How bad it is.
    pub severity: Severity,
}

/// How bad a ticket or complaint is: 1 (a question) to 4 (cannot go on).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Severity(u8);

impl Severity {
    /// The severity of a report that names none.
    pub const DEFAULT: Self = Self(2);

    /// `None` outside 1 to 4.
    pub fn new(level: u8) -> Option<Self> {
        (1..=4).contains(&level).then_some(Self(level))
    }

    /// 1 to 4.
    pub fn level(self) -> u8 {
        self.0
    }
}

/// An answer on a scale from 0 to `score_max`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SurveyAnswer {
    score: f64,
    score_max: f64,
}

impl SurveyAnswer {
    /// `None` unless both are finite, `score_max` is above zero and at most 1,000, and `score` is within 0 to it.
    pub fn new(score: f64, score_max: f64) -> Option<Self> {
        let fits = score_max > 0.0 && score_max <= 1000.0 && (0.0..=score_max).contains(&score);
        fits.then_some(Self { score, score_max })
    }

    /// The answer as given.
    pub fn score(self) -> f64 {
        self.score
    }

    /// The top of the scale.
    pub fn score_max(self) -> f64 {
        self.score_max
    }

    /// Satisfaction in -1 to 1; 0 is the middle of the scale.
    pub fn satisfaction(self) -> f64 {
        2.0 * self.score / self.score_max - 1.0
    }
}

/// What came of one offer of one decision.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// The decision that served the offer.
    pub decision: DecisionId,
    /// The offer.
    pub offer: OfferId,
    /// The product offered.
    pub product: ProductId,
    /// What came of it.
    pub kind: OutcomeKind,
    /// For a complaint: its case, so that the same complaint reported as an event counts once.
    pub case: Option<CaseId>,
}

/// What can come of an offer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum OutcomeKind {
    /// The customer saw it: an impression.
    Shown,
    /// The caller did not show it; within the lease this gives the cap back.
    NotShown,
    /// The customer looked closer.
    Clicked,
    /// The customer took it.
    Accepted,
    /// The customer said no.
    Rejected,
    /// The customer waved it away.
    Dismissed,
    /// The customer complained of it.
    Complained,
    /// The customer wants no more offers.
    OptedOut,
}

impl OutcomeKind {
    /// Every kind, in the order of the wire.
    pub const ALL: [Self; 8] = [
        Self::Shown,
        Self::NotShown,
        Self::Clicked,
        Self::Accepted,
        Self::Rejected,
        Self::Dismissed,
        Self::Complained,
        Self::OptedOut,
    ];

    /// The kind as it appears in ids and logs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Shown => "shown",
            Self::NotShown => "not_shown",
            Self::Clicked => "clicked",
            Self::Accepted => "accepted",
            Self::Rejected => "rejected",
            Self::Dismissed => "dismissed",
            Self::Complained => "complained",
            Self::OptedOut => "opted_out",
        }
    }
}

/// What an event says about the relationship.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Polarity {
    /// Dated now, it never lowers relationship health.
    Good,
    /// Dated now, it never raises relationship health.
    Bad,
    /// It may move nothing but bookkeeping.
    Neutral,
}

impl EventKind {
    /// Whether the event speaks for or against the relationship.
    pub fn polarity(&self) -> Polarity {
        match self {
            Self::Purchase(_)
            | Self::SubscriptionStart { .. }
            | Self::SubscriptionRenewal { .. }
            | Self::Usage { .. }
            | Self::CaseResolved { .. }
            | Self::Visit { .. } => Polarity::Good,
            Self::Return(_)
            | Self::Cancellation { .. }
            | Self::Downgrade { .. }
            | Self::SubscriptionEnd { .. }
            | Self::SupportTicket(_)
            | Self::Complaint(_)
            | Self::PaymentLate
            | Self::PaymentFailed
            | Self::PaymentDisputed => Polarity::Bad,
            Self::Survey(answer) if answer.satisfaction() > 0.0 => Polarity::Good,
            Self::Survey(answer) if answer.satisfaction() < 0.0 => Polarity::Bad,
            Self::Survey(_) => Polarity::Neutral,
            Self::Outcome(outcome) => match outcome.kind {
                OutcomeKind::Accepted | OutcomeKind::Clicked => Polarity::Good,
                OutcomeKind::NotShown => Polarity::Neutral,
                OutcomeKind::Shown
                | OutcomeKind::Rejected
                | OutcomeKind::Dismissed
                | OutcomeKind::Complained
                | OutcomeKind::OptedOut => Polarity::Bad,
            },
        }
    }

    /// The kind as it appears in files and logs.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Purchase(_) => "purchase",
            Self::Return(_) => "return",
            Self::Cancellation { .. } => "cancellation",
            Self::Downgrade { .. } => "downgrade",
            Self::SubscriptionStart { .. } => "subscription_start",
            Self::SubscriptionEnd { .. } => "subscription_end",
            Self::SubscriptionRenewal { .. } => "subscription_renewal",
            Self::Usage { .. } => "usage",
            Self::SupportTicket(_) => "support_ticket",
            Self::Complaint(_) => "complaint",
            Self::CaseResolved { .. } => "case_resolved",
            Self::PaymentLate => "payment_late",
            Self::PaymentFailed => "payment_failed",
            Self::PaymentDisputed => "payment_disputed",
            Self::Survey(_) => "survey",
            Self::Visit { .. } => "visit",
            Self::Outcome(_) => "outcome",
        }
    }
}
