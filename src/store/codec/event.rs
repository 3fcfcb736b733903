//! Events, in history and in the outbox.

use serde::{Deserialize, Serialize};

use super::frame::{self, CodecError};
use super::scalar::{
    FiniteF64, FixedU64, FixedU128, StoredMoney, optional_money, optional_product, stored_enum, timestamp,
};
use crate::domain::event::{
    CaseReport, Event, EventKind, OrderLine, Outcome, OutcomeKind, PlanDirection, ReturnReason, Severity, SurveyAnswer,
};
use crate::domain::ids::{CaseId, CustomerId, DecisionId, EventId, GrantId, Meter, OfferId, OrderId, ProductId};
use crate::domain::usage::Period;
use crate::store::contract::error::StoreError;

const VERSION: u8 = 1;
const RECORD: &str = "event";

/// Encodes an event.
pub fn encode_event(event: &Event) -> Result<Vec<u8>, StoreError> {
    frame::encode(VERSION, &StoredEventV1::from(event)).map_err(|error| error.into_store_error(RECORD))
}

/// Decodes an event.
pub fn decode_event(bytes: &[u8]) -> Result<Event, StoreError> {
    frame::decode::<StoredEventV1>(VERSION, bytes)
        .and_then(StoredEventV1::event)
        .map_err(|error| error.into_store_error(RECORD))
}

#[derive(Serialize, Deserialize)]
struct StoredEventV1 {
    id: String,
    customer: Option<String>,
    at: i64,
    kind: StoredEventKind,
}

#[derive(Serialize, Deserialize)]
enum StoredEventKind {
    Purchase(StoredOrderLine),
    Return {
        line: StoredOrderLine,
        reason: StoredReturnReason,
    },
    Cancellation {
        product: Option<String>,
    },
    Downgrade {
        from: String,
        to: Option<String>,
    },
    SubscriptionStart {
        product: String,
    },
    SubscriptionEnd {
        product: String,
    },
    SubscriptionRenewal {
        product: String,
    },
    Usage {
        product: String,
        amount: FiniteF64,
        allowance: Option<FiniteF64>,
        meter: Option<String>,
        /// Start and end.
        period: Option<(i64, i64)>,
    },
    SupportTicket(StoredCaseReport),
    Complaint(StoredCaseReport),
    CaseResolved {
        case: String,
    },
    PaymentLate,
    PaymentFailed,
    PaymentDisputed,
    Survey {
        score: FiniteF64,
        score_max: FiniteF64,
    },
    Visit {
        product: Option<String>,
    },
    Outcome(StoredOutcome),
    PlanChange {
        from: String,
        to: String,
        direction: Option<StoredPlanDirection>,
    },
}

stored_enum! {
    /// Stored [`PlanDirection`].
    StoredPlanDirection of PlanDirection { Up, Sideways, Down, RightSized }
}

#[derive(Serialize, Deserialize)]
struct StoredOrderLine {
    product: String,
    order: Option<String>,
    quantity: u32,
    unit_price: Option<StoredMoney>,
}

#[derive(Serialize, Deserialize)]
struct StoredCaseReport {
    case: Option<String>,
    severity: u8,
}

#[derive(Serialize, Deserialize)]
struct StoredOutcome {
    decision: FixedU128,
    offer: String,
    grant: FixedU64,
    product: String,
    kind: StoredOutcomeKind,
    case: Option<String>,
}

stored_enum! {
    /// Stored [`OutcomeKind`].
    StoredOutcomeKind of OutcomeKind {
        Shown, NotShown, Clicked, Accepted, Rejected, Dismissed, Complained, OptedOut,
    }
}

impl From<&Event> for StoredEventV1 {
    fn from(event: &Event) -> Self {
        let Event { id, customer, at, kind } = event;
        Self {
            id: id.to_string(),
            customer: customer.as_ref().map(ToString::to_string),
            at: at.unix_ms(),
            kind: kind.into(),
        }
    }
}

impl StoredEventV1 {
    fn event(self) -> Result<Event, CodecError> {
        let Self { id, customer, at, kind } = self;
        Ok(Event {
            id: EventId::new(id)?,
            customer: customer.map(CustomerId::new).transpose()?,
            at: timestamp(at)?,
            kind: kind.kind()?,
        })
    }
}

impl From<&EventKind> for StoredEventKind {
    fn from(kind: &EventKind) -> Self {
        match kind {
            EventKind::Purchase(line) => Self::Purchase(line.into()),
            EventKind::Return { line, reason } => Self::Return { line: line.into(), reason: (*reason).into() },
            EventKind::Cancellation { product } => {
                Self::Cancellation { product: product.as_ref().map(ToString::to_string) }
            }
            EventKind::Downgrade { from, to } => {
                Self::Downgrade { from: from.to_string(), to: to.as_ref().map(ToString::to_string) }
            }
            EventKind::SubscriptionStart { product } => Self::SubscriptionStart { product: product.to_string() },
            EventKind::SubscriptionEnd { product } => Self::SubscriptionEnd { product: product.to_string() },
            EventKind::SubscriptionRenewal { product } => Self::SubscriptionRenewal { product: product.to_string() },
            EventKind::Usage { product, amount, allowance, meter, period } => Self::Usage {
                product: product.to_string(),
                amount: FiniteF64(*amount),
                allowance: allowance.map(FiniteF64),
                meter: meter.as_ref().map(ToString::to_string),
                period: period.map(|period| (period.start().unix_ms(), period.end().unix_ms())),
            },
            EventKind::SupportTicket(report) => Self::SupportTicket(report.into()),
            EventKind::Complaint(report) => Self::Complaint(report.into()),
            EventKind::CaseResolved { case } => Self::CaseResolved { case: case.to_string() },
            EventKind::PaymentLate => Self::PaymentLate,
            EventKind::PaymentFailed => Self::PaymentFailed,
            EventKind::PaymentDisputed => Self::PaymentDisputed,
            EventKind::Survey(answer) => {
                Self::Survey { score: FiniteF64(answer.score()), score_max: FiniteF64(answer.score_max()) }
            }
            EventKind::Visit { product } => Self::Visit { product: product.as_ref().map(ToString::to_string) },
            EventKind::Outcome(outcome) => Self::Outcome(outcome.into()),
            EventKind::PlanChange { from, to, direction } => Self::PlanChange {
                from: from.to_string(),
                to: to.to_string(),
                direction: direction.map(StoredPlanDirection::from),
            },
        }
    }
}

impl StoredEventKind {
    fn kind(self) -> Result<EventKind, CodecError> {
        Ok(match self {
            Self::Purchase(line) => EventKind::Purchase(line.line()?),
            Self::Return { line, reason } => EventKind::Return { line: line.line()?, reason: reason.into() },
            Self::Cancellation { product } => EventKind::Cancellation { product: optional_product(product)? },
            Self::Downgrade { from, to } => {
                EventKind::Downgrade { from: ProductId::new(from)?, to: optional_product(to)? }
            }
            Self::SubscriptionStart { product } => EventKind::SubscriptionStart { product: ProductId::new(product)? },
            Self::SubscriptionEnd { product } => EventKind::SubscriptionEnd { product: ProductId::new(product)? },
            Self::SubscriptionRenewal { product } => {
                EventKind::SubscriptionRenewal { product: ProductId::new(product)? }
            }
            Self::Usage { product, amount, allowance, meter, period } => EventKind::Usage {
                product: ProductId::new(product)?,
                amount: amount.0,
                allowance: allowance.map(|FiniteF64(number)| number),
                meter: meter.map(Meter::new).transpose()?,
                period: period.map(|(start, end)| usage_period(start, end)).transpose()?,
            },
            Self::SupportTicket(report) => EventKind::SupportTicket(report.report()?),
            Self::Complaint(report) => EventKind::Complaint(report.report()?),
            Self::CaseResolved { case } => EventKind::CaseResolved { case: CaseId::new(case)? },
            Self::PaymentLate => EventKind::PaymentLate,
            Self::PaymentFailed => EventKind::PaymentFailed,
            Self::PaymentDisputed => EventKind::PaymentDisputed,
            Self::Survey { score, score_max } => {
                let answer = SurveyAnswer::new(score.0, score_max.0);
                EventKind::Survey(answer.ok_or_else(|| CodecError("a survey score is outside its scale".to_owned()))?)
            }
            Self::Visit { product } => EventKind::Visit { product: optional_product(product)? },
            Self::Outcome(outcome) => EventKind::Outcome(outcome.outcome()?),
            Self::PlanChange { from, to, direction } => EventKind::PlanChange {
                from: ProductId::new(from)?,
                to: ProductId::new(to)?,
                direction: direction.map(PlanDirection::from),
            },
        })
    }
}

fn usage_period(start: i64, end: i64) -> Result<Period, CodecError> {
    Period::new(timestamp(start)?, timestamp(end)?)
        .ok_or_else(|| CodecError("a period of usage does not end after it starts".to_owned()))
}

stored_enum! {
    /// Stored [`ReturnReason`].
    StoredReturnReason of ReturnReason { Unspecified, ChangedMind, WrongVariant, Faulty }
}

impl From<&OrderLine> for StoredOrderLine {
    fn from(line: &OrderLine) -> Self {
        let OrderLine { product, order, quantity, unit_price } = line;
        Self {
            product: product.to_string(),
            order: order.as_ref().map(ToString::to_string),
            quantity: *quantity,
            unit_price: unit_price.map(StoredMoney::from),
        }
    }
}

impl StoredOrderLine {
    fn line(self) -> Result<OrderLine, CodecError> {
        let Self { product, order, quantity, unit_price } = self;
        Ok(OrderLine {
            product: ProductId::new(product)?,
            order: order.map(OrderId::new).transpose()?,
            quantity,
            unit_price: optional_money(unit_price.as_ref())?,
        })
    }
}

impl From<&CaseReport> for StoredCaseReport {
    fn from(report: &CaseReport) -> Self {
        let CaseReport { case, severity } = report;
        Self { case: case.as_ref().map(ToString::to_string), severity: severity.level() }
    }
}

impl StoredCaseReport {
    fn report(self) -> Result<CaseReport, CodecError> {
        let Self { case, severity } = self;
        Ok(CaseReport { case: case.map(CaseId::new).transpose()?, severity: severity_of(severity)? })
    }
}

/// Converts a severity level, 1 to 4.
pub(super) fn severity_of(level: u8) -> Result<Severity, CodecError> {
    Severity::new(level).ok_or_else(|| CodecError("a severity is outside 1 to 4".to_owned()))
}

impl From<&Outcome> for StoredOutcome {
    fn from(outcome: &Outcome) -> Self {
        let Outcome { decision, offer, grant, product, kind, case } = outcome;
        Self {
            decision: FixedU128::of(decision.bits()),
            offer: offer.to_string(),
            grant: FixedU64::of(grant.bits()),
            product: product.to_string(),
            kind: (*kind).into(),
            case: case.as_ref().map(ToString::to_string),
        }
    }
}

impl StoredOutcome {
    fn outcome(self) -> Result<Outcome, CodecError> {
        let Self { decision, offer, grant, product, kind, case } = self;
        Ok(Outcome {
            decision: DecisionId::from_bits(decision.bits()),
            offer: OfferId::new(offer)?,
            grant: GrantId::from_bits(grant.bits()),
            product: ProductId::new(product)?,
            kind: kind.into(),
            case: case.map(CaseId::new).transpose()?,
        })
    }
}
