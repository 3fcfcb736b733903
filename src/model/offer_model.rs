//! The trained model: immutable, versioned by its owner, small enough to hold in memory.

use std::collections::HashMap;

use crate::domain::ids::ProductId;
use crate::domain::time::Timestamp;

use super::propensity::Curve;
use super::ridge::Neighbours;

/// What training learned.
#[derive(Debug, Clone, PartialEq)]
pub struct OfferModel {
    /// The history up to here was learned; `None` for a model that learned nothing.
    pub trained_at: Option<Timestamp>,
    /// The products that somebody bought, in order of id. All lists below are parallel to it.
    pub products: Vec<LearnedProduct>,
    /// Weights between products over the histories of customers.
    pub by_customer: Neighbours,
    /// Weights between products within baskets.
    pub by_basket: Neighbours,
    /// Customers who had the first product and later bought the second, of one ladder or category.
    pub moves: HashMap<(u32, u32), u32>,
    /// From customer-level scores to probabilities.
    pub curve: Curve,
}

/// What was learned of one product.
#[derive(Debug, Clone, PartialEq)]
pub struct LearnedProduct {
    /// The product.
    pub id: ProductId,
    /// Customers who ever bought it.
    pub customers: u32,
    /// Baskets that held it.
    pub baskets: u32,
    /// Distinct buyers (baskets, for buyers without a name) within [`RECENT_DAYS`] before training.
    pub recent_buyers: u32,
    /// The share of recent buyers who bought it, 0 to 1.
    pub popularity: f32,
    /// Times it was bought.
    pub bought: u32,
    /// Times it was returned, cancelled or downgraded.
    pub given_up: u32,
}

/// What counts as recent in [`LearnedProduct::recent_buyers`], in days.
pub const RECENT_DAYS: u32 = 90;

impl OfferModel {
    /// A model that learned nothing: the catalogue alone proposes.
    #[must_use]
    pub fn untrained() -> Self {
        Self {
            trained_at: None,
            products: Vec::new(),
            by_customer: Vec::new(),
            by_basket: Vec::new(),
            moves: HashMap::new(),
            curve: Curve::DEFAULT,
        }
    }
}

impl LearnedProduct {
    /// The probability that a buyer keeps it: one less the share given up, with the prior that 1 in 20 is
    /// (Beta(19, 1)).
    #[must_use]
    pub fn keep_probability(&self) -> f64 {
        let (bought, given_up) = (f64::from(self.bought), f64::from(self.given_up.min(self.bought)));
        (bought - given_up + 19.0) / (bought + 20.0)
    }
}
