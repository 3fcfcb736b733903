//! Candidates that are not in a slate: at which step each left, by which rule, and what was seen.

use super::decision::WithheldReason;
use super::ids::{OfferId, ProductId};
use super::offer::Factors;
use super::time::Timestamp;

/// The most departures that a recorded decision keeps: it travels inside the customer's bounded value for a moment, and a
/// departure takes some 130 bytes.
pub const REJECTED_CANDIDATES_KEPT_MAX: usize = 8;

/// A candidate that left.
#[derive(Debug, Clone, PartialEq)]
pub struct RejectedCandidate {
    /// The product.
    pub product: ProductId,
    /// The explicit offer whose terms keep it back, where others may still apply; `None` for the product as such.
    pub offer: Option<OfferId>,
    /// The probability that the customer takes it, 0 to 1.
    pub propensity: f64,
    /// Which step it left at.
    pub stage: DecisionStep,
    /// The rule that let it go no further.
    pub ineligibility: Ineligibility,
    /// Every factor of its score, when it came as far as being weighed.
    pub factors: Option<Factors>,
}

/// The steps of a decision, in their order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum DecisionStep {
    /// The model does not propose it.
    Proposal,
    /// A hard rule refuses it.
    Eligibility,
    /// It is not worth the customer's attention.
    Arbitration,
    /// It is too much like a better offer of the slate.
    Diversity,
    /// A cap, a hold or a pause keeps it back.
    ContactPolicy,
    /// The slate was as long as asked for.
    Cut,
}

impl DecisionStep {
    /// The step's name in answers.
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

/// Why a rule refuses a candidate, with what it looked at.
#[derive(Debug, Clone, PartialEq)]
pub struct Ineligibility {
    /// The rule.
    pub reason: WithheldReason,
    /// The product on the other side of the rule: what is required, what excludes, what the slate has already.
    pub other: Option<ProductId>,
    /// What the rule saw: a score, a tier, a number of offers.
    pub seen: Option<f64>,
    /// What it would have had to see.
    pub threshold: Option<f64>,
    /// When the rule stops refusing, where that is known.
    pub until: Option<Timestamp>,
}

impl From<WithheldReason> for Ineligibility {
    fn from(reason: WithheldReason) -> Self {
        Self { reason, other: None, seen: None, threshold: None, until: None }
    }
}

impl Ineligibility {
    /// Because of another product.
    pub fn by(reason: WithheldReason, other: &ProductId) -> Self {
        Self { other: Some(other.clone()), ..Self::from(reason) }
    }

    /// Until a moment, where it is known.
    pub fn until(reason: WithheldReason, until: Option<Timestamp>) -> Self {
        Self { until, ..Self::from(reason) }
    }

    /// Before the first of two moments, or from the second on; nothing where it is within.
    ///
    /// # Errors
    /// The refusal, with its end when it is merely too early.
    pub fn outside(
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

    /// Because of a number.
    pub fn seen(reason: WithheldReason, seen: f64, threshold: f64) -> Self {
        Self { seen: Some(seen), threshold: Some(threshold), ..Self::from(reason) }
    }
}
