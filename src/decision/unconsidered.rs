//! The rejection of a product that a decision did not consider: the model does not propose it, or only after others.
//!
//! Not part of serving offers: an explanation of one product asks for it.

use super::arbitration::{VALUE_MAX, attention_price};
use super::decision_context::DecisionContext;
use super::eligibility::EligibilityContext;
use super::offer_query::OfferQuery;
use super::relationship::assess;
use crate::domain::candidate::{Candidate, Proposal, Upgrade};
use crate::domain::customer::Customer;
use crate::domain::ids::ProductId;
use crate::domain::offer::{OfferKind, PropensityBasis};
use crate::domain::rejected_candidate::{DecisionStep, Ineligibility, RejectedCandidate};
use crate::domain::withheld_reason::WithheldReason;

/// Returns the first rule that rejects a product which the decision on this query did not consider.
pub(crate) fn unconsidered_rejection(
    product: &ProductId,
    query: &OfferQuery<'_>,
    customer: &Customer,
    proposal: &impl Proposal,
    context: &DecisionContext<'_>,
) -> RejectedCandidate {
    let now = customer.ledger.time(context.now);
    let context = &DecisionContext { now, ..*context };
    let proposed = proposal.candidates().find(|candidate| candidate.product == *product);
    let propensity = proposed.as_ref().map_or(0.0, |candidate| candidate.propensity);
    let rejected = |step, ineligibility: Ineligibility| RejectedCandidate {
        product: product.clone(),
        offer: None,
        propensity,
        step,
        ineligibility,
        factors: None,
    };
    let eligibility = EligibilityContext::new(query, customer, context);
    let candidate = proposed.clone().unwrap_or_else(|| hypothetical_candidate(product, query, customer, context));
    if let Err(ineligibility) = eligibility.check(&candidate) {
        return rejected(DecisionStep::Eligibility, ineligibility);
    }
    if proposed.is_none() {
        return rejected(DecisionStep::Proposal, WithheldReason::NotProposed.into());
    }
    let health = assess(customer, context.policy, context.outlook, context.catalog, now);
    let worth_max = propensity * VALUE_MAX * context.offers.lever_max();
    let score_max = worth_max - attention_price(health.score, &context.policy.arbitration);
    if score_max <= 0.0 {
        let ineligibility = Ineligibility::observed(WithheldReason::NotWorthAttention, score_max, 0.0);
        return rejected(DecisionStep::Arbitration, ineligibility);
    }
    rejected(DecisionStep::Cut, WithheldReason::SlateFull.into())
}

/// The product as it would be a candidate if the model proposed it: as an up-sell, in place of an owned product of its
/// ladder.
fn hypothetical_candidate(
    product: &ProductId,
    query: &OfferQuery<'_>,
    customer: &Customer,
    context: &DecisionContext<'_>,
) -> Candidate {
    let ladder_of = |product: &ProductId| {
        context.catalog.get(product)?.ladder_position.as_ref().map(|position| position.ladder.clone())
    };
    let ladder = ladder_of(product);
    let owned = customer.holdings.owned().map(|(owned, _)| owned);
    let owned_or_named =
        if query.products.is_empty() { owned.collect() } else { query.products.iter().collect::<Vec<_>>() };
    let is_replaceable = |owned: &&&ProductId| **owned != product && ladder.is_some() && ladder_of(owned) == ladder;
    let replaced = owned_or_named.iter().find(is_replaceable).filter(|_| query.kind == OfferKind::UpSell);
    Candidate {
        product: product.clone(),
        propensity: 0.0,
        propensity_basis: PropensityBasis::Catalog,
        acceptance_lift: 1.0,
        need: 1.0,
        keep_probability: 1.0,
        upgrade: replaced.map(|&replaced| Upgrade {
            replaces: replaced.clone(),
            gains: Vec::new(),
            allowance_use: None,
        }),
    }
}
