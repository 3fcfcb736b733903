//! Events: facts that callers report, each counted once.

use super::ids::{CaseId, CustomerId, DecisionId, EventId, GrantId, Meter, OfferId, OrderId, ProductId};
use super::money::Money;
use super::time::Timestamp;
use super::usage::Period;

/// Maximum quantity of an order line.
pub const QUANTITY_MAX: u32 = 1_000_000_000;

/// One reported event.
#[derive(Debug, Clone, PartialEq)]
pub struct Event {
    /// Id of the event, unique per customer; events without a customer share one scope.
    pub id: EventId,
    /// The customer. An event without one is used for training and changes no customer.
    pub customer: Option<CustomerId>,
    /// Time of the event, as reported.
    pub at: Timestamp,
    /// Kind of event, with its details.
    pub kind: EventKind,
}

/// First difference between two events with the same id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EventDifference {
    /// They are of different kinds.
    Kind,
    /// They happened at different times.
    Time,
    /// They differ in a detail of their kind, such as the product.
    Details,
}

impl Event {
    /// Returns how the event differs from the one recorded under its id; `None` when it is a repetition of it.
    ///
    /// The id of an outcome is derived from its decision, offer and kind, and its time defaults to the time of the call. So an
    /// outcome with these three is a repetition, whatever its time.
    pub fn difference_from(&self, recorded: &Self) -> Option<EventDifference> {
        let Self { id: _, customer: _, at, kind } = self;
        match (kind, &recorded.kind) {
            (EventKind::Outcome(reported), EventKind::Outcome(recorded))
                if (reported.decision, &reported.offer, reported.kind)
                    == (recorded.decision, &recorded.offer, recorded.kind) =>
            {
                None
            }
            (kind, recorded) if std::mem::discriminant(kind) != std::mem::discriminant(recorded) => {
                Some(EventDifference::Kind)
            }
            _ if *at != recorded.at => Some(EventDifference::Time),
            (kind, recorded) => (kind != recorded).then_some(EventDifference::Details),
        }
    }
}

/// Kind of event. Each is good, bad or neutral for the relationship: [`EventKind::polarity`].
#[derive(Debug, Clone, PartialEq)]
pub enum EventKind {
    /// A purchase; the purchases with one order id are a basket.
    Purchase(OrderLine),
    /// A return, in full or in part.
    Return {
        /// The items returned.
        line: OrderLine,
        /// Reason given.
        reason: ReturnReason,
    },
    /// The customer cancelled a product or, without a product, gave notice on the whole relationship.
    Cancellation {
        /// The product; `None` for the whole relationship.
        product: Option<ProductId>,
    },
    /// The customer moved to a lesser product.
    Downgrade {
        /// The product given up.
        from: ProductId,
        /// The lesser product.
        to: Option<ProductId>,
    },
    /// The customer moved from one plan to another.
    PlanChange {
        /// The plan given up.
        from: ProductId,
        /// The plan moved to.
        to: ProductId,
        /// Direction of the change; `None` leaves it to the tiers of the ladder.
        direction: Option<PlanDirection>,
    },
    /// A subscription started.
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
    /// The customer used a product.
    Usage {
        /// The product used.
        product: ProductId,
        /// Amount used in the period so far, finite, 0 and more.
        amount: f64,
        /// Amount allowed in the period, finite, above 0; `None` when unlimited or unknown.
        allowance: Option<f64>,
        /// The meter; `None` for products with a single one.
        meter: Option<Meter>,
        /// Period of the allowance; `None` for the calendar month of the event.
        period: Option<Period>,
    },
    /// The customer asked for help.
    SupportTicket(CaseReport),
    /// The customer complained.
    Complaint(CaseReport),
    /// A ticket or complaint was resolved.
    CaseResolved {
        /// The case.
        case: CaseId,
    },
    /// A payment was late.
    PaymentLate,
    /// A payment failed.
    PaymentFailed,
    /// A payment was disputed.
    PaymentDisputed,
    /// The customer answered a survey.
    Survey(SurveyAnswer),
    /// The customer visited a shop, a site or an app.
    Visit {
        /// The product looked at.
        product: Option<ProductId>,
    },
    /// An offer had an outcome.
    Outcome(Outcome),
}

/// Direction of a change of plans.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PlanDirection {
    /// To a better plan.
    Up,
    /// To a plan that is as good.
    Sideways,
    /// To a lesser plan.
    Down,
    /// To a smaller plan, as the company advised because it suits the customer better.
    RightSized,
}

impl PlanDirection {
    /// All directions, in the order of the API.
    pub const ALL: [Self; 4] = [Self::Up, Self::Sideways, Self::Down, Self::RightSized];

    /// Name in files and logs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Up => "up",
            Self::Sideways => "sideways",
            Self::Down => "down",
            Self::RightSized => "right_sized",
        }
    }
}

/// Items of one product in an order.
#[derive(Debug, Clone, PartialEq)]
pub struct OrderLine {
    /// The product.
    pub product: ProductId,
    /// The order that the line belongs to.
    pub order: Option<OrderId>,
    /// Whole items, 1 to [`QUANTITY_MAX`].
    pub quantity: u32,
    /// Price of one item.
    pub unit_price: Option<Money>,
}

impl OrderLine {
    /// Value of the line in units of its currency, for estimates and never for bookkeeping; 0 when the price is unknown or
    /// negative.
    pub fn approximate_value(&self) -> f64 {
        self.unit_price.map_or(0.0, |price| (price.approximate() * f64::from(self.quantity)).max(0.0))
    }
}

/// Reason for a return: whether the product was not wanted, or merely this item of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum ReturnReason {
    /// None was given. Treated as if the product was not wanted.
    #[default]
    Unspecified,
    /// The customer did not want it after all.
    ChangedMind,
    /// The wrong size, colour or other variant.
    WrongVariant,
    /// Broken, incomplete or not as described.
    Faulty,
}

impl ReturnReason {
    /// All reasons.
    pub const ALL: [Self; 4] = [Self::Unspecified, Self::ChangedMind, Self::WrongVariant, Self::Faulty];

    /// Name in files.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unspecified => "unspecified",
            Self::ChangedMind => "changed_mind",
            Self::WrongVariant => "wrong_variant",
            Self::Faulty => "faulty",
        }
    }

    /// Whether the product itself was not wanted, rather than this item or variant of it.
    pub fn is_unwanted(self) -> bool {
        match self {
            Self::Unspecified | Self::ChangedMind => true,
            Self::WrongVariant | Self::Faulty => false,
        }
    }
}

/// A report that opens a case or adds to one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CaseReport {
    /// The case; a report without one is a case of its own, with the id of its event.
    pub case: Option<CaseId>,
    /// Severity reported.
    pub severity: Severity,
}

/// Severity of a ticket or complaint: 1 (a question) to 4 (cannot continue).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Severity(u8);

impl Severity {
    /// Severity of a report that does not state one.
    pub const DEFAULT: Self = Self(2);

    /// Creates a severity; `None` outside 1 to 4.
    pub fn new(level: u8) -> Option<Self> {
        (1..=4).contains(&level).then_some(Self(level))
    }

    /// The level, 1 to 4.
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
    /// Creates an answer; `None` unless both are finite, `score_max` is above zero and at most 1,000, and `score` is within 0 to it.
    pub fn new(score: f64, score_max: f64) -> Option<Self> {
        let fits = score_max > 0.0 && score_max <= 1000.0 && (0.0..=score_max).contains(&score);
        fits.then_some(Self { score, score_max })
    }

    /// The score given.
    pub fn score(self) -> f64 {
        self.score
    }

    /// The top of the scale.
    pub fn score_max(self) -> f64 {
        self.score_max
    }

    /// Whether it is a detractor's: 6 of 10 or less, as the net promoter score counts them.
    pub fn is_detractor(self) -> bool {
        self.score * 10.0 <= self.score_max * 6.0
    }

    /// Satisfaction, -1 to 1; 0 is the middle of the scale.
    pub fn satisfaction(self) -> f64 {
        2.0 * self.score / self.score_max - 1.0
    }
}

/// Outcome of one offer of one decision.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// The decision that served the offer.
    pub decision: DecisionId,
    /// The offer.
    pub offer: OfferId,
    /// The grant under which the decision made the offer.
    pub grant: GrantId,
    /// The product offered.
    pub product: ProductId,
    /// Kind of outcome.
    pub kind: OutcomeKind,
    /// For a complaint: its case, so that the same complaint reported as an event counts only once.
    pub case: Option<CaseId>,
}

/// Kind of outcome of an offer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum OutcomeKind {
    /// The customer saw it: an impression.
    Shown,
    /// The caller did not show it; within the lease this releases it.
    NotShown,
    /// The customer clicked on it or asked for more.
    Clicked,
    /// The customer accepted it.
    Accepted,
    /// The customer rejected it.
    Rejected,
    /// The customer dismissed it.
    Dismissed,
    /// The customer complained about it.
    Complained,
    /// The customer wants no more offers.
    OptedOut,
}

impl OutcomeKind {
    /// All kinds, in the order of the API.
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

    /// Name in ids and logs.
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

/// Effect of an event on relationship health.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Polarity {
    /// Dated now, it never lowers relationship health.
    Good,
    /// Dated now, it never raises relationship health.
    Bad,
    /// It does not change relationship health.
    Neutral,
}

impl EventKind {
    /// The effect of the event on relationship health.
    pub fn polarity(&self) -> Polarity {
        match self {
            Self::Purchase(_)
            | Self::SubscriptionStart { .. }
            | Self::SubscriptionRenewal { .. }
            | Self::Usage { .. }
            | Self::CaseResolved { .. }
            | Self::PlanChange { direction: Some(PlanDirection::Up), .. }
            | Self::Visit { .. } => Polarity::Good,
            Self::Return { .. }
            | Self::Cancellation { .. }
            | Self::Downgrade { .. }
            // Without a direction it may turn out to be a downgrade; it never raises relationship health in any case.
            | Self::PlanChange { direction: Some(PlanDirection::Down) | None, .. }
            | Self::SubscriptionEnd { .. }
            | Self::SupportTicket(_)
            | Self::Complaint(_)
            | Self::PaymentLate
            | Self::PaymentFailed
            | Self::PaymentDisputed => Polarity::Bad,
            Self::PlanChange { direction: Some(PlanDirection::Sideways | PlanDirection::RightSized), .. } => {
                Polarity::Neutral
            }
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

    /// The product that the event is about; of a downgrade or a change of plans, the product given up.
    pub fn product(&self) -> Option<&ProductId> {
        match self {
            Self::Purchase(line) | Self::Return { line, reason: _ } => Some(&line.product),
            Self::Cancellation { product } | Self::Visit { product } => product.as_ref(),
            Self::Downgrade { from: product, .. }
            | Self::PlanChange { from: product, .. }
            | Self::SubscriptionStart { product }
            | Self::SubscriptionEnd { product }
            | Self::SubscriptionRenewal { product }
            | Self::Usage { product, .. } => Some(product),
            Self::Outcome(outcome) => Some(&outcome.product),
            Self::SupportTicket(_)
            | Self::Complaint(_)
            | Self::CaseResolved { .. }
            | Self::PaymentLate
            | Self::PaymentFailed
            | Self::PaymentDisputed
            | Self::Survey(_) => None,
        }
    }

    /// The case that the event names.
    pub fn case(&self) -> Option<&CaseId> {
        if let Self::SupportTicket(report) | Self::Complaint(report) = self {
            report.case.as_ref()
        } else if let Self::CaseResolved { case } = self {
            Some(case)
        } else if let Self::Outcome(outcome) = self {
            outcome.case.as_ref()
        } else {
            None
        }
    }

    /// The product that was taken back: returned, cancelled or given up for a lesser one.
    pub fn reversed_product(&self) -> Option<&ProductId> {
        if let Self::Return { line: OrderLine { product, .. }, reason: _ }
        | Self::Cancellation { product: Some(product) }
        | Self::Downgrade { from: product, .. }
        | Self::PlanChange { from: product, direction: Some(PlanDirection::Down), .. } = self
        {
            Some(product)
        } else {
            None
        }
    }

    /// The product whose subscription started or was renewed.
    pub fn subscribed_product(&self) -> Option<&ProductId> {
        if let Self::SubscriptionStart { product } | Self::SubscriptionRenewal { product } = self {
            Some(product)
        } else {
            None
        }
    }

    /// The product whose subscription, if there was one, ended by its end or a cancellation. A downgrade or another change of
    /// plans is no end: the customer stays.
    pub fn unsubscribed_product(&self) -> Option<&ProductId> {
        if let Self::SubscriptionEnd { product } | Self::Cancellation { product: Some(product) } = self {
            Some(product)
        } else {
            None
        }
    }

    /// The product that the customer moved to, by a downgrade or another change of plans.
    pub fn changed_to_product(&self) -> Option<&ProductId> {
        if let Self::Downgrade { to: Some(product), .. } | Self::PlanChange { to: product, .. } = self {
            Some(product)
        } else {
            None
        }
    }

    /// The kind without its details.
    pub fn name(&self) -> EventKindName {
        match self {
            Self::Purchase(_) => EventKindName::Purchase,
            Self::Return { .. } => EventKindName::Return,
            Self::Cancellation { .. } => EventKindName::Cancellation,
            Self::Downgrade { .. } => EventKindName::Downgrade,
            Self::PlanChange { direction: Some(PlanDirection::RightSized), .. } => EventKindName::RightSized,
            Self::PlanChange { .. } => EventKindName::PlanChange,
            Self::SubscriptionStart { .. } => EventKindName::SubscriptionStart,
            Self::SubscriptionEnd { .. } => EventKindName::SubscriptionEnd,
            Self::SubscriptionRenewal { .. } => EventKindName::SubscriptionRenewal,
            Self::Usage { .. } => EventKindName::Usage,
            Self::SupportTicket(_) => EventKindName::SupportTicket,
            Self::Complaint(_) => EventKindName::Complaint,
            Self::CaseResolved { .. } => EventKindName::CaseResolved,
            Self::PaymentLate => EventKindName::PaymentLate,
            Self::PaymentFailed => EventKindName::PaymentFailed,
            Self::PaymentDisputed => EventKindName::PaymentDisputed,
            Self::Survey(_) => EventKindName::Survey,
            Self::Visit { .. } => EventKindName::Visit,
            Self::Outcome(_) => EventKindName::Outcome,
        }
    }

    /// Name in files and logs.
    pub fn as_str(&self) -> &'static str {
        self.name().as_str()
    }
}

/// Kind of event without its details.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EventKindName {
    /// [`EventKind::Purchase`].
    Purchase,
    /// [`EventKind::Return`].
    Return,
    /// [`EventKind::Cancellation`].
    Cancellation,
    /// [`EventKind::Downgrade`].
    Downgrade,
    /// [`EventKind::SubscriptionStart`].
    SubscriptionStart,
    /// [`EventKind::SubscriptionEnd`].
    SubscriptionEnd,
    /// [`EventKind::SubscriptionRenewal`].
    SubscriptionRenewal,
    /// [`EventKind::Usage`].
    Usage,
    /// [`EventKind::SupportTicket`].
    SupportTicket,
    /// [`EventKind::Complaint`].
    Complaint,
    /// [`EventKind::CaseResolved`].
    CaseResolved,
    /// [`EventKind::PaymentLate`].
    PaymentLate,
    /// [`EventKind::PaymentFailed`].
    PaymentFailed,
    /// [`EventKind::PaymentDisputed`].
    PaymentDisputed,
    /// [`EventKind::Survey`].
    Survey,
    /// [`EventKind::Visit`].
    Visit,
    /// [`EventKind::Outcome`].
    Outcome,
    /// [`EventKind::PlanChange`] in any direction but the next.
    PlanChange,
    /// [`EventKind::PlanChange`] to a smaller plan that the company advised.
    RightSized,
}

impl EventKindName {
    /// All kinds, in the order of the API.
    pub const ALL: [Self; 19] = [
        Self::Purchase,
        Self::Return,
        Self::Cancellation,
        Self::Downgrade,
        Self::SubscriptionStart,
        Self::SubscriptionEnd,
        Self::SubscriptionRenewal,
        Self::Usage,
        Self::SupportTicket,
        Self::Complaint,
        Self::CaseResolved,
        Self::PaymentLate,
        Self::PaymentFailed,
        Self::PaymentDisputed,
        Self::Survey,
        Self::Visit,
        Self::Outcome,
        Self::PlanChange,
        Self::RightSized,
    ];

    /// Name in files and logs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Purchase => "purchase",
            Self::Return => "return",
            Self::Cancellation => "cancellation",
            Self::Downgrade => "downgrade",
            Self::SubscriptionStart => "subscription_start",
            Self::SubscriptionEnd => "subscription_end",
            Self::SubscriptionRenewal => "subscription_renewal",
            Self::Usage => "usage",
            Self::SupportTicket => "support_ticket",
            Self::Complaint => "complaint",
            Self::CaseResolved => "case_resolved",
            Self::PaymentLate => "payment_late",
            Self::PaymentFailed => "payment_failed",
            Self::PaymentDisputed => "payment_disputed",
            Self::Survey => "survey",
            Self::Visit => "visit",
            Self::Outcome => "outcome",
            Self::PlanChange => "plan_change",
            Self::RightSized => "right_sized",
        }
    }
}
