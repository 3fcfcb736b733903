//! What could be offered: the model proposes candidates, the rules decide, and what speaks for a candidate is asked only
//! of those that are offered.

use super::ids::ProductId;
use super::offer::{FeatureGain, PropensityBasis};
use super::time::Timestamp;

/// A model that was asked about one customer.
pub trait Proposal {
    /// The candidates, drawn one by one, with falling propensity.
    fn candidates(&self) -> impl Iterator<Item = Candidate>;

    /// What speaks for one of them.
    fn support(&self, candidate: &Candidate) -> Support;

    /// When the candidates were ranked; `None` when they are ranked now.
    fn ranked_at(&self) -> Option<Timestamp> {
        None
    }
}

/// A list as it is, with nothing to say for any of them.
impl Proposal for Vec<Candidate> {
    fn candidates(&self) -> impl Iterator<Item = Candidate> {
        self.iter().cloned()
    }

    fn support(&self, _: &Candidate) -> Support {
        Support::default()
    }
}

/// A product that could be offered, with what it is weighed by.
#[derive(Debug, Clone, PartialEq)]
pub struct Candidate {
    /// The product.
    pub product: ProductId,
    /// The probability that the customer takes it, above 0 and at most 1.
    pub propensity: f64,
    /// What the probability was learned from.
    pub propensity_basis: PropensityBasis,
    /// The factor within the probability that comes from how offers of the product were received, above 0; 1 while nothing is
    /// known of that.
    pub acceptance_lift: f64,
    /// How much the customer needs it, 0 to 2; 1 when nothing is known.
    pub need: f64,
    /// The probability that the customer keeps it, 0 to 1: one less the regret rate.
    pub keep_probability: f64,
    /// Up-sell: what it replaces and what gets better.
    pub upgrade: Option<Upgrade>,
}

/// What speaks for a candidate.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Support {
    /// Cross-sell: what of the customer's things or basket it goes with, strongest first, at most [`GOES_WITH_MAX`].
    pub goes_with: Vec<ProductId>,
    /// What speaks for it, strongest first.
    pub evidence: Vec<Evidence>,
}

/// The most products a candidate goes with.
pub const GOES_WITH_MAX: usize = 3;

/// The step from an owned product to a better one.
#[derive(Debug, Clone, PartialEq)]
pub struct Upgrade {
    /// The product the customer owns.
    pub replaces: ProductId,
    /// What gets better, at most [`GAINS_MAX`].
    pub gains: Vec<FeatureGain>,
}

/// The most gains listed with an upgrade.
pub const GAINS_MAX: usize = 8;

/// What speaks for a candidate, with the counts that a test can recompute from the history.
#[derive(Debug, Clone, PartialEq)]
pub enum Evidence {
    /// Customers or baskets with `with` that also have the candidate.
    BoughtTogether {
        /// The product of the customer or basket.
        with: ProductId,
        /// How many have both.
        together: u32,
        /// How many have `with`.
        with_total: u32,
        /// What was counted.
        counted: CountBasis,
    },
    /// How many bought it lately.
    Popular {
        /// Distinct buyers (baskets, for buyers without a name).
        buyers: u32,
        /// Within this many days before the model was trained.
        days: u32,
    },
    /// Nobody bought it yet, but lately many bought another product of its category.
    LikeABestSeller {
        /// The product of the category that most bought.
        like: ProductId,
        /// Distinct buyers of that product, at least one.
        buyers: u32,
        /// Within this many days before the model was trained.
        days: u32,
    },
    /// The catalogue says that it goes with a product of the customer: it requires it or is compatible with it.
    Compatible {
        /// The product of the customer.
        with: ProductId,
    },
    /// A higher tier on the same ladder.
    HigherTier {
        /// The tier owned.
        from: u32,
        /// The tier of the candidate.
        to: u32,
    },
    /// Customers who had the owned product and then bought the candidate.
    MovedUp {
        /// How many did.
        customers: u32,
    },
    /// Offers of it were accepted more often than of others as likely.
    Accepted {
        /// How many were.
        accepted: u32,
        /// Of how many of which all is heard, or nothing was for a week.
        offered: u32,
        /// Within this many days.
        days: u32,
    },
    /// The customer uses much of what the owned product allows.
    UsageNearAllowance {
        /// The share used, 1 is all of it.
        share: f64,
    },
}

/// What the counts of [`Evidence::BoughtTogether`] count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CountBasis {
    /// Customers over their whole history.
    Customers,
    /// Single baskets.
    Baskets,
}
