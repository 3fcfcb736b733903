//! A row as an event. Columns that its kind has no use for are not looked at.

use super::column::Column;
use super::fields::Fields;
use super::kind::{KindName, RowKind};
use super::numbers::{decimal, shown, whole};
use crate::domain::event::{CaseReport, Event, EventKind, OrderLine, QUANTITY_MAX, Severity, SurveyAnswer};
use crate::domain::ids::{CaseId, CustomerId, EventId, OrderId, ProductId};

/// The largest amount or allowance of a usage, in whatever unit the product has. Far above any real one, and far below
/// where a float loses whole numbers.
const USAGE_AMOUNT_MAX: f64 = 1e12;

/// Reads an event; `None` only with a reason in the fields.
pub(super) fn event(fields: &mut Fields<'_>) -> Option<Event> {
    let id = fields.id(Column::EventId, EventId::new);
    fields.require(Column::Time);
    let at = fields.time(Column::Time);
    let customer = fields.id(Column::CustomerId, CustomerId::new);
    let row_kind = row_kind(fields);
    if row_kind.is_some_and(|kind| !teaches_without_customer(kind.name)) {
        fields.require(Column::CustomerId);
    }
    let kind = row_kind.and_then(|row_kind| event_kind(row_kind, fields));
    let (at, kind) = (at?, kind?);
    // A row that is going to be rejected must not use up an occurrence number.
    if !fields.reasons.is_empty() {
        return None;
    }
    let id = id.unwrap_or_else(|| fields.row_id());
    Some(Event { id, customer, at, kind })
}

/// What anonymous buyers do still teaches the model; every other event says something about one customer.
fn teaches_without_customer(kind: KindName) -> bool {
    matches!(kind, KindName::Purchase | KindName::Return)
}

fn row_kind(fields: &mut Fields<'_>) -> Option<RowKind> {
    let Some(rule) = &fields.mapping.kind else {
        fields.require(Column::Kind);
        let name = fields.parsed(Column::Kind, KindName::parse)?;
        return Some(RowKind { name, is_negative: false });
    };
    let cell = fields.layout.kind.map_or(super::cells::Cell::Empty, |position| fields.row.cell(position));
    rule.kind_of(cell).map_err(|problem| fields.refuse_source(rule.column(), problem)).ok()
}

fn event_kind(row_kind: RowKind, fields: &mut Fields<'_>) -> Option<EventKind> {
    Some(match row_kind.name {
        KindName::Purchase => EventKind::Purchase(line(row_kind, fields)?),
        KindName::Return => EventKind::Return(line(row_kind, fields)?),
        KindName::Cancellation => EventKind::Cancellation { product: optional_product(fields) },
        KindName::Downgrade => {
            let to = fields.id(Column::ToProductId, ProductId::new);
            EventKind::Downgrade { from: product(fields)?, to }
        }
        KindName::SubscriptionStart => EventKind::SubscriptionStart { product: product(fields)? },
        KindName::SubscriptionEnd => EventKind::SubscriptionEnd { product: product(fields)? },
        KindName::SubscriptionRenewal => EventKind::SubscriptionRenewal { product: product(fields)? },
        KindName::Usage => usage(fields)?,
        KindName::SupportTicket => EventKind::SupportTicket(case_report(fields)),
        KindName::Complaint => EventKind::Complaint(case_report(fields)),
        KindName::CaseResolved => {
            fields.require(Column::CaseId);
            EventKind::CaseResolved { case: fields.id(Column::CaseId, CaseId::new)? }
        }
        KindName::PaymentLate => EventKind::PaymentLate,
        KindName::PaymentFailed => EventKind::PaymentFailed,
        KindName::PaymentDisputed => EventKind::PaymentDisputed,
        KindName::Survey => EventKind::Survey(survey_answer(fields)?),
        KindName::Visit => EventKind::Visit { product: optional_product(fields) },
    })
}

fn optional_product(fields: &mut Fields<'_>) -> Option<ProductId> {
    fields.id(Column::ProductId, ProductId::new)
}

fn product(fields: &mut Fields<'_>) -> Option<ProductId> {
    fields.require(Column::ProductId);
    optional_product(fields)
}

/// A line without a quantity is one item.
fn line(row_kind: RowKind, fields: &mut Fields<'_>) -> Option<OrderLine> {
    let product = product(fields);
    let order = fields.id(Column::OrderId, OrderId::new);
    let is_given = !fields.is_empty(Column::Quantity);
    let quantity = fields.parsed(Column::Quantity, |text| {
        let number = whole(text)?;
        let number = if row_kind.is_negative { number.saturating_abs() } else { number };
        let quantity = u32::try_from(number).ok().filter(|quantity| (1..=QUANTITY_MAX).contains(quantity));
        quantity.ok_or_else(|| format!("must be 1 to {QUANTITY_MAX}, not {}", shown(text)))
    });
    let unit_price = fields.price(Column::UnitPrice);
    let quantity = if is_given { quantity? } else { 1 };
    Some(OrderLine { product: product?, order, quantity, unit_price })
}

fn usage(fields: &mut Fields<'_>) -> Option<EventKind> {
    let product = product(fields);
    fields.require(Column::Quantity);
    let amount = fields.parsed(Column::Quantity, |text| match decimal(text)? {
        amount if (0.0..=USAGE_AMOUNT_MAX).contains(&amount) => Ok(amount),
        _ => Err(format!("must be 0 to {USAGE_AMOUNT_MAX}, not {}", shown(text))),
    });
    let allowance = fields.parsed(Column::Allowance, |text| match decimal(text)? {
        allowance if allowance > 0.0 && allowance <= USAGE_AMOUNT_MAX => Ok(allowance),
        _ => Err(format!("must be above 0 and at most {USAGE_AMOUNT_MAX}, not {}", shown(text))),
    });
    Some(EventKind::Usage { product: product?, amount: amount?, allowance })
}

fn case_report(fields: &mut Fields<'_>) -> CaseReport {
    let case = fields.id(Column::CaseId, CaseId::new);
    let severity = fields.parsed(Column::Severity, |text| {
        let severity = u8::try_from(whole(text)?).ok().and_then(Severity::new);
        severity.ok_or_else(|| format!("must be 1 (a question) to 4 (cannot go on), not {}", shown(text)))
    });
    CaseReport { case, severity: severity.unwrap_or(Severity::DEFAULT) }
}

fn survey_answer(fields: &mut Fields<'_>) -> Option<SurveyAnswer> {
    fields.require(Column::Score);
    fields.require(Column::ScoreMax);
    let score = fields.parsed(Column::Score, decimal);
    let score_max = fields.parsed(Column::ScoreMax, decimal);
    let answer = SurveyAnswer::new(score?, score_max?);
    if answer.is_none() {
        fields.refuse(Column::Score, "must be 0 to `score_max`, and `score_max` above 0 and at most 1000");
    }
    answer
}
