//! Candidates kept back, and those that were weighed.

use std::collections::BTreeMap;

use crate::domain::candidate::Candidate;
use crate::domain::decision::WithheldReason;
use crate::domain::explicit_offer::ExplicitOffer;
use crate::domain::ids::OfferId;
use crate::domain::offer::Factors;
use crate::domain::product::Product;
use crate::domain::rejected_candidate::{DecisionStep, Ineligibility, RejectedCandidate};

/// An eligible candidate with its score.
pub struct ScoredCandidate<'a> {
    /// What was proposed.
    pub candidate: Candidate,
    /// Its product, as the catalogue has it.
    pub product: &'a Product,
    /// The terms; `None` for the implicit offer.
    pub terms: Option<&'a ExplicitOffer>,
    /// Every factor of the score.
    pub factors: Factors,
    /// The score, above 0.
    pub score: f64,
    /// True when it is open from an earlier decision.
    pub is_repeat: bool,
}

/// Candidates kept back: counted by reason, and the first few told one by one.
#[derive(Default)]
pub struct RejectionLog {
    /// How many, by reason.
    pub counts: BTreeMap<WithheldReason, u32>,
    /// How many are told one by one.
    rejected_max: usize,
    /// Those that were weighed, in the order of their scores.
    weighed: Vec<RejectedCandidate>,
    /// Those that were not, or were not worth it, in the order of their propensity.
    refused: Vec<RejectedCandidate>,
}

impl RejectionLog {
    /// Nothing yet; at most so many will be told one by one.
    pub fn telling(rejected_max: usize) -> Self {
        Self { rejected_max, ..Self::default() }
    }

    /// Counts one.
    pub fn count(&mut self, reason: WithheldReason) {
        *self.counts.entry(reason).or_default() += 1;
    }

    /// A candidate that was not weighed, or was not worth it.
    pub fn refuse(
        &mut self,
        candidate: &Candidate,
        stage: DecisionStep,
        ineligibility: Ineligibility,
        factors: Option<Factors>,
    ) {
        self.count(ineligibility.reason);
        if self.refused.len() < self.rejected_max {
            let (product, propensity) = (candidate.product.clone(), candidate.propensity);
            self.refused.push(RejectedCandidate { product, offer: None, propensity, stage, ineligibility, factors });
        }
    }

    /// Terms that do not apply; the candidate itself goes on, so it is not counted.
    pub fn refuse_terms(&mut self, candidate: &Candidate, offer: &OfferId, ineligibility: Ineligibility) {
        if self.refused.len() < self.rejected_max {
            self.refused.push(RejectedCandidate {
                product: candidate.product.clone(),
                offer: Some(offer.clone()),
                propensity: candidate.propensity,
                stage: DecisionStep::Eligibility,
                ineligibility,
                factors: None,
            });
        }
    }

    /// A candidate that was weighed and is not in the slate.
    pub fn leave(&mut self, weighed: &ScoredCandidate<'_>, stage: DecisionStep, ineligibility: Ineligibility) {
        if self.weighed.len() < self.rejected_max {
            let (product, propensity) = (weighed.product.id.clone(), weighed.candidate.propensity);
            let (offer, factors) = (weighed.terms.map(|terms| terms.id.clone()), Some(weighed.factors));
            self.weighed.push(RejectedCandidate { product, offer, propensity, stage, ineligibility, factors });
        }
    }

    /// Those that are told, the closest to the slate first.
    pub fn rejected_candidates(&mut self) -> Vec<RejectedCandidate> {
        let mut rejected_candidates = std::mem::take(&mut self.weighed);
        rejected_candidates.append(&mut self.refused);
        rejected_candidates.truncate(self.rejected_max);
        rejected_candidates
    }

    /// True when a cap, a hold or a pause kept one back.
    pub fn was_capped(&self) -> bool {
        let by_cap = [
            WithheldReason::CapReached,
            WithheldReason::UpSellCapReached,
            WithheldReason::OnHold,
            WithheldReason::BackOff,
            WithheldReason::QuietPeriod,
            WithheldReason::OptedOut,
            WithheldReason::ChannelCapReached,
        ];
        by_cap.iter().any(|reason| self.counts.contains_key(reason))
    }
}
