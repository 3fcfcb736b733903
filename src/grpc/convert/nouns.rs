//! Conversions of nouns that several services share.

use crate::domain::customer::HoldReason;
use crate::domain::decision::{Cap, CapKind};
use crate::domain::money::Money;
use crate::domain::offer::OfferKind;
use crate::domain::product::FeatureValue;
use crate::domain::relationship::{Band, Component, RelationshipHealth};
use crate::domain::time::Timestamp;
use crate::grpc::generated::tactful::v1 as wire;

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
    let RelationshipHealth { score, band, coverage, components } = health;
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

pub(crate) fn cap_to_wire(cap: Cap) -> wire::Cap {
    let Cap { kind, limit, used, remaining, window, next_eligible_at } = cap;
    let (wire_kind, hold_reason) = match kind {
        CapKind::RelationshipHealth => (wire::CapKind::RelationshipHealth, None),
        CapKind::UpSell => (wire::CapKind::UpSell, None),
        CapKind::SlowRise => (wire::CapKind::SlowRise, None),
        CapKind::Hold(reason) => (wire::CapKind::Hold, Some(reason)),
        CapKind::BackOff => (wire::CapKind::BackOff, None),
        CapKind::QuietPeriod => (wire::CapKind::QuietPeriod, None),
        CapKind::ChannelOptOut => (wire::CapKind::ChannelOptOut, None),
        CapKind::Channel => (wire::CapKind::Channel, None),
        CapKind::ControlGroup => (wire::CapKind::ControlGroup, None),
    };
    wire::Cap {
        kind: wire_kind.into(),
        hold_reason: hold_reason.map_or(wire::HoldReason::Unspecified, hold_reason_to_wire).into(),
        limit,
        used,
        remaining,
        window: (!window.is_zero()).then(|| duration_to_wire(window)),
        next_eligible_time: next_eligible_at.map(time_to_wire),
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
    }
}
