//! Candidates that are not in the slate, with the step and the rule that rejected them.

use super::ids::{OfferId, ProductId};
use super::offer::Factors;
use super::time::Timestamp;
use super::withheld_reason::WithheldReason;

/// Maximum number of rejected candidates in a recorded decision: it is briefly part of the customer's bounded record, and
/// each takes some 130 bytes.
pub const RECORDED_REJECTIONS_MAX: usize = 8;

/// A candidate that is not in the slate.
#[derive(Debug, Clone, PartialEq)]
pub struct RejectedCandidate {
    /// The product.
    pub product: ProductId,
    /// The explicit offer whose terms do not apply, where others still may; `None` for the product as such.
    pub offer: Option<OfferId>,
    /// Probability that the customer takes it, 0 to 1.
    pub propensity: f64,
    /// Step at which it was rejected.
    pub step: DecisionStep,
    /// Rule that rejected it.
    pub ineligibility: Ineligibility,
    /// Every factor of its score; `None` when it was rejected before it was scored.
    pub factors: Option<Factors>,
}

/// Step of a decision, in their order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum DecisionStep {
    /// The model does not propose it.
    Proposal,
    /// A hard rule rejects it.
    Eligibility,
    /// It is not worth the customer's attention.
    Arbitration,
    /// It is too similar to a better offer of the slate.
    Diversity,
    /// A cap, a hold or a pause withholds it.
    ContactPolicy,
    /// The slate is full.
    Cut,
}

impl DecisionStep {
    /// Name in responses.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Proposal => "proposal",
            Self::Eligibility => "eligibility",
            Self::Arbitration => "arbitration",
            Self::Diversity => "diversity",
            Self::ContactPolicy => "contact_policy",
            Self::Cut => "cut",
        }
    }
}

/// Reason for which a rule rejects a candidate, with the values it compared.
#[derive(Debug, Clone, PartialEq)]
pub struct Ineligibility {
    /// Rule that rejects.
    pub reason: WithheldReason,
    /// The other product of the rule: the required, the excluding or the selected one.
    pub other_product: Option<ProductId>,
    /// Value that the rule observed: a score, a tier, a number of offers.
    pub observed: Option<f64>,
    /// Value that would have passed the rule.
    pub threshold: Option<f64>,
    /// Time at which the rule stops rejecting, where known.
    pub until: Option<Timestamp>,
}

impl From<WithheldReason> for Ineligibility {
    fn from(reason: WithheldReason) -> Self {
        Self { reason, other_product: None, observed: None, threshold: None, until: None }
    }
}

impl Ineligibility {
    /// Rejects because of another product.
    pub fn because_of(reason: WithheldReason, other_product: &ProductId) -> Self {
        Self { other_product: Some(other_product.clone()), ..Self::from(reason) }
    }

    /// Rejects until a moment, where it is known.
    pub fn until(reason: WithheldReason, until: Option<Timestamp>) -> Self {
        Self { until, ..Self::from(reason) }
    }

    /// Checks that `now` is within the period from `from` until just before `until`.
    ///
    /// # Errors
    /// The rejection, with its end when it is merely too early.
    pub fn unless_within(
        reason: WithheldReason,
        from: Option<Timestamp>,
        until: Option<Timestamp>,
        now: Timestamp,
    ) -> Result<(), Self> {
        if until.is_some_and(|until| now >= until) {
            return Err(reason.into());
        }
        match from.filter(|&from| now < from) {
            Some(from) => Err(Self::until(reason, Some(from))),
            None => Ok(()),
        }
    }

    /// Rejects because of a number.
    pub fn observed(reason: WithheldReason, observed: f64, threshold: f64) -> Self {
        Self { observed: Some(observed), threshold: Some(threshold), ..Self::from(reason) }
    }
}
