//! Rejected candidates inside a stored decision.

use serde::{Deserialize, Serialize};

use super::enums::StoredWithheldReason;
use super::frame::CodecError;
use super::offer::StoredFactors;
use super::scalar::{FiniteF64, optional_product, optional_timestamp, stored_enum};
use crate::domain::ids::{OfferId, ProductId};
use crate::domain::rejected_candidate::{DecisionStep, Ineligibility, RejectedCandidate};
use crate::domain::time::Timestamp;

#[derive(Serialize, Deserialize)]
pub(super) struct StoredRejectedCandidate {
    product: String,
    offer: Option<String>,
    propensity: FiniteF64,
    step: StoredDecisionStep,
    reason: StoredWithheldReason,
    other_product: Option<String>,
    observed: Option<FiniteF64>,
    threshold: Option<FiniteF64>,
    until: Option<i64>,
    factors: Option<StoredFactors>,
}

stored_enum! {
    /// Stored [`DecisionStep`].
    StoredDecisionStep of DecisionStep { Proposal, Eligibility, Arbitration, Diversity, ContactPolicy, Cut }
}

impl From<&RejectedCandidate> for StoredRejectedCandidate {
    fn from(rejected: &RejectedCandidate) -> Self {
        let RejectedCandidate { product, offer, propensity, step, ineligibility, factors } = rejected;
        let Ineligibility { reason, other_product, observed, threshold, until } = ineligibility;
        Self {
            product: product.to_string(),
            offer: offer.as_ref().map(ToString::to_string),
            propensity: FiniteF64(*propensity),
            step: (*step).into(),
            reason: (*reason).into(),
            other_product: other_product.as_ref().map(ToString::to_string),
            observed: observed.map(FiniteF64),
            threshold: threshold.map(FiniteF64),
            until: until.map(Timestamp::unix_ms),
            factors: factors.as_ref().map(StoredFactors::from),
        }
    }
}

impl StoredRejectedCandidate {
    pub fn rejected_candidate(self) -> Result<RejectedCandidate, CodecError> {
        let Self { product, offer, propensity, step, reason, other_product, observed, threshold, until, factors } =
            self;
        let number = |number: Option<FiniteF64>| number.map(|FiniteF64(number)| number);
        let ineligibility = Ineligibility {
            reason: reason.into(),
            other_product: optional_product(other_product)?,
            observed: number(observed),
            threshold: number(threshold),
            until: optional_timestamp(until)?,
        };
        Ok(RejectedCandidate {
            product: ProductId::new(product)?,
            offer: offer.map(OfferId::new).transpose()?,
            propensity: propensity.0,
            step: step.into(),
            ineligibility,
            factors: factors.map(Into::into),
        })
    }
}
