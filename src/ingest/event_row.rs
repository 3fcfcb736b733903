//! Conversion of a row to an event. Columns that the kind of event does not use are ignored.

use super::canonical_column::CanonicalColumn;
use super::cell_values::{excerpt, parse_decimal, parse_integer};
use super::event_kind_rule::{EventRowKind, OUTCOMES_NOT_IMPORTED, parse_kind};
use super::invalid_cell::InvalidCell;
use super::row_fields::RowFields;
use crate::domain::event::{
    CaseReport, Event, EventKind, EventKindName, OrderLine, PlanDirection, QUANTITY_MAX, ReturnReason, Severity,
    SurveyAnswer,
};
use crate::domain::ids::{CaseId, CustomerId, EventId, Meter, OrderId, ProductId};
use crate::domain::time::DAY;
use crate::domain::usage::{PERIOD_MAX, Period};

/// Maximum amount and allowance of a usage, in the unit of the product. Far above any real one, and far below the range in which
/// a float cannot represent every integer.
const USAGE_AMOUNT_MAX: f64 = 1e12;

/// Converts a row; `None` only with a fault in the fields.
pub(super) fn event(fields: &mut RowFields<'_>) -> Option<Event> {
    let id = fields.id(CanonicalColumn::EventId, EventId::new);
    fields.require(CanonicalColumn::Time);
    let at = fields.time(CanonicalColumn::Time);
    let customer = fields.id(CanonicalColumn::CustomerId, CustomerId::new);
    let row_kind = row_kind(fields);
    if row_kind.is_some_and(|kind| !may_be_anonymous(kind.name)) {
        fields.require(CanonicalColumn::CustomerId);
    }
    let kind = row_kind.and_then(|row_kind| event_kind(row_kind, fields));
    let (at, kind) = (at?, kind?);
    // A row that is going to be rejected must not use up an occurrence number.
    if !fields.faults.is_empty() {
        return None;
    }
    let id = id.unwrap_or_else(|| fields.generate_id());
    Some(Event { id, customer, at, kind })
}

/// Whether an event may be anonymous: sales without a customer still train the model, all other events are about a customer.
fn may_be_anonymous(kind: EventKindName) -> bool {
    matches!(kind, EventKindName::Purchase | EventKindName::Return)
}

fn row_kind(fields: &mut RowFields<'_>) -> Option<EventRowKind> {
    let Some(rule) = &fields.mapping.kind else {
        fields.require(CanonicalColumn::Kind);
        let name = fields.parsed(CanonicalColumn::Kind, parse_kind)?;
        return Some(EventRowKind { name, is_negative: false });
    };
    let cell = fields.layout.kind.map_or(super::raw_row::CellValue::Empty, |position| fields.row.cell(position));
    rule.kind_of(cell).map_err(|problem| fields.add_column_fault(rule.column(), problem)).ok()
}

fn event_kind(row_kind: EventRowKind, fields: &mut RowFields<'_>) -> Option<EventKind> {
    Some(match row_kind.name {
        EventKindName::Purchase => EventKind::Purchase(line(row_kind, fields)?),
        EventKindName::Return => {
            let reason = fields.text(CanonicalColumn::ReturnReason);
            let reason = reason.map_or(ReturnReason::Unspecified, |text| parse_return_reason(&text));
            EventKind::Return { line: line(row_kind, fields)?, reason }
        }
        EventKindName::Cancellation => EventKind::Cancellation { product: optional_product(fields) },
        EventKindName::Downgrade => {
            let to = fields.id(CanonicalColumn::ToProductId, ProductId::new);
            let from = product(fields)?;
            require_another(fields, &from, to.as_ref());
            EventKind::Downgrade { from, to }
        }
        EventKindName::PlanChange => {
            let direction = fields.parsed(CanonicalColumn::PlanDirection, parse_direction);
            plan_change(fields, direction)?
        }
        EventKindName::RightSized => plan_change(fields, Some(PlanDirection::RightSized))?,
        EventKindName::SubscriptionStart => EventKind::SubscriptionStart { product: product(fields)? },
        EventKindName::SubscriptionEnd => EventKind::SubscriptionEnd { product: product(fields)? },
        EventKindName::SubscriptionRenewal => EventKind::SubscriptionRenewal { product: product(fields)? },
        EventKindName::Usage => usage(fields)?,
        EventKindName::SupportTicket => EventKind::SupportTicket(case_report(fields)),
        EventKindName::Complaint => EventKind::Complaint(case_report(fields)),
        EventKindName::CaseResolved => {
            fields.require(CanonicalColumn::CaseId);
            EventKind::CaseResolved { case: fields.id(CanonicalColumn::CaseId, CaseId::new)? }
        }
        EventKindName::PaymentLate => EventKind::PaymentLate,
        EventKindName::PaymentFailed => EventKind::PaymentFailed,
        EventKindName::PaymentDisputed => EventKind::PaymentDisputed,
        EventKindName::Survey => EventKind::Survey(survey_answer(fields)?),
        EventKindName::Visit => EventKind::Visit { product: optional_product(fields) },
        EventKindName::Outcome => {
            fields.add_fault(CanonicalColumn::Kind, OUTCOMES_NOT_IMPORTED);
            return None;
        }
    })
}

/// Reads a change of plans from one product to another.
fn plan_change(fields: &mut RowFields<'_>, direction: Option<PlanDirection>) -> Option<EventKind> {
    let from = product(fields);
    fields.require(CanonicalColumn::ToProductId);
    let to = fields.id(CanonicalColumn::ToProductId, ProductId::new);
    let (from, to) = (from?, to?);
    require_another(fields, &from, Some(&to));
    Some(EventKind::PlanChange { from, to, direction })
}

fn require_another(fields: &mut RowFields<'_>, from: &ProductId, to: Option<&ProductId>) {
    if to == Some(from) {
        fields.add_fault(CanonicalColumn::ToProductId, "must differ from `product_id`");
    }
}

fn parse_direction(text: &str) -> Result<PlanDirection, InvalidCell> {
    PlanDirection::ALL.into_iter().find(|direction| direction.as_str() == text).ok_or_else(|| {
        let names = PlanDirection::ALL.map(PlanDirection::as_str);
        InvalidCell(format!("must be one of {}, not {}", names.join(", "), excerpt(text)))
    })
}

fn optional_product(fields: &mut RowFields<'_>) -> Option<ProductId> {
    fields.id(CanonicalColumn::ProductId, ProductId::new)
}

fn product(fields: &mut RowFields<'_>) -> Option<ProductId> {
    fields.require(CanonicalColumn::ProductId);
    optional_product(fields)
}

/// Reads an order line; a missing quantity is 1.
fn line(row_kind: EventRowKind, fields: &mut RowFields<'_>) -> Option<OrderLine> {
    let product = product(fields);
    let order = fields.id(CanonicalColumn::OrderId, OrderId::new);
    let is_given = !fields.is_empty(CanonicalColumn::Quantity);
    let quantity = fields.parsed(CanonicalColumn::Quantity, |text| {
        let number = parse_integer(text)?;
        let number = if row_kind.is_negative { number.saturating_abs() } else { number };
        let quantity = u32::try_from(number).ok().filter(|quantity| (1..=QUANTITY_MAX).contains(quantity));
        quantity.ok_or_else(|| InvalidCell(format!("must be 1 to {QUANTITY_MAX}, not {}", excerpt(text))))
    });
    let unit_price = fields.price(CanonicalColumn::UnitPrice);
    let quantity = if is_given { quantity? } else { 1 };
    Some(OrderLine { product: product?, order, quantity, unit_price })
}

/// Reads the reason for a return; any other text is no reason, which is the most cautious reading.
fn parse_return_reason(text: &str) -> ReturnReason {
    let words: Vec<String> =
        text.split([' ', '_', '-']).filter(|word| !word.is_empty()).map(str::to_lowercase).collect();
    match words.join("_").as_str() {
        "changed_mind" => ReturnReason::ChangedMind,
        "wrong_variant" | "wrong_size" | "wrong_colour" | "wrong_color" => ReturnReason::WrongVariant,
        "faulty" | "defective" | "damaged" => ReturnReason::Faulty,
        _ => ReturnReason::Unspecified,
    }
}

fn usage(fields: &mut RowFields<'_>) -> Option<EventKind> {
    let product = product(fields);
    fields.require(CanonicalColumn::Quantity);
    let amount = fields.parsed(CanonicalColumn::Quantity, |text| match parse_decimal(text)? {
        amount if (0.0..=USAGE_AMOUNT_MAX).contains(&amount) => Ok(amount),
        _ => Err(InvalidCell(format!("must be 0 to {USAGE_AMOUNT_MAX}, not {}", excerpt(text)))),
    });
    let allowance = fields.parsed(CanonicalColumn::Allowance, |text| match parse_decimal(text)? {
        allowance if allowance > 0.0 && allowance <= USAGE_AMOUNT_MAX => Ok(allowance),
        _ => Err(InvalidCell(format!("must be above 0 and at most {USAGE_AMOUNT_MAX}, not {}", excerpt(text)))),
    });
    let meter = fields.id(CanonicalColumn::Meter, Meter::new);
    let period = period(fields);
    Some(EventKind::Usage { product: product?, amount: amount?, allowance, meter, period })
}

/// Reads the period of an allowance; start and end are required together.
fn period(fields: &mut RowFields<'_>) -> Option<Period> {
    match (fields.is_empty(CanonicalColumn::PeriodStart), fields.is_empty(CanonicalColumn::PeriodEnd)) {
        (true, false) => fields.add_fault(CanonicalColumn::PeriodStart, "is missing, and `period_end` is given"),
        (false, true) => fields.add_fault(CanonicalColumn::PeriodEnd, "is missing, and `period_start` is given"),
        (true, true) | (false, false) => {}
    }
    let start = fields.time(CanonicalColumn::PeriodStart);
    let (start, end) = start.zip(fields.time(CanonicalColumn::PeriodEnd))?;
    let period = Period::new(start, end);
    if period.is_none() {
        let days = PERIOD_MAX.as_secs() / DAY.as_secs();
        fields.add_fault(CanonicalColumn::PeriodEnd, format!("must be after `period_start`, at most {days} days"));
    }
    period
}

fn case_report(fields: &mut RowFields<'_>) -> CaseReport {
    let case = fields.id(CanonicalColumn::CaseId, CaseId::new);
    let severity = fields.parsed(CanonicalColumn::Severity, |text| {
        let severity = u8::try_from(parse_integer(text)?).ok().and_then(Severity::new);
        severity
            .ok_or_else(|| InvalidCell(format!("must be 1 (a question) to 4 (cannot go on), not {}", excerpt(text))))
    });
    CaseReport { case, severity: severity.unwrap_or(Severity::DEFAULT) }
}

fn survey_answer(fields: &mut RowFields<'_>) -> Option<SurveyAnswer> {
    fields.require(CanonicalColumn::Score);
    fields.require(CanonicalColumn::ScoreMax);
    let score = fields.parsed(CanonicalColumn::Score, parse_decimal);
    let score_max = fields.parsed(CanonicalColumn::ScoreMax, parse_decimal);
    let answer = SurveyAnswer::new(score?, score_max?);
    if answer.is_none() {
        fields.add_fault(CanonicalColumn::Score, "must be 0 to `score_max`, and `score_max` above 0 and at most 1000");
    }
    answer
}
