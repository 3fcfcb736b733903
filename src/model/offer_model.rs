//! The trained model: immutable, versioned by its owner, small enough to hold in memory.

use crate::domain::ids::ProductId;
use crate::domain::time::Timestamp;

use super::propensity::Curve;
use super::ranking::ranker::{Blend, Ranker};
use super::ranking::shelves::Moves;
use super::ranking::steps::StepRanker;
use super::ranking::tables::Tables;

/// What training learned.
#[derive(Debug, Clone, PartialEq)]
pub struct OfferModel {
    /// The history up to here was learned; `None` for a model that learned nothing.
    pub trained_at: Option<Timestamp>,
    /// What is known of the products that somebody bought, in order of id.
    pub tables: Tables,
    /// Orders what goes with a customer.
    pub customers: Ranker,
    /// Orders what goes with a basket.
    pub baskets: Ranker,
    /// Weighs steps up.
    pub steps: StepRanker,
    /// How customers moved from one product to another of its ladder or category.
    pub moves: Moves,
}

/// How fast the shares of [`LearnedProduct::popularity`] fade, in days.
pub const POPULARITY_HALF_LIVES: [f64; 5] = [7.0, 21.0, 60.0, 180.0, 720.0];

/// What was learned of one product.
#[derive(Debug, Clone, PartialEq)]
pub struct LearnedProduct {
    /// The product.
    pub id: ProductId,
    /// Customers who ever bought it.
    pub customers: u32,
    /// Baskets of two products and more that held it.
    pub baskets: u32,
    /// Distinct buyers: customers, and baskets of buyers without a name.
    pub buyers: u32,
    /// Distinct buyers within [`RECENT_DAYS`] before training.
    pub recent_buyers: u32,
    /// The share of buyers who bought it, 0 to 1, by each of [`POPULARITY_HALF_LIVES`]; who bought it again weighs once.
    pub popularity: [f32; POPULARITY_HALF_LIVES.len()],
    /// The share of buyers who bought it for the first time, 0 to 1, over the last weeks and over the last days.
    pub new_buyers: [f32; 2],
    /// When it was first sold, in seconds after 1970.
    pub first_sold: Option<i64>,
    /// When it was last sold.
    pub last_sold: Option<i64>,
    /// The share of baskets that held it in the same weeks of last year; `None` when the history is shorter.
    pub last_year: Option<f32>,
    /// What it was sold for on average, in units of its currency.
    pub price: Option<f32>,
    /// Times it was bought.
    pub bought: u32,
    /// Times it was returned, cancelled or downgraded.
    pub given_up: u32,
}

/// What counts as recent in [`LearnedProduct::recent_buyers`], in days.
pub const RECENT_DAYS: u32 = 90;

impl OfferModel {
    /// A model that learned nothing: the catalogue alone proposes.
    pub fn untrained() -> Self {
        let unlearned = |blend| Ranker { blend, forest: None, curve: Curve::DEFAULT };
        Self {
            trained_at: None,
            tables: Tables::default(),
            customers: unlearned(Blend::CUSTOMERS),
            baskets: unlearned(Blend::BASKETS),
            steps: StepRanker::UNLEARNED,
            moves: Moves::new(),
        }
    }

    /// The products by number.
    pub fn products(&self) -> &[LearnedProduct] {
        &self.tables.products
    }
}

impl LearnedProduct {
    /// A product that nobody bought.
    pub fn unseen(id: ProductId) -> Self {
        Self {
            id,
            customers: 0,
            baskets: 0,
            buyers: 0,
            recent_buyers: 0,
            popularity: [0.0; POPULARITY_HALF_LIVES.len()],
            new_buyers: [0.0; 2],
            first_sold: None,
            last_sold: None,
            last_year: None,
            price: None,
            bought: 0,
            given_up: 0,
        }
    }

    /// The probability that a buyer keeps it: one less the share given up, with the prior that 1 in 20 is
    /// (Beta(19, 1)).
    pub fn keep_probability(&self) -> f64 {
        let (bought, given_up) = (f64::from(self.bought), f64::from(self.given_up.min(self.bought)));
        (bought - given_up + 19.0) / (bought + 20.0)
    }
}
