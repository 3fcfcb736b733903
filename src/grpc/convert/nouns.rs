//! Conversions of nouns that several services share.

use crate::domain::customer::HoldReason;
use crate::domain::decision::{Cap, CapKind, QuietPeriodCause};
use crate::domain::money::Money;
use crate::domain::offer::OfferKind;
use crate::domain::product::FeatureValue;
use crate::domain::relationship::{Band, Component, RelationshipHealth};
use crate::domain::time::Timestamp;
use crate::grpc::generated::tactful::v1 as wire;
use crate::wording::disclosure::Disclosure;

pub(crate) fn time_to_wire(at: Timestamp) -> prost_types::Timestamp {
    let ms = at.unix_ms();
    let nanos = i32::try_from(ms.rem_euclid(1000) * 1_000_000).expect("below a billion");
    prost_types::Timestamp { seconds: ms.div_euclid(1000), nanos }
}

pub(crate) fn duration_to_wire(duration: std::time::Duration) -> prost_types::Duration {
    let seconds = i64::try_from(duration.as_secs()).unwrap_or(i64::MAX);
    prost_types::Duration { seconds, nanos: i32::try_from(duration.subsec_nanos()).expect("below a billion") }
}

pub(crate) fn money_to_wire(money: Money) -> wire::Money {
    wire::Money { currency_code: money.currency().to_string(), units: money.units(), nanos: money.nanos() }
}

pub(crate) fn feature_to_wire(value: FeatureValue) -> wire::FeatureValue {
    use wire::feature_value::Value;
    let value = match value {
        FeatureValue::Number(number) => Value::Number(number),
        FeatureValue::Flag(flag) => Value::Flag(flag),
        FeatureValue::Text(text) => Value::Text(text),
    };
    wire::FeatureValue { value: Some(value) }
}

/// Converts relationship health, with or without its components.
pub(crate) fn health_to_wire(health: RelationshipHealth, with_components: bool) -> wire::RelationshipHealth {
    let RelationshipHealth { score, band, is_new: _, coverage, components } = health;
    let components = if with_components { components } else { Vec::new() };
    wire::RelationshipHealth {
        score,
        band: band_to_wire(band).into(),
        coverage,
        components: components.into_iter().map(component_to_wire).collect(),
    }
}

pub(crate) fn offer_kind_to_wire(kind: OfferKind) -> wire::OfferKind {
    match kind {
        OfferKind::CrossSell => wire::OfferKind::CrossSell,
        OfferKind::UpSell => wire::OfferKind::UpSell,
    }
}

fn component_to_wire(component: Component) -> wire::RelationshipComponent {
    let Component { kind, value, weight, input, half_life_days, is_known } = component;
    wire::RelationshipComponent {
        name: kind.as_str().to_owned(),
        value,
        weight,
        input,
        half_life_days: half_life_days.unwrap_or_default(),
        known: is_known,
        raw_inputs: Vec::new(),
        trend: 0.0,
    }
}

pub(crate) fn band_to_wire(band: Band) -> wire::RelationshipBand {
    match band {
        Band::Strained => wire::RelationshipBand::Strained,
        Band::Guarded => wire::RelationshipBand::Guarded,
        Band::Steady => wire::RelationshipBand::Steady,
        Band::Strong => wire::RelationshipBand::Strong,
        Band::NewCustomer => wire::RelationshipBand::NewCustomer,
    }
}

/// Converts a cap; its reason only where the client may see it.
pub(crate) fn cap_to_wire(cap: Cap, disclosure: Disclosure) -> wire::Cap {
    let Cap { kind, limit, used, remaining, window, next_eligible_at, since, resolved_at } = cap;
    let (wire_kind, hold_reason, quiet_period_cause) = match kind {
        CapKind::RelationshipHealth => (wire::CapKind::RelationshipHealth, None, None),
        CapKind::UpSell => (wire::CapKind::UpSell, None, None),
        CapKind::SlowRise => (wire::CapKind::SlowRise, None, None),
        CapKind::Hold(reason) => (wire::CapKind::Hold, Some(reason), None),
        CapKind::BackOff => (wire::CapKind::BackOff, None, None),
        CapKind::QuietPeriod(cause) => (wire::CapKind::QuietPeriod, None, Some(cause)),
        CapKind::ChannelOptOut(_) => (wire::CapKind::ChannelOptOut, None, None),
        CapKind::ConsentMissing(_) => (wire::CapKind::ConsentMissing, None, None),
        CapKind::Channel => (wire::CapKind::Channel, None, None),
        CapKind::ControlGroup => (wire::CapKind::ControlGroup, None, None),
        CapKind::GrantsKept => (wire::CapKind::GrantsKept, None, None),
    };
    let is_disclosed = !disclosure.conceals(kind);
    let hold_reason = hold_reason.filter(|_| is_disclosed).map(hold_reason_to_wire);
    let quiet_period_cause = quiet_period_cause.filter(|_| is_disclosed).map(quiet_period_cause_to_wire);
    wire::Cap {
        kind: wire_kind.into(),
        hold_reason: hold_reason.unwrap_or(wire::HoldReason::Unspecified).into(),
        limit,
        used,
        remaining,
        window: (!window.is_zero()).then(|| duration_to_wire(window)),
        next_eligible_time: next_eligible_at.map(time_to_wire),
        since_time: since.filter(|_| is_disclosed).map(time_to_wire),
        resolved_time: resolved_at.filter(|_| is_disclosed).map(time_to_wire),
        quiet_period_cause: quiet_period_cause.unwrap_or(wire::QuietPeriodCause::Unspecified).into(),
    }
}

fn quiet_period_cause_to_wire(cause: QuietPeriodCause) -> wire::QuietPeriodCause {
    match cause {
        QuietPeriodCause::Purchase => wire::QuietPeriodCause::Purchase,
        QuietPeriodCause::Return => wire::QuietPeriodCause::Return,
        QuietPeriodCause::Ticket => wire::QuietPeriodCause::Ticket,
        QuietPeriodCause::PaymentTrouble => wire::QuietPeriodCause::PaymentTrouble,
        QuietPeriodCause::DetractorSurvey => wire::QuietPeriodCause::DetractorSurvey,
        QuietPeriodCause::PaymentFailures => wire::QuietPeriodCause::PaymentFailures,
    }
}

pub(crate) fn hold_reason_to_wire(reason: HoldReason) -> wire::HoldReason {
    match reason {
        HoldReason::OptOut => wire::HoldReason::OptOut,
        HoldReason::OpenComplaint => wire::HoldReason::OpenComplaint,
        HoldReason::AgentHold => wire::HoldReason::AgentHold,
        HoldReason::CancellationNotice => wire::HoldReason::CancellationNotice,
        HoldReason::Collections => wire::HoldReason::Collections,
        HoldReason::Bereavement => wire::HoldReason::Bereavement,
        HoldReason::Vulnerability => wire::HoldReason::Vulnerability,
        HoldReason::ProfilingObjection => wire::HoldReason::ProfilingObjection,
        HoldReason::Merge => wire::HoldReason::Merge,
    }
}
