//! Messages of `FeedbackService`.

use super::offers::decision_id;
use super::violations::Violations;
use crate::domain::event::{
    CaseReport, Event, EventKind, OrderLine, OutcomeKind, PlanDirection, QUANTITY_MAX, ReturnReason, Severity,
    SurveyAnswer,
};
use crate::domain::ids::{CaseId, CustomerId, EventId, Meter, OfferId, OrderId, ProductId};
use crate::domain::time::{DAY, Timestamp};
use crate::domain::usage::{PERIOD_MAX, Period};
use crate::grpc::generated::tactful::v1 as wire;
use crate::use_cases::record_outcomes::OutcomeReport;

/// Maximum usage amount or allowance.
const AMOUNT_MAX: f64 = 1e12;

/// Reads an outcome; paths of violations start with `path`.
pub(crate) fn outcome_from_wire(
    path: &str,
    message: wire::OfferOutcome,
    now: Timestamp,
) -> Result<OutcomeReport, Violations> {
    let wire::OfferOutcome { customer_id, decision_id: decision, offer_id, kind, outcome_time, case_id } = message;
    let mut violations = Violations::default();
    let field = |name: &str| format!("{path}.{name}");
    let customer = violations.id(&field("customer_id"), customer_id, CustomerId::new);
    let decision = decision_id(&mut violations, &field("decision_id"), &decision);
    let offer = violations.id(&field("offer_id"), offer_id, OfferId::new);
    let kind = outcome_kind(kind);
    if kind.is_none() {
        violations.add(field("kind"), "must be a known OutcomeKind other than UNSPECIFIED");
    }
    let at = outcome_time.and_then(|at| violations.past(&field("outcome_time"), at, now));
    let case = violations.optional_id(&field("case_id"), case_id, CaseId::new);
    if case.is_some() && kind != Some(OutcomeKind::Complained) {
        violations.add(field("case_id"), "is allowed only with kind COMPLAINED");
    }
    let report = customer
        .zip(decision)
        .zip(offer)
        .zip(kind)
        .map(|(((customer, decision), offer), kind)| OutcomeReport { customer, decision, offer, kind, at, case });
    violations.or(report)
}

/// Reads the kind of an outcome; `None` when it is unspecified or unknown.
pub(crate) fn outcome_kind(kind: i32) -> Option<OutcomeKind> {
    match wire::OutcomeKind::try_from(kind).ok()? {
        wire::OutcomeKind::Unspecified => None,
        wire::OutcomeKind::Shown => Some(OutcomeKind::Shown),
        wire::OutcomeKind::NotShown => Some(OutcomeKind::NotShown),
        wire::OutcomeKind::Clicked => Some(OutcomeKind::Clicked),
        wire::OutcomeKind::Accepted => Some(OutcomeKind::Accepted),
        wire::OutcomeKind::Rejected => Some(OutcomeKind::Rejected),
        wire::OutcomeKind::Dismissed => Some(OutcomeKind::Dismissed),
        wire::OutcomeKind::Complained => Some(OutcomeKind::Complained),
        wire::OutcomeKind::OptedOut => Some(OutcomeKind::OptedOut),
    }
}

/// Converts the kind of an outcome.
pub(crate) fn outcome_kind_to_wire(kind: OutcomeKind) -> wire::OutcomeKind {
    match kind {
        OutcomeKind::Shown => wire::OutcomeKind::Shown,
        OutcomeKind::NotShown => wire::OutcomeKind::NotShown,
        OutcomeKind::Clicked => wire::OutcomeKind::Clicked,
        OutcomeKind::Accepted => wire::OutcomeKind::Accepted,
        OutcomeKind::Rejected => wire::OutcomeKind::Rejected,
        OutcomeKind::Dismissed => wire::OutcomeKind::Dismissed,
        OutcomeKind::Complained => wire::OutcomeKind::Complained,
        OutcomeKind::OptedOut => wire::OutcomeKind::OptedOut,
    }
}

/// Reads an event; paths of violations start with `path`.
pub(crate) fn event_from_wire(path: &str, message: wire::CustomerEvent, now: Timestamp) -> Result<Event, Violations> {
    let mut reader = EventReader { path, violations: Violations::default(), allowed: Vec::new() };
    let id = reader.violations.id(&reader.field("event_id"), message.event_id.clone(), EventId::new);
    let customer =
        reader.violations.optional_id(&reader.field("customer_id"), message.customer_id.clone(), CustomerId::new);
    let at = if let Some(at) = message.event_time {
        reader.violations.past(&reader.field("event_time"), at, now)
    } else {
        reader.violations.add(reader.field("event_time"), "is required");
        None
    };
    let kind = reader.kind(&message);
    let may_be_anonymous = matches!(
        wire::EventKind::try_from(message.kind),
        Ok(wire::EventKind::Purchase | wire::EventKind::Return | wire::EventKind::Unspecified) | Err(_)
    );
    if message.customer_id.is_empty() && !may_be_anonymous {
        reader.violations.add(reader.field("customer_id"), "is required except for purchases and returns");
    }
    reader.reject_other_fields(&message);
    let event = id.zip(at).zip(kind).map(|((id, at), kind)| Event { id, customer, at, kind });
    reader.violations.or(event)
}

struct EventReader<'a> {
    path: &'a str,
    violations: Violations,
    /// Fields that the kind of event may set.
    allowed: Vec<&'static str>,
}

impl EventReader<'_> {
    fn field(&self, name: &str) -> String {
        format!("{}.{name}", self.path)
    }

    fn kind(&mut self, message: &wire::CustomerEvent) -> Option<EventKind> {
        use wire::EventKind as Wire;
        let Ok(kind) = Wire::try_from(message.kind) else {
            self.violations.add(self.field("kind"), format_args!("unknown EventKind {}", message.kind));
            return None;
        };
        match kind {
            Wire::Unspecified => {
                self.violations.add(self.field("kind"), "is required");
                None
            }
            Wire::Purchase => Some(EventKind::Purchase(self.order_line(message)?)),
            Wire::Return => {
                let reason = self.return_reason(message);
                Some(EventKind::Return { line: self.order_line(message)?, reason: reason? })
            }
            Wire::Cancellation => Some(EventKind::Cancellation { product: self.optional_product(message) }),
            Wire::Downgrade => {
                let from = self.product(message);
                self.allowed.push("to_product_id");
                let (field, text) = (self.field("to_product_id"), message.to_product_id.clone());
                let to = self.violations.optional_id(&field, text, ProductId::new);
                self.require_another(from.as_ref(), to.as_ref());
                Some(EventKind::Downgrade { from: from?, to })
            }
            Wire::PlanChange => {
                self.allowed.push("plan_direction");
                let direction = self.plan_direction(message.plan_direction);
                self.plan_change(message, direction)
            }
            Wire::RightSized => self.plan_change(message, Some(PlanDirection::RightSized)),
            Wire::SubscriptionStart => Some(EventKind::SubscriptionStart { product: self.product(message)? }),
            Wire::SubscriptionEnd => Some(EventKind::SubscriptionEnd { product: self.product(message)? }),
            Wire::SubscriptionRenewal => Some(EventKind::SubscriptionRenewal { product: self.product(message)? }),
            Wire::Usage => self.usage(message),
            Wire::SupportTicket => Some(EventKind::SupportTicket(self.case_report(message)?)),
            Wire::Complaint => Some(EventKind::Complaint(self.case_report(message)?)),
            Wire::CaseResolved => {
                self.allowed.push("case_id");
                let case = self.violations.id(&self.field("case_id"), message.case_id.clone(), CaseId::new);
                Some(EventKind::CaseResolved { case: case? })
            }
            Wire::PaymentLate => Some(EventKind::PaymentLate),
            Wire::PaymentFailed => Some(EventKind::PaymentFailed),
            Wire::PaymentDisputed => Some(EventKind::PaymentDisputed),
            Wire::Survey => self.survey(message),
            Wire::Visit => Some(EventKind::Visit { product: self.optional_product(message) }),
        }
    }

    fn plan_change(&mut self, message: &wire::CustomerEvent, direction: Option<PlanDirection>) -> Option<EventKind> {
        let from = self.product(message);
        self.allowed.push("to_product_id");
        let (field, text) = (self.field("to_product_id"), message.to_product_id.clone());
        let to = self.violations.id(&field, text, ProductId::new);
        self.require_another(from.as_ref(), to.as_ref());
        Some(EventKind::PlanChange { from: from?, to: to?, direction })
    }

    fn require_another(&mut self, from: Option<&ProductId>, to: Option<&ProductId>) {
        if to.is_some() && to == from {
            self.violations.add(self.field("to_product_id"), "must differ from product_id");
        }
    }

    /// Reads the direction of a change of plans; `None` when it is left to the catalogue.
    fn plan_direction(&mut self, direction: i32) -> Option<PlanDirection> {
        match wire::PlanDirection::try_from(direction) {
            Ok(wire::PlanDirection::Unspecified) => None,
            Ok(wire::PlanDirection::Up) => Some(PlanDirection::Up),
            Ok(wire::PlanDirection::Sideways) => Some(PlanDirection::Sideways),
            Ok(wire::PlanDirection::Down) => Some(PlanDirection::Down),
            Err(_) => {
                self.violations.add(self.field("plan_direction"), format_args!("unknown PlanDirection {direction}"));
                None
            }
        }
    }

    fn product(&mut self, message: &wire::CustomerEvent) -> Option<ProductId> {
        self.allowed.push("product_id");
        self.violations.id(&self.field("product_id"), message.product_id.clone(), ProductId::new)
    }

    fn optional_product(&mut self, message: &wire::CustomerEvent) -> Option<ProductId> {
        self.allowed.push("product_id");
        self.violations.optional_id(&self.field("product_id"), message.product_id.clone(), ProductId::new)
    }

    fn order_line(&mut self, message: &wire::CustomerEvent) -> Option<OrderLine> {
        self.allowed.extend(["order_id", "quantity", "unit_price"]);
        let product = self.product(message);
        let order = self.violations.optional_id(&self.field("order_id"), message.order_id.clone(), OrderId::new);
        let read = u32::try_from(message.quantity.unwrap_or(1)).ok();
        let quantity = read.filter(|quantity| (1..=QUANTITY_MAX).contains(quantity));
        if quantity.is_none() {
            self.violations.add(self.field("quantity"), format_args!("must be from 1 to {QUANTITY_MAX}"));
        }
        let price_field = self.field("unit_price");
        let unit_price =
            message.unit_price.clone().and_then(|price| self.violations.money_not_negative(&price_field, price));
        Some(OrderLine { product: product?, order, quantity: quantity?, unit_price })
    }

    fn return_reason(&mut self, message: &wire::CustomerEvent) -> Option<ReturnReason> {
        self.allowed.push("return_reason");
        match wire::ReturnReason::try_from(message.return_reason) {
            Ok(wire::ReturnReason::Unspecified) => Some(ReturnReason::Unspecified),
            Ok(wire::ReturnReason::ChangedMind) => Some(ReturnReason::ChangedMind),
            Ok(wire::ReturnReason::WrongVariant) => Some(ReturnReason::WrongVariant),
            Ok(wire::ReturnReason::Faulty) => Some(ReturnReason::Faulty),
            Err(_) => {
                let field = self.field("return_reason");
                self.violations.add(field, format_args!("unknown ReturnReason {}", message.return_reason));
                None
            }
        }
    }

    fn usage(&mut self, message: &wire::CustomerEvent) -> Option<EventKind> {
        self.allowed.extend(["amount", "allowance", "meter", "period_start", "period_end"]);
        let product = self.product(message);
        let amount = message.amount.filter(|amount| (0.0..=AMOUNT_MAX).contains(amount));
        if amount.is_none() {
            self.violations.add(self.field("amount"), format_args!("is required and must be from 0 to {AMOUNT_MAX}"));
        }
        let allowance_fits = message.allowance.is_none_or(|allowance| allowance > 0.0 && allowance <= AMOUNT_MAX);
        if !allowance_fits {
            self.violations.add(self.field("allowance"), format_args!("must be above 0 and at most {AMOUNT_MAX}"));
        }
        let meter = self.violations.optional_id(&self.field("meter"), message.meter.clone(), Meter::new);
        let period = self.period(message);
        Some(EventKind::Usage { product: product?, amount: amount?, allowance: message.allowance, meter, period })
    }

    fn period(&mut self, message: &wire::CustomerEvent) -> Option<Period> {
        let [start_field, end_field] = ["period_start", "period_end"].map(|name| self.field(name));
        match (message.period_start, message.period_end) {
            (None, None) => None,
            (Some(_), None) => {
                self.violations.add(end_field, "is required with period_start");
                None
            }
            (None, Some(_)) => {
                self.violations.add(start_field, "is required with period_end");
                None
            }
            (Some(start), Some(end)) => {
                let (start, end) = (self.violations.time(&start_field, start), self.violations.time(&end_field, end));
                let (start, end) = start.zip(end)?;
                let period = Period::new(start, end);
                if period.is_none() {
                    let days = PERIOD_MAX.as_secs() / DAY.as_secs();
                    self.violations.add(end_field, format_args!("must be after period_start, at most {days} days"));
                }
                period
            }
        }
    }

    fn case_report(&mut self, message: &wire::CustomerEvent) -> Option<CaseReport> {
        self.allowed.extend(["case_id", "severity"]);
        let case = self.violations.optional_id(&self.field("case_id"), message.case_id.clone(), CaseId::new);
        let severity = match message.severity {
            None => Some(Severity::DEFAULT),
            Some(level) => u8::try_from(level).ok().and_then(Severity::new),
        };
        if severity.is_none() {
            self.violations.add(self.field("severity"), "must be from 1 to 4");
        }
        Some(CaseReport { case, severity: severity? })
    }

    fn survey(&mut self, message: &wire::CustomerEvent) -> Option<EventKind> {
        self.allowed.extend(["score", "score_max"]);
        let score_max = message.score_max.filter(|&most| SurveyAnswer::new(0.0, most).is_some());
        let is_score = |score: &f64| match score_max {
            Some(most) => SurveyAnswer::new(*score, most).is_some(),
            None => score.is_finite() && *score >= 0.0,
        };
        let score = message.score.filter(is_score);
        if score.is_none() {
            self.violations.add(self.field("score"), "is required and must be from 0 to score_max");
        }
        if score_max.is_none() {
            self.violations.add(self.field("score_max"), "is required and must be above 0 and at most 1000");
        }
        SurveyAnswer::new(score?, score_max?).map(EventKind::Survey)
    }

    /// Rejects fields that the kind of event does not use, instead of dropping them silently: they are a mistake of the client.
    fn reject_other_fields(&mut self, message: &wire::CustomerEvent) {
        let wire::CustomerEvent {
            event_id: _,
            customer_id: _,
            kind: _,
            event_time: _,
            product_id,
            order_id,
            quantity,
            unit_price,
            case_id,
            severity,
            score,
            score_max,
            to_product_id,
            amount,
            allowance,
            plan_direction,
            meter,
            period_start,
            period_end,
            return_reason,
        } = message;
        if self.allowed.is_empty() && wire::EventKind::try_from(message.kind).map_or(0, i32::from) == 0 {
            return;
        }
        let set = [
            ("product_id", !product_id.is_empty()),
            ("order_id", !order_id.is_empty()),
            ("quantity", quantity.is_some()),
            ("unit_price", unit_price.is_some()),
            ("case_id", !case_id.is_empty()),
            ("severity", severity.is_some()),
            ("score", score.is_some()),
            ("score_max", score_max.is_some()),
            ("to_product_id", !to_product_id.is_empty()),
            ("amount", amount.is_some()),
            ("allowance", allowance.is_some()),
            ("plan_direction", *plan_direction != 0),
            ("meter", !meter.is_empty()),
            ("period_start", period_start.is_some()),
            ("period_end", period_end.is_some()),
            ("return_reason", *return_reason != 0),
        ];
        for (name, is_set) in set {
            if is_set && !self.allowed.contains(&name) {
                self.violations.add(self.field(name), "is not allowed for this kind of event");
            }
        }
    }
}

/// Kind and direction of a change of plans.
pub(super) fn plan_change_to_wire(direction: Option<PlanDirection>) -> (wire::EventKind, wire::PlanDirection) {
    match direction {
        None => (wire::EventKind::PlanChange, wire::PlanDirection::Unspecified),
        Some(PlanDirection::Up) => (wire::EventKind::PlanChange, wire::PlanDirection::Up),
        Some(PlanDirection::Sideways) => (wire::EventKind::PlanChange, wire::PlanDirection::Sideways),
        Some(PlanDirection::Down) => (wire::EventKind::PlanChange, wire::PlanDirection::Down),
        Some(PlanDirection::RightSized) => (wire::EventKind::RightSized, wire::PlanDirection::Unspecified),
    }
}

/// Converts an event as an import sends it; `None` for an outcome, which has an RPC of its own.
pub(crate) fn event_to_wire(event: Event) -> Option<wire::CustomerEvent> {
    use super::nouns::{money_to_wire, time_to_wire};
    let Event { id, customer, at, kind } = event;
    let mut message = wire::CustomerEvent {
        event_id: id.to_string(),
        customer_id: customer.map(|customer| customer.to_string()).unwrap_or_default(),
        event_time: Some(time_to_wire(at)),
        ..wire::CustomerEvent::default()
    };
    let set_order_line = |message: &mut wire::CustomerEvent, line: OrderLine| {
        let OrderLine { product, order, quantity, unit_price } = line;
        message.product_id = product.to_string();
        message.order_id = order.map(|order| order.to_string()).unwrap_or_default();
        message.quantity = Some(i64::from(quantity));
        message.unit_price = unit_price.map(money_to_wire);
    };
    let set_case_report = |message: &mut wire::CustomerEvent, report: CaseReport| {
        let CaseReport { case, severity } = report;
        message.case_id = case.map(|case| case.to_string()).unwrap_or_default();
        message.severity = Some(i32::from(severity.level()));
    };
    let wire_kind = match kind {
        EventKind::Purchase(bought) => {
            set_order_line(&mut message, bought);
            wire::EventKind::Purchase
        }
        EventKind::Return { line, reason } => {
            set_order_line(&mut message, line);
            message.set_return_reason(return_reason_to_wire(reason));
            wire::EventKind::Return
        }
        EventKind::Cancellation { product } => {
            message.product_id = product.map(|product| product.to_string()).unwrap_or_default();
            wire::EventKind::Cancellation
        }
        EventKind::Downgrade { from, to } => {
            message.product_id = from.to_string();
            message.to_product_id = to.map(|product| product.to_string()).unwrap_or_default();
            wire::EventKind::Downgrade
        }
        EventKind::PlanChange { from, to, direction } => {
            message.product_id = from.to_string();
            message.to_product_id = to.to_string();
            let (kind, direction) = plan_change_to_wire(direction);
            message.plan_direction = direction.into();
            kind
        }
        EventKind::SubscriptionStart { product } => {
            message.product_id = product.to_string();
            wire::EventKind::SubscriptionStart
        }
        EventKind::SubscriptionEnd { product } => {
            message.product_id = product.to_string();
            wire::EventKind::SubscriptionEnd
        }
        EventKind::SubscriptionRenewal { product } => {
            message.product_id = product.to_string();
            wire::EventKind::SubscriptionRenewal
        }
        EventKind::Usage { product, amount, allowance, meter, period } => {
            message.product_id = product.to_string();
            message.amount = Some(amount);
            message.allowance = allowance;
            message.meter = meter.map(|meter| meter.to_string()).unwrap_or_default();
            message.period_start = period.map(|period| time_to_wire(period.start()));
            message.period_end = period.map(|period| time_to_wire(period.end()));
            wire::EventKind::Usage
        }
        EventKind::SupportTicket(ticket) => {
            set_case_report(&mut message, ticket);
            wire::EventKind::SupportTicket
        }
        EventKind::Complaint(complaint) => {
            set_case_report(&mut message, complaint);
            wire::EventKind::Complaint
        }
        EventKind::CaseResolved { case } => {
            message.case_id = case.to_string();
            wire::EventKind::CaseResolved
        }
        EventKind::PaymentLate => wire::EventKind::PaymentLate,
        EventKind::PaymentFailed => wire::EventKind::PaymentFailed,
        EventKind::PaymentDisputed => wire::EventKind::PaymentDisputed,
        EventKind::Survey(answer) => {
            message.score = Some(answer.score());
            message.score_max = Some(answer.score_max());
            wire::EventKind::Survey
        }
        EventKind::Visit { product } => {
            message.product_id = product.map(|product| product.to_string()).unwrap_or_default();
            wire::EventKind::Visit
        }
        EventKind::Outcome(_) => return None,
    };
    message.kind = wire_kind.into();
    Some(message)
}

fn return_reason_to_wire(reason: ReturnReason) -> wire::ReturnReason {
    match reason {
        ReturnReason::Unspecified => wire::ReturnReason::Unspecified,
        ReturnReason::ChangedMind => wire::ReturnReason::ChangedMind,
        ReturnReason::WrongVariant => wire::ReturnReason::WrongVariant,
        ReturnReason::Faulty => wire::ReturnReason::Faulty,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn now() -> Timestamp {
        Timestamp::from_unix_ms(1_700_000_000_000).expect("in range")
    }

    fn fields(message: wire::CustomerEvent) -> Vec<String> {
        let violations = event_from_wire("events[0]", message, now()).expect_err("violations");
        violations.as_slice().iter().map(|violation| violation.field.clone()).collect()
    }

    #[test]
    fn all_violations_are_reported_at_once() {
        let message = wire::CustomerEvent {
            customer_id: "c".into(),
            kind: wire::EventKind::Purchase.into(),
            event_time: Some(prost_types::Timestamp { seconds: 1_700_000_301, nanos: 0 }),
            quantity: Some(-5),
            unit_price: Some(wire::Money { currency_code: "GBP".into(), units: -1, nanos: 0 }),
            score: Some(f64::NAN),
            ..wire::CustomerEvent::default()
        };
        let expected = ["event_id", "event_time", "product_id", "quantity", "unit_price", "score"]
            .map(|name| format!("events[0].{name}"));
        assert_eq!(fields(message), expected);
    }

    #[test]
    fn invalid_scores_are_rejected() {
        for (score, score_max, bad) in [
            (f64::NAN, 10.0, "score"),
            (-1.0, 10.0, "score"),
            (11.0, 10.0, "score"),
            (5.0, f64::NAN, "score_max"),
            (5.0, f64::INFINITY, "score_max"),
        ] {
            let message = wire::CustomerEvent {
                event_id: "e".into(),
                customer_id: "c".into(),
                kind: wire::EventKind::Survey.into(),
                event_time: Some(prost_types::Timestamp { seconds: 1_700_000_000, nanos: 0 }),
                score: Some(score),
                score_max: Some(score_max),
                ..wire::CustomerEvent::default()
            };
            assert_eq!(fields(message), [format!("events[0].{bad}")]);
        }
    }

    #[test]
    fn unknown_kind_is_one_violation() {
        let message = wire::CustomerEvent {
            event_id: "e".into(),
            customer_id: "c".into(),
            kind: 4711,
            event_time: Some(prost_types::Timestamp { seconds: 1_700_000_000, nanos: 0 }),
            product_id: "p".into(),
            ..wire::CustomerEvent::default()
        };
        assert_eq!(fields(message), ["events[0].kind"]);
    }
}
