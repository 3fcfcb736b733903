//! Messages of `ExplainDecision`.

use super::nouns::{cap_to_wire, health_to_wire, offer_kind_to_wire, time_to_wire};
use super::offers::{decision_id, preview_from_wire, score_breakdown, withheld_to_wire};
use super::violations::Violations;
use crate::domain::decision::Decision;
use crate::domain::ids::{CustomerId, DecisionId, ProductId};
use crate::domain::offer::{Offer, OfferKind};
use crate::domain::rejected_candidate::{DecisionStep, Ineligibility, RejectedCandidate};
use crate::grpc::generated::tactful::v1 as wire;
use crate::use_cases::explain_decision::{ExplainedRejection, Explanation};
use crate::use_cases::offer_request::OfferRequest;

/// Subject of an explanation.
#[derive(Debug)]
pub(crate) enum ExplanationRequest {
    Decision(CustomerId, DecisionId),
    /// Hypothetical request for offers, and the product to explain, if only one.
    WhatIf(Box<OfferRequest>, Option<ProductId>),
}

/// Reads the subject of an explanation.
pub(crate) fn explain_from_wire(message: wire::ExplainDecisionRequest) -> Result<ExplanationRequest, Violations> {
    use wire::explain_decision_request::About;
    let wire::ExplainDecisionRequest { customer_id, about } = message;
    let mut violations = Violations::default();
    match about {
        None => {
            violations.id("customer_id", customer_id, CustomerId::new);
            violations.add("about", "must be decision_id or what_if");
            Err(violations)
        }
        Some(About::DecisionId(id)) => {
            let customer = violations.id("customer_id", customer_id, CustomerId::new);
            let decision = decision_id(&mut violations, "decision_id", &id);
            violations
                .or(customer.zip(decision).map(|(customer, decision)| ExplanationRequest::Decision(customer, decision)))
        }
        Some(About::WhatIf(what_if)) => what_if_from_wire(customer_id, what_if),
    }
}

fn what_if_from_wire(customer_id: String, what_if: wire::WhatIf) -> Result<ExplanationRequest, Violations> {
    let mut violations = Violations::default();
    let product = violations.optional_id("what_if.product_id", what_if.product_id.clone(), ProductId::new);
    let kind = match wire::OfferKind::try_from(what_if.kind) {
        Ok(wire::OfferKind::CrossSell) => Some(OfferKind::CrossSell),
        Ok(wire::OfferKind::UpSell) => Some(OfferKind::UpSell),
        Ok(wire::OfferKind::Unspecified) | Err(_) => None,
    };
    if kind.is_none() {
        violations.add("what_if.kind", "must be CROSS_SELL or UP_SELL");
    }
    let request = preview_from_wire(kind.unwrap_or(OfferKind::CrossSell), customer_id, what_if);
    let request = request.map_err(|more| violations.extend_within("what_if", more)).ok();
    violations.or(request.map(|request| ExplanationRequest::WhatIf(Box::new(request), product)))
}

/// Converts a decision with all its candidates.
pub(crate) fn explanation_to_wire(explanation: Explanation) -> wire::ExplainDecisionResponse {
    let Explanation { decision, is_recorded, rejected_candidates, customer_sentence } = explanation;
    let Decision {
        id,
        customer: _,
        kind,
        at,
        channel: _,
        placement: _,
        slate,
        // Among the rejected candidates.
        would_be_slate: _,
        message,
        relationship_health,
        caps,
        binding_cap,
        withheld,
        rejected_candidates: _,
        policy_version,
        model_version,
        ranked_at,
    } = decision;
    let cap = binding_cap.and_then(|index| caps.get(index).cloned());
    let rejected = rejected_candidates.into_iter().map(rejection_to_wire);
    wire::ExplainDecisionResponse {
        decision_id: if is_recorded { id.to_string() } else { String::new() },
        kind: offer_kind_to_wire(kind).into(),
        decision_time: Some(time_to_wire(at)),
        message,
        customer_sentence,
        relationship_health: Some(health_to_wire(relationship_health, true)),
        cap: cap.map(cap_to_wire),
        caps: caps.into_iter().map(cap_to_wire).collect(),
        candidates: slate.into_iter().map(offer_to_candidate).chain(rejected).collect(),
        withheld: withheld_to_wire(withheld),
        policy_version,
        model_version,
        ranking_time: Some(time_to_wire(ranked_at)),
    }
}

fn offer_to_candidate(offer: Offer) -> wire::ExplainedCandidate {
    let reasons: Vec<String> = offer.reasons.into_iter().map(|reason| reason.text).collect();
    wire::ExplainedCandidate {
        product_id: offer.product.to_string(),
        title: offer.title,
        step: wire::DecisionStep::Offered.into(),
        rank: offer.rank,
        text: reasons.join("; "),
        propensity: offer.factors.propensity,
        score: Some(offer.factors.score()),
        score_breakdown: Some(score_breakdown(offer.factors)),
        offer_id: if offer.id.is_implicit() { String::new() } else { offer.id.to_string() },
        ..wire::ExplainedCandidate::default()
    }
}

fn rejection_to_wire(explained: ExplainedRejection) -> wire::ExplainedCandidate {
    let ExplainedRejection { rejected, title, in_words } = explained;
    let RejectedCandidate { product, offer, propensity, step, ineligibility, factors } = rejected;
    let Ineligibility { reason, other_product, observed, threshold, until } = ineligibility;
    wire::ExplainedCandidate {
        product_id: product.to_string(),
        title,
        step: step_to_wire(step).into(),
        rank: 0,
        rule: reason.as_str().to_owned(),
        other_product_id: other_product.map(|other| other.to_string()).unwrap_or_default(),
        observed,
        threshold,
        until: until.map(time_to_wire),
        text: in_words.reason,
        remedy: in_words.remedy,
        propensity,
        score: factors.map(|factors| factors.score()),
        score_breakdown: factors.map(score_breakdown),
        offer_id: offer.map(|offer| offer.to_string()).unwrap_or_default(),
    }
}

/// Converts a step of a decision.
pub(crate) fn step_to_wire(step: DecisionStep) -> wire::DecisionStep {
    match step {
        DecisionStep::Proposal => wire::DecisionStep::Proposal,
        DecisionStep::Eligibility => wire::DecisionStep::Eligibility,
        DecisionStep::Arbitration => wire::DecisionStep::Arbitration,
        DecisionStep::Diversity => wire::DecisionStep::Diversity,
        DecisionStep::ContactPolicy => wire::DecisionStep::ContactPolicy,
        DecisionStep::Cut => wire::DecisionStep::Cut,
    }
}
