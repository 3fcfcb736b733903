//! From proposed candidates to scored ones: eligibility, terms, score.
//!
//! Candidates come with falling propensity and are drawn only as far as needed.

use super::arbitration::{VALUE_MAX, attention_price, score_factors};
use super::customer_assessment::CustomerAssessment;
use super::decision_context::DecisionContext;
use super::eligibility::EligibilityContext;
use super::explicit_offer_index::product_under_terms;
use super::grants;
use super::offer_query::OfferQuery;
use super::rejection_log::{RejectionLog, ScoredCandidate};
use crate::domain::cached_ranking::CACHED_RANKING_LEN_MAX;
use crate::domain::candidate::Candidate;
use crate::domain::customer::Customer;
use crate::domain::ids::OfferId;
use crate::domain::rejected_candidate::{DecisionStep, Ineligibility};
use crate::domain::withheld_reason::WithheldReason;

/// Maximum number of eligible candidates that are scored.
pub(crate) const SCORED_MAX: usize = 50;
/// Beyond the [`CACHED_RANKING_LEN_MAX`] likeliest candidates, scoring stops once there are this many for each offer.
const SCORED_PER_OFFER: usize = 4;
/// Maximum number of candidates that are considered; a customer who owns most of a catalogue needs many.
pub(crate) const CANDIDATES_CONSIDERED_MAX: usize = 4000;

/// Scores the eligible candidates and logs the others. Candidates with a score of zero or less are not returned.
pub(super) fn score_eligible<'a>(
    query: &'a OfferQuery<'a>,
    customer: &'a Customer,
    candidates: impl Iterator<Item = Candidate>,
    context: &'a DecisionContext<'a>,
    assessment: &CustomerAssessment,
    rejections: &mut RejectionLog,
) -> Vec<ScoredCandidate<'a>> {
    let eligibility = EligibilityContext::new(query, customer, context);
    let attention_price = attention_price(assessment.health.score, &context.policy.arbitration);
    let worth_max = VALUE_MAX * context.offers.lever_max();
    let enough = (query.offers_max * SCORED_PER_OFFER).min(SCORED_MAX);
    let mut scored = Vec::new();
    for (considered, candidate) in candidates.take(CANDIDATES_CONSIDERED_MAX).enumerate() {
        if scored.len() == SCORED_MAX || (considered >= CACHED_RANKING_LEN_MAX && scored.len() >= enough) {
            break;
        }
        if candidate.propensity * worth_max <= attention_price {
            // No value makes up for the low propensity, and the candidates that follow are even less likely.
            let best = candidate.propensity * worth_max - attention_price;
            let ineligibility = Ineligibility::observed(WithheldReason::NotWorthAttention, best, 0.0);
            rejections.reject(&candidate, DecisionStep::Arbitration, ineligibility, None);
            break;
        }
        let product = match eligibility.check(&candidate) {
            Ok(product) => product,
            Err(ineligibility) => {
                rejections.reject(&candidate, DecisionStep::Eligibility, ineligibility, None);
                continue;
            }
        };
        let open = eligibility.open_grant(&product.id);
        let reject_terms = |offer: &OfferId, ineligibility| rejections.reject_terms(&candidate, offer, ineligibility);
        let terms = match eligibility.terms(&product.id, open, reject_terms) {
            Ok(terms) => terms,
            Err(ineligibility) => {
                rejections.reject(&candidate, DecisionStep::Eligibility, ineligibility, None);
                continue;
            }
        };
        let priced = product_under_terms(product, terms);
        let lever = terms.map_or(1.0, |terms| terms.lever);
        let times_ignored = grants::times_ignored(&customer.ledger, &product.id, &context.policy.contact, context.now);
        let arbitration = &context.policy.arbitration;
        let health_score = assessment.health.score;
        let factors =
            score_factors(&candidate, &priced, lever, context.catalog, health_score, times_ignored, arbitration);
        let score = factors.score();
        if score.is_nan() || score <= 0.0 {
            let ineligibility = Ineligibility::observed(WithheldReason::NotWorthAttention, score, 0.0);
            rejections.reject(&candidate, DecisionStep::Arbitration, ineligibility, Some(factors));
            continue;
        }
        scored.push(ScoredCandidate { candidate, product, terms, factors, score, open_grant: open });
    }
    scored
}
