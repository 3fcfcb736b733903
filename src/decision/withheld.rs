//! Candidates kept back, and those that were weighed.

use std::collections::BTreeMap;

use crate::domain::candidate::Candidate;
use crate::domain::decision::WithheldReason;
use crate::domain::departure::{Departure, Refusal, Stage};
use crate::domain::explicit_offer::ExplicitOffer;
use crate::domain::ids::OfferId;
use crate::domain::offer::Factors;
use crate::domain::product::Product;

/// An eligible candidate with its score.
pub struct Weighed<'a> {
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
pub struct Withheld {
    /// How many, by reason.
    pub counts: BTreeMap<WithheldReason, u32>,
    /// How many are told one by one.
    departures_max: usize,
    /// Those that were weighed, in the order of their scores.
    weighed: Vec<Departure>,
    /// Those that were not, or were not worth it, in the order of their propensity.
    refused: Vec<Departure>,
}

impl Withheld {
    /// Nothing yet; at most so many will be told one by one.
    #[must_use]
    pub fn telling(departures_max: usize) -> Self {
        Self { departures_max, ..Self::default() }
    }

    /// Counts one.
    pub fn count(&mut self, reason: WithheldReason) {
        *self.counts.entry(reason).or_default() += 1;
    }

    /// A candidate that was not weighed, or was not worth it.
    pub fn refuse(&mut self, candidate: &Candidate, stage: Stage, refusal: Refusal, factors: Option<Factors>) {
        self.count(refusal.reason);
        if self.refused.len() < self.departures_max {
            let (product, propensity) = (candidate.product.clone(), candidate.propensity);
            self.refused.push(Departure { product, offer: None, propensity, stage, refusal, factors });
        }
    }

    /// Terms that do not apply; the candidate itself goes on, so it is not counted.
    pub fn refuse_terms(&mut self, candidate: &Candidate, offer: &OfferId, refusal: Refusal) {
        if self.refused.len() < self.departures_max {
            self.refused.push(Departure {
                product: candidate.product.clone(),
                offer: Some(offer.clone()),
                propensity: candidate.propensity,
                stage: Stage::Eligibility,
                refusal,
                factors: None,
            });
        }
    }

    /// A candidate that was weighed and is not in the slate.
    pub fn leave(&mut self, weighed: &Weighed<'_>, stage: Stage, refusal: Refusal) {
        if self.weighed.len() < self.departures_max {
            let (product, propensity) = (weighed.product.id.clone(), weighed.candidate.propensity);
            let (offer, factors) = (weighed.terms.map(|terms| terms.id.clone()), Some(weighed.factors));
            self.weighed.push(Departure { product, offer, propensity, stage, refusal, factors });
        }
    }

    /// Those that are told, the closest to the slate first.
    pub fn departures(&mut self) -> Vec<Departure> {
        let mut departures = std::mem::take(&mut self.weighed);
        departures.append(&mut self.refused);
        departures.truncate(self.departures_max);
        departures
    }

    /// True when a cap, a hold or a pause kept one back.
    #[must_use]
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
