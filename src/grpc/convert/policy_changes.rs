//! Messages of `SimulatePolicy`.

use super::nouns::band_to_wire;
use super::policies::policy_from_wire;
use super::violations::Violations;
use crate::domain::ids::CustomerId;
use crate::domain::relationship::Band;
use crate::domain::time::Timestamp;
use crate::domain::withheld_reason::WithheldReason;
use crate::grpc::generated::tactful::v1 as wire;
use crate::measurement::interval::EstimatedDifference;
use crate::measurement::policy_change::{BandChange, PolicyChange};
use crate::use_cases::simulate_policy::{CandidatePolicy, PolicySimulation};

/// Reads the candidate policy, and the start of the replayed period.
pub(crate) fn simulation_from_wire(
    request: wire::SimulatePolicyRequest,
) -> Result<(CandidatePolicy, Option<Timestamp>), Violations> {
    use wire::create_policy_request::Source as InlineSource;
    use wire::simulate_policy_request::Source;
    let mut violations = Violations::default();
    let since = request.since.and_then(|at| violations.time("since", at));
    let mut inline = |source: InlineSource| match policy_from_wire(Some(source)) {
        Ok((policy, _)) => Some(CandidatePolicy::Inline(Box::new(policy))),
        Err(more) => {
            violations.extend(more);
            None
        }
    };
    let candidate = match request.source {
        Some(Source::Version(version)) => Some(CandidatePolicy::Stored(version)),
        Some(Source::Toml(text)) => inline(InlineSource::Toml(text)),
        Some(Source::Policy(policy)) => inline(InlineSource::Policy(policy)),
        None => {
            violations.add("source", "must be version, policy or toml");
            None
        }
    };
    violations.or(candidate.map(|candidate| (candidate, since)))
}

pub(crate) fn simulation_to_wire(simulation: PolicySimulation) -> wire::SimulatePolicyResponse {
    let PolicySimulation { in_force, candidate, change, fidelity, left_out } = simulation;
    let PolicyChange { all, bands, losing, gaining, losing_examples, gaining_examples } = change;
    let to_ids = |customers: Vec<CustomerId>| customers.iter().map(ToString::to_string).collect();
    wire::SimulatePolicyResponse {
        version_in_force: in_force,
        version: candidate,
        all: Some(change_to_wire(None, all)),
        bands: bands.into_iter().map(|(band, change)| change_to_wire(Some(band), change)).collect(),
        losing_customers: losing,
        gaining_customers: gaining,
        losing_customer_ids: to_ids(losing_examples),
        gaining_customer_ids: to_ids(gaining_examples),
        fidelity,
        left_out_decisions: left_out,
    }
}

fn change_to_wire(band: Option<Band>, change: BandChange) -> wire::PolicyChange {
    let count = |count: usize| u64::try_from(count).unwrap_or(u64::MAX);
    let withheld = |(reason, [now, then]): (&WithheldReason, &[u64; 2])| wire::WithheldChange {
        reason: reason.as_str().to_owned(),
        in_force: *now,
        simulated: *then,
    };
    wire::PolicyChange {
        band: band.map_or(wire::RelationshipBand::Unspecified, band_to_wire).into(),
        decisions: count(change.decisions),
        customers: count(change.customers),
        offers_in_force: change.offers[0],
        offers_simulated: change.offers[1],
        expected_value_in_force: change.expected_value[0],
        expected_value_simulated: change.expected_value[1],
        offers_change: change.offers_change.map(difference_to_wire),
        expected_value_change: change.value_change.map(difference_to_wire),
        withheld: change.withheld.iter().map(withheld).collect(),
    }
}

fn difference_to_wire(difference: EstimatedDifference) -> wire::MeanChange {
    let EstimatedDifference { value, interval: [low, high], detectable: _ } = difference;
    wire::MeanChange { value, low, high }
}
