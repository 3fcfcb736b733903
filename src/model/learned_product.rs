//! Statistics of one product that training learned.

use crate::domain::ids::ProductId;

/// Half-lives of the shares in [`LearnedProduct::popularity`], in days.
pub const POPULARITY_HALF_LIVES: [f64; 5] = [7.0, 21.0, 60.0, 180.0, 720.0];
/// Window of [`LearnedProduct::recent_buyers`], in days.
pub const RECENT_DAYS: u32 = 90;

/// Purchases of one variant of a product.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VariantSales {
    /// Id of the variant.
    pub id: ProductId,
    /// Number of purchases.
    pub bought: u32,
}

/// Statistics of one product.
#[derive(Debug, Clone, PartialEq)]
pub struct LearnedProduct {
    /// Id of the product; for the variants of an item group, which are learned as one, that of their representative.
    pub id: ProductId,
    /// Purchases of each variant, the most first; empty for a product without variants.
    pub variants: Vec<VariantSales>,
    /// Customers who ever bought it.
    pub customers: u32,
    /// Baskets of two products and more that held it.
    pub baskets: u32,
    /// Distinct buyers: customers, and baskets of anonymous buyers.
    pub buyers: u32,
    /// Distinct buyers within [`RECENT_DAYS`] before training.
    pub recent_buyers: u32,
    /// Share of buyers who bought it, 0 to 1, by each of [`POPULARITY_HALF_LIVES`]; a repeat purchase does not add to it.
    pub popularity: [f32; POPULARITY_HALF_LIVES.len()],
    /// Share of buyers who bought it for the first time, 0 to 1, over the last weeks and over the last days.
    pub new_buyers: [f32; 2],
    /// First sale, in seconds after 1970.
    pub first_sold: Option<i64>,
    /// Last sale, in seconds after 1970.
    pub last_sold: Option<i64>,
    /// Share of baskets that held it in the same weeks of last year; `None` when the history is shorter.
    pub last_year: Option<f32>,
    /// Mean price paid, in units of its currency.
    pub price: Option<f32>,
    /// Number of purchases.
    pub bought: u32,
    /// Number of returns, cancellations and downgrades.
    pub reversed: u32,
}

impl LearnedProduct {
    /// Statistics of a product that was never bought.
    pub fn unseen(id: ProductId) -> Self {
        Self {
            id,
            variants: Vec::new(),
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
            reversed: 0,
        }
    }

    /// Probability that a buyer keeps it: one less the share of reversed purchases, with the prior that 1 in 20 is
    /// (Beta(19, 1)).
    pub fn keep_probability(&self) -> f64 {
        let (bought, reversed) = (f64::from(self.bought), f64::from(self.reversed.min(self.bought)));
        (bought - reversed + 19.0) / (bought + 20.0)
    }
}
