//! Messages of `ExplainDecision`.

use super::nouns::{cap_to_wire, health_to_wire, offer_kind_to_wire, time_to_wire};
use super::offers::{decision_id, preview_from_wire, score_breakdown, withheld_to_wire};
use super::violations::Violations;
use crate::domain::catalog::Catalog;
use crate::domain::decision::Decision;
use crate::domain::ids::{CustomerId, DecisionId, ProductId};
use crate::domain::offer::{Offer, OfferKind};
use crate::domain::rejected_candidate::{DecisionStep, Ineligibility, RejectedCandidate};
use crate::domain::time::Timestamp;
use crate::grpc::generated::tactful::v1 as wire;
use crate::use_cases::explain_decision::Explanation;
use crate::use_cases::offer_request::OfferRequest;
use crate::wording::disclosure::Disclosure;
use crate::wording::messages::decision_message;
use crate::wording::reasons::reason_text;
use crate::wording::rejections::rejection_in_words;
use crate::wording::scripts::customer_sentence;

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
pub(crate) fn explanation_to_wire(explanation: Explanation, disclosure: Disclosure) -> wire::ExplainDecisionResponse {
    let Explanation { decision, is_recorded, rejected_candidates, catalog } = explanation;
    let message = decision_message(&decision, disclosure);
    let customer_sentence = customer_sentence(&decision, disclosure);
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
        message: _,
        relationship_health,
        caps,
        binding_cap,
        next_eligible_at,
        withheld,
        rejected_candidates: _,
        policy_version,
        model_version,
        ranked_at,
    } = decision;
    let cap = binding_cap.and_then(|index| caps.get(index).cloned());
    let rejected = rejected_candidates.into_iter().map(|rejected| rejection_to_wire(rejected, kind, &catalog, at));
    wire::ExplainDecisionResponse {
        decision_id: if is_recorded { id.to_string() } else { String::new() },
        kind: offer_kind_to_wire(kind).into(),
        decision_time: Some(time_to_wire(at)),
        message,
        customer_sentence,
        relationship_health: Some(health_to_wire(relationship_health, true)),
        cap: cap.map(|cap| cap_to_wire(cap, disclosure)),
        caps: caps.into_iter().map(|cap| cap_to_wire(cap, disclosure)).collect(),
        candidates: slate.into_iter().map(offer_to_candidate).chain(rejected).collect(),
        withheld: withheld_to_wire(withheld),
        policy_version,
        model_version,
        ranking_time: Some(time_to_wire(ranked_at)),
        next_eligible_time: next_eligible_at.map(time_to_wire),
    }
}

fn offer_to_candidate(offer: Offer) -> wire::ExplainedCandidate {
    let reasons: Vec<String> = offer.reasons.iter().map(|reason| reason_text(reason, &offer)).collect();
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

fn rejection_to_wire(
    rejected: RejectedCandidate,
    kind: OfferKind,
    catalog: &Catalog,
    at: Timestamp,
) -> wire::ExplainedCandidate {
    let in_words = rejection_in_words(&rejected, kind, catalog, at);
    let known = catalog.get(&rejected.product);
    let title = known.map_or_else(|| rejected.product.to_string(), |known| known.title.clone());
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
