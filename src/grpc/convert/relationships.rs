//! Relationship health and holds of `RelationshipService`.

use super::nouns::{cap_to_wire, health_to_wire, hold_reason_to_wire, time_to_wire};
use super::violations::Violations;
use crate::domain::customer::{HOLD_NOTE_BYTES_MAX, Hold, HoldInForce, HoldReason};
use crate::domain::ids::{CustomerId, HoldId};
use crate::domain::time::Timestamp;
use crate::grpc::generated::tactful::v1 as wire;
use crate::use_cases::get_relationship_health::RelationshipView;
use crate::use_cases::keep_holds::HoldRequest;

/// Holds that follow from events and consents have names that begin so.
const DERIVED_PREFIX: &str = "derived/";

/// How a relationship stands.
#[must_use]
pub fn relationship_to_wire(view: RelationshipView) -> wire::GetRelationshipHealthResponse {
    let RelationshipView { health, caps, holds, message, policy_version, as_of } = view;
    wire::GetRelationshipHealthResponse {
        relationship_health: Some(health_to_wire(health, true)),
        caps: caps.into_iter().map(cap_to_wire).collect(),
        holds: holds.into_iter().map(hold_to_wire).collect(),
        message,
        policy_version,
        as_of: Some(time_to_wire(as_of)),
    }
}

/// A hold in force.
#[must_use]
pub fn hold_to_wire(held: HoldInForce) -> wire::Hold {
    let HoldInForce { hold, is_derived } = held;
    let Hold { id, reason, note, created_at, expires_at } = hold;
    wire::Hold {
        hold_id: id.to_string(),
        reason: hold_reason_to_wire(reason).into(),
        note,
        create_time: (created_at > Timestamp::MIN).then(|| time_to_wire(created_at)),
        expire_time: expires_at.map(time_to_wire),
        derived: is_derived,
    }
}

/// Reads a hold to be.
///
/// # Errors
/// Everything wrong with it.
pub fn hold_from_wire(
    message: wire::CreateHoldRequest,
    now: Timestamp,
) -> Result<(CustomerId, HoldRequest), Violations> {
    let wire::CreateHoldRequest { customer_id, hold_id, reason, note, expire_time } = message;
    let mut violations = Violations::default();
    let customer = violations.id("customer_id", customer_id, CustomerId::new);
    if hold_id.starts_with(DERIVED_PREFIX) {
        violations.add("hold_id", format_args!("must not begin with {DERIVED_PREFIX}"));
    }
    let id = violations.optional_id("hold_id", hold_id, HoldId::new);
    let reason = created_reason(reason);
    if reason.is_none() {
        let allowed = "AGENT_HOLD, CANCELLATION_NOTICE, COLLECTIONS, BEREAVEMENT or VULNERABILITY";
        violations.add("reason", format_args!("must be {allowed}; other holds follow from events and consents"));
    }
    violations.text_within("note", &note, HOLD_NOTE_BYTES_MAX);
    let expires_at = expire_time.and_then(|at| violations.time("expire_time", at));
    if expires_at.is_some_and(|at| at <= now) {
        violations.add("expire_time", "must be in the future");
    }
    let request = reason.map(|reason| HoldRequest { id, reason, note, expires_at });
    violations.or(customer.zip(request))
}

fn created_reason(reason: i32) -> Option<HoldReason> {
    match wire::HoldReason::try_from(reason).ok()? {
        wire::HoldReason::AgentHold => Some(HoldReason::AgentHold),
        wire::HoldReason::CancellationNotice => Some(HoldReason::CancellationNotice),
        wire::HoldReason::Collections => Some(HoldReason::Collections),
        wire::HoldReason::Bereavement => Some(HoldReason::Bereavement),
        wire::HoldReason::Vulnerability => Some(HoldReason::Vulnerability),
        wire::HoldReason::Unspecified
        | wire::HoldReason::OptOut
        | wire::HoldReason::OpenComplaint
        | wire::HoldReason::ProfilingObjection => None,
    }
}
