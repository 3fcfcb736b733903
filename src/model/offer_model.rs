//! Trained offer model: immutable, versioned by its owner, small enough to hold in memory.

use crate::domain::time::Timestamp;

use super::learned_product::LearnedProduct;
use super::ranking::alternative_groups::Transitions;
use super::ranking::item_model::ItemModel;
use super::ranking::ranker::{Blend, Ranker};
use super::ranking::upgrade_ranker::UpgradeRanker;

/// Result of a training.
#[derive(Debug, Clone, PartialEq)]
pub struct OfferModel {
    /// End of the history that was learned; `None` for an untrained model.
    pub trained_at: Option<Timestamp>,
    /// Weights and statistics of all products with a purchase, in order of id.
    pub item_model: ItemModel,
    /// Ranks complements for customers.
    pub customer_ranker: Ranker,
    /// Ranks complements for baskets.
    pub basket_ranker: Ranker,
    /// Ranks upgrades.
    pub upgrade_ranker: UpgradeRanker,
    /// Transitions of customers between products of a ladder or category.
    pub transitions: Transitions,
}

impl OfferModel {
    /// Model that learned nothing: only the catalogue proposes candidates.
    pub fn untrained() -> Self {
        Self {
            trained_at: None,
            item_model: ItemModel::default(),
            customer_ranker: Ranker::untrained(Blend::CUSTOMERS),
            basket_ranker: Ranker::untrained(Blend::BASKETS),
            upgrade_ranker: UpgradeRanker::UNTRAINED,
            transitions: Transitions::new(),
        }
    }

    /// Products by index.
    pub fn products(&self) -> &[LearnedProduct] {
        &self.item_model.products
    }
}
