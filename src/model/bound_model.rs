//! Model bound to a catalogue: answers queries in the catalogue's products.

use std::sync::Arc;

use crate::domain::cached_ranking::CachedRanking;
use crate::domain::catalog::Catalog;
use crate::domain::ids::ProductId;

use super::catalog_binding::CatalogBinding;
use super::complements::Complements;
use super::offer_model::OfferModel;
use super::offer_queries::{CrossSellQuery, UpSellQuery};
use super::upgrades::{Upgrades, rank_alternatives};

/// Model bound to a catalogue.
#[derive(Debug)]
pub struct BoundModel {
    binding: CatalogBinding,
}

impl BoundModel {
    /// Binds a model to a catalogue.
    pub fn new(model: Arc<OfferModel>, catalog: Arc<Catalog>) -> Self {
        Self { binding: CatalogBinding::new(model, catalog) }
    }

    /// The catalogue.
    pub fn catalog(&self) -> &Arc<Catalog> {
        &self.binding.catalog
    }

    /// Digest of all that rankings depend on in the catalogue, but for prices and texts.
    pub fn catalog_digest(&self) -> u64 {
        self.binding.catalog_digest
    }

    /// Ranks complements. Products that the customer has are among them: whether they may be offered again is not decided
    /// here.
    pub fn cross_sell(&self, query: &CrossSellQuery) -> Complements<'_> {
        Complements::rank(&self.binding, query)
    }

    /// Returns complements from a cached ranking by this model and catalogue. Only when these do not suffice is the rest
    /// ranked, and follows them.
    pub fn cross_sell_from_cache(&self, query: &CrossSellQuery, cached: CachedRanking) -> Complements<'_> {
        Complements::from_cache(&self.binding, query, cached)
    }

    /// Ranks upgrades of what the customer has; each product once, replacing the product from which it is likeliest.
    pub fn up_sell(&self, query: &UpSellQuery) -> Upgrades {
        Upgrades::rank(&self.binding, query)
    }

    /// Ranks given products by the propensity of a transition from `owned`. Whether each is an upgrade is not decided here.
    pub fn rank_alternatives(
        &self,
        query: &UpSellQuery,
        owned: &ProductId,
        alternatives: &[ProductId],
    ) -> Vec<ProductId> {
        rank_alternatives(&self.binding, query, owned, alternatives)
    }
}
