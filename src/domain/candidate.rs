//! Candidates: the products that could be offered. The model proposes them, the rules decide, and the evidence for a
//! candidate is collected only for those that are offered.

use super::evidence::Evidence;
use super::ids::ProductId;
use super::offer::{FeatureGain, PropensityBasis};
use super::time::Timestamp;

/// A model's proposal for one customer.
pub trait Proposal {
    /// Returns the candidates lazily, by falling propensity.
    fn candidates(&self) -> impl Iterator<Item = Candidate>;

    /// Returns the evidence for one of the candidates.
    fn support(&self, candidate: &Candidate) -> Support;

    /// Time at which the candidates were ranked; `None` when they are ranked by this call.
    fn ranked_at(&self) -> Option<Timestamp> {
        None
    }
}

/// A fixed list, without evidence.
impl Proposal for Vec<Candidate> {
    fn candidates(&self) -> impl Iterator<Item = Candidate> {
        self.iter().cloned()
    }

    fn support(&self, _: &Candidate) -> Support {
        Support::default()
    }
}

/// A product that could be offered, with the inputs of its score.
#[derive(Debug, Clone, PartialEq)]
pub struct Candidate {
    /// The product.
    pub product: ProductId,
    /// Probability that the customer takes it, above 0 and at most 1.
    pub propensity: f64,
    /// Data that the propensity was learned from.
    pub propensity_basis: PropensityBasis,
    /// Factor within the propensity for how well offers of the product were received, above 0; 1 while unknown.
    pub acceptance_lift: f64,
    /// The customer's need for it, 0 to 2; 1 when unknown.
    pub need: f64,
    /// Probability that the customer keeps it, 0 to 1: one minus the regret rate.
    pub keep_probability: f64,
    /// Up-sell: the product it replaces, and the improvements.
    pub upgrade: Option<Upgrade>,
}

/// Use of the allowances that an upgrade enlarges.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AllowanceUse {
    /// Share used of the meter that was used most, in the latest periods; 1 is all of it.
    pub share: f64,
    /// Whether larger allowances are all that the upgrade brings.
    pub is_only_gain: bool,
}

/// Evidence for a candidate.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Support {
    /// Cross-sell: products of the customer or the basket that it goes with, strongest first, at most [`GOES_WITH_MAX`].
    pub goes_with: Vec<ProductId>,
    /// Evidence, strongest first.
    pub evidence: Vec<Evidence>,
}

/// Minimum number of customers, baskets or buyers of a piece of evidence: fewer may be chance.
pub const SUPPORT_MIN: u32 = 5;

/// Maximum number of products that a candidate is said to go with.
pub const GOES_WITH_MAX: usize = 3;

/// The step from an owned product to a better one.
#[derive(Debug, Clone, PartialEq)]
pub struct Upgrade {
    /// The product the customer owns.
    pub replaces: ProductId,
    /// Features that improve, at most [`GAINS_MAX`].
    pub gains: Vec<FeatureGain>,
    /// Use of the allowances that it enlarges; `None` when it is unknown, or enlarges none.
    pub allowance_use: Option<AllowanceUse>,
}

/// Maximum number of gains of an upgrade.
pub const GAINS_MAX: usize = 8;
