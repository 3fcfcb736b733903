//! Messages of `RelationshipService`.

use std::time::Duration;

use super::events::{event_from_wire, outcome_kind};
use super::nouns::{band_to_wire, cap_to_wire, health_to_wire, hold_reason_to_wire, time_to_wire};
use super::violations::Violations;
use crate::domain::customer::{ActiveHold, HOLD_NOTE_BYTES_MAX, Hold, HoldReason};
use crate::domain::event::{Event, OutcomeKind};
use crate::domain::ids::{CustomerId, HoldId};
use crate::domain::relationship_detail::{ComponentDetail, RawInput, RelationshipDetail, WhatIfEffect};
use crate::domain::time::Timestamp;
use crate::grpc::generated::tactful::v1 as wire;
use crate::use_cases::get_relationship_health::{Hypothesis, RelationshipView};
use crate::use_cases::holds::HoldRequest;
use crate::wording::disclosure::Disclosure;
use crate::wording::relationships::{derived_hold_note, hypothetical_event_text, relationship_message};

/// Prefix of the ids of holds that follow from events and consents.
const DERIVED_PREFIX: &str = "derived/";

/// Maximum number of hypothetical events, and of outcomes, in a simulation.
const HYPOTHESES_MAX: usize = 100;
/// Maximum distance of a simulated time into the future.
const AHEAD_MAX: Duration = Duration::from_secs(3653 * 86_400);

/// Converts relationship health with its details. Open cases and payment trouble are as sensitive as the holds that follow
/// from them, so their counts and times, and what would change them, are left out with the holds.
pub(crate) fn relationship_to_wire(
    view: RelationshipView,
    disclosure: Disclosure,
) -> wire::GetRelationshipHealthResponse {
    let RelationshipView { health, detail, caps, mut holds, summary, policy_version, as_of } = view;
    let RelationshipDetail { components, mut what_if_effects } = detail;
    let mut health = health_to_wire(health, true);
    for (component, detail) in health.components.iter_mut().zip(components) {
        let ComponentDetail { kind: _, raw_inputs, trend } = detail;
        if disclosure == Disclosure::Full {
            component.raw_inputs = raw_inputs.into_iter().map(raw_input_to_wire).collect();
        }
        component.trend = trend;
    }
    if disclosure == Disclosure::Neutral {
        holds.clear();
        what_if_effects.clear();
    }
    wire::GetRelationshipHealthResponse {
        relationship_health: Some(health),
        what_if_effects: what_if_effects.into_iter().map(what_if_effect_to_wire).collect(),
        caps: caps.into_iter().map(|cap| cap_to_wire(cap, disclosure)).collect(),
        holds: holds.into_iter().map(|hold| hold_to_wire(hold, as_of)).collect(),
        message: relationship_message(&summary, as_of, disclosure),
        policy_version,
        as_of: Some(time_to_wire(as_of)),
        next_eligible_time: summary.next_eligible_at.map(time_to_wire),
    }
}

fn raw_input_to_wire(input: RawInput) -> wire::RawInput {
    let RawInput { name, value } = input;
    wire::RawInput { name: name.to_owned(), value }
}

fn what_if_effect_to_wire(effect: WhatIfEffect) -> wire::WhatIfEffect {
    let WhatIfEffect { event, score, band, offers_cap, offers_left, next_eligible_at } = effect;
    wire::WhatIfEffect {
        event: hypothetical_event_text(event),
        score,
        band: band_to_wire(band).into(),
        offers_cap,
        offers_left,
        next_eligible_time: next_eligible_at.map(time_to_wire),
    }
}

/// Reads the hypothetical events and outcomes of a customer.
pub(crate) fn hypothesis_from_wire(
    message: wire::SimulateRelationshipHealthRequest,
    now: Timestamp,
) -> Result<(CustomerId, Hypothesis), Violations> {
    let wire::SimulateRelationshipHealthRequest { customer_id, events, outcomes, as_of } = message;
    let mut violations = Violations::default();
    for (field, len) in [("events", events.len()), ("outcomes", outcomes.len())] {
        if len > HYPOTHESES_MAX {
            violations.add(field, format_args!("has {len} entries, at most {HYPOTHESES_MAX} are allowed"));
        }
    }
    let mut read_events = Vec::new();
    for (index, event) in events.into_iter().take(HYPOTHESES_MAX).enumerate() {
        let path = format!("events[{index}]");
        if !event.customer_id.is_empty() && event.customer_id != customer_id {
            violations.add(format!("{path}.customer_id"), "must equal the customer_id of the request, or be empty");
        }
        let event_id = if event.event_id.is_empty() { format!("hypothetical/{index}") } else { event.event_id };
        let event_time = event.event_time.or_else(|| Some(time_to_wire(now)));
        // The customer is validated once, for the whole request; this one is only a placeholder.
        let event = wire::CustomerEvent { event_id, event_time, customer_id: "hypothetical".to_owned(), ..event };
        match event_from_wire(&path, event, now) {
            Ok(event) => read_events.push(event),
            Err(more) => violations.extend(more),
        }
    }
    let mut read_outcomes = Vec::new();
    for (index, outcome) in outcomes.into_iter().take(HYPOTHESES_MAX).enumerate() {
        match outcome_kind(outcome).filter(|kind| *kind != OutcomeKind::NotShown) {
            Some(kind) => read_outcomes.push(kind),
            None => violations
                .add(format!("outcomes[{index}]"), "must be a known OutcomeKind other than UNSPECIFIED and NOT_SHOWN"),
        }
    }
    let customer = violations.id("customer_id", customer_id, CustomerId::new);
    let as_of = as_of.and_then(|at| violations.time("as_of", at));
    if as_of.is_some_and(|at| at < now || at > now + AHEAD_MAX) {
        violations.add("as_of", "must be between now and ten years from now");
    }
    let events = read_events.into_iter().map(|event| Event { customer: customer.clone(), ..event }).collect();
    let hypothesis = Hypothesis { events, outcomes: read_outcomes, as_of };
    violations.or(customer.map(|customer| (customer, hypothesis)))
}

/// Converts a hold; the note of a derived one puts its facts into words.
pub(crate) fn hold_to_wire(active: ActiveHold, now: Timestamp) -> wire::Hold {
    let ActiveHold { hold, is_derived, resolved_at } = active;
    let Hold { id, reason, note, created_at, expires_at } = hold;
    let note = if is_derived { derived_hold_note(reason, created_at, resolved_at, now) } else { note };
    wire::Hold {
        hold_id: id.to_string(),
        reason: hold_reason_to_wire(reason).into(),
        note,
        create_time: (created_at > Timestamp::MIN).then(|| time_to_wire(created_at)),
        expire_time: expires_at.map(time_to_wire),
        derived: is_derived,
    }
}

/// Reads a hold to be created.
pub(crate) fn hold_from_wire(
    message: wire::CreateHoldRequest,
    now: Timestamp,
) -> Result<(CustomerId, HoldRequest), Violations> {
    let wire::CreateHoldRequest { customer_id, hold_id, reason, note, expire_time } = message;
    let mut violations = Violations::default();
    let customer = violations.id("customer_id", customer_id, CustomerId::new);
    if hold_id.starts_with(DERIVED_PREFIX) {
        violations.add("hold_id", format_args!("must not start with {DERIVED_PREFIX}"));
    }
    let id = violations.optional_id("hold_id", hold_id, HoldId::new);
    let reason = creatable_reason(reason);
    if reason.is_none() {
        let allowed = "AGENT_HOLD, CANCELLATION_NOTICE, COLLECTIONS, BEREAVEMENT or VULNERABILITY";
        violations.add("reason", format_args!("must be {allowed}; other holds are derived from events and consents"));
    }
    violations.text_within("note", &note, HOLD_NOTE_BYTES_MAX);
    let expires_at = expire_time.and_then(|at| violations.time("expire_time", at));
    if expires_at.is_some_and(|at| at <= now) {
        violations.add("expire_time", "must be in the future");
    }
    let request = reason.map(|reason| HoldRequest { id, reason, note, expires_at });
    violations.or(customer.zip(request))
}

fn creatable_reason(reason: i32) -> Option<HoldReason> {
    match wire::HoldReason::try_from(reason).ok()? {
        wire::HoldReason::AgentHold => Some(HoldReason::AgentHold),
        wire::HoldReason::CancellationNotice => Some(HoldReason::CancellationNotice),
        wire::HoldReason::Collections => Some(HoldReason::Collections),
        wire::HoldReason::Bereavement => Some(HoldReason::Bereavement),
        wire::HoldReason::Vulnerability => Some(HoldReason::Vulnerability),
        wire::HoldReason::Unspecified
        | wire::HoldReason::OptOut
        | wire::HoldReason::OpenComplaint
        | wire::HoldReason::ProfilingObjection
        | wire::HoldReason::Merge => None,
    }
}
