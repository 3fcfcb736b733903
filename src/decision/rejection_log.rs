//! Scored candidates, and the log of those that were rejected.

use std::collections::BTreeMap;

use crate::domain::candidate::Candidate;
use crate::domain::explicit_offer::ExplicitOffer;
use crate::domain::ids::OfferId;
use crate::domain::ledger::Grant;
use crate::domain::offer::Factors;
use crate::domain::product::Product;
use crate::domain::rejected_candidate::{DecisionStep, Ineligibility, RejectedCandidate};
use crate::domain::withheld_reason::WithheldReason;

/// An eligible candidate with its score.
pub(crate) struct ScoredCandidate<'a> {
    /// The candidate as proposed.
    pub candidate: Candidate,
    /// Its product as the catalogue has it.
    pub product: &'a Product,
    /// The terms of the explicit offer; `None` for the implicit offer.
    pub terms: Option<&'a ExplicitOffer>,
    /// Every factor of the score.
    pub factors: Factors,
    /// The score, above 0.
    pub score: f64,
    /// The open grant of an earlier decision, under which the offer does not count again.
    pub open_grant: Option<&'a Grant>,
}

/// Rejected candidates: all are counted by reason, the first few are kept one by one.
#[derive(Default)]
pub(crate) struct RejectionLog {
    /// Number of rejected candidates by reason.
    pub counts: BTreeMap<WithheldReason, u32>,
    /// Maximum number kept one by one.
    rejected_max: usize,
    /// Rejected after scoring, by falling score.
    scored: Vec<RejectedCandidate>,
    /// Rejected before scoring or for their score, by falling propensity.
    unscored: Vec<RejectedCandidate>,
}

impl RejectionLog {
    /// An empty log that keeps at most `rejected_max` candidates one by one.
    pub fn with_limit(rejected_max: usize) -> Self {
        Self { rejected_max, ..Self::default() }
    }

    pub fn count(&mut self, reason: WithheldReason) {
        *self.counts.entry(reason).or_default() += 1;
    }

    /// Logs a candidate that is not eligible or not worth the customer's attention.
    pub fn reject(
        &mut self,
        candidate: &Candidate,
        step: DecisionStep,
        ineligibility: Ineligibility,
        factors: Option<Factors>,
    ) {
        self.count(ineligibility.reason);
        if self.unscored.len() < self.rejected_max {
            let (product, propensity) = (candidate.product.clone(), candidate.propensity);
            self.unscored.push(RejectedCandidate { product, offer: None, propensity, step, ineligibility, factors });
        }
    }

    /// Logs terms that do not apply. Other terms may, so the candidate is not counted.
    pub fn reject_terms(&mut self, candidate: &Candidate, offer: &OfferId, ineligibility: Ineligibility) {
        if self.unscored.len() < self.rejected_max {
            self.unscored.push(RejectedCandidate {
                product: candidate.product.clone(),
                offer: Some(offer.clone()),
                propensity: candidate.propensity,
                step: DecisionStep::Eligibility,
                ineligibility,
                factors: None,
            });
        }
    }

    /// Logs a scored candidate that did not enter the slate. Counting is left to the caller.
    pub fn reject_scored(&mut self, scored: &ScoredCandidate<'_>, step: DecisionStep, ineligibility: Ineligibility) {
        if self.scored.len() < self.rejected_max {
            let (product, propensity) = (scored.product.id.clone(), scored.candidate.propensity);
            let (offer, factors) = (scored.terms.map(|terms| terms.id.clone()), Some(scored.factors));
            self.scored.push(RejectedCandidate { product, offer, propensity, step, ineligibility, factors });
        }
    }

    /// Takes the candidates that came closest to the slate, closest first.
    pub fn take_closest(&mut self) -> Vec<RejectedCandidate> {
        let mut rejected_candidates = std::mem::take(&mut self.scored);
        rejected_candidates.append(&mut self.unscored);
        rejected_candidates.truncate(self.rejected_max);
        rejected_candidates
    }

    /// Whether a cap, a hold or a pause rejected a candidate.
    pub fn was_capped(&self) -> bool {
        let by_cap = [
            WithheldReason::CapReached,
            WithheldReason::UpSellCapReached,
            WithheldReason::OnHold,
            WithheldReason::BackOff,
            WithheldReason::QuietPeriod,
            WithheldReason::OptedOut,
            WithheldReason::ConsentMissing,
            WithheldReason::ChannelCapReached,
        ];
        by_cap.iter().any(|reason| self.counts.contains_key(reason))
    }
}
