//! Binding of a model to a catalogue: indices of products in both, and what the catalogue adds to the model.
//!
//! An *item* is an index in the model, a *product index* is one in the catalogue; either may lack the other.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use crate::domain::catalog::Catalog;
use crate::domain::holdings::fingerprint;
use crate::domain::ids::ProductId;
use crate::domain::offer::PropensityBasis;
use crate::domain::product::Product;
use crate::domain::time::Timestamp;

use super::cold_start::ColdStartItems;
use super::learned_product::LearnedProduct;
use super::offer_model::OfferModel;
use super::offer_queries::CustomerContext;
use super::price_typicality::typicality_in_catalog;
use super::ranking::content_similarity::ContentSimilarity;
use super::ranking::ranking_query::{HeldItem, RankingQuery, UNDATED};

/// Half-life index of the popularity where nothing else is known: the second shortest.
pub const RECENT_POPULARITY: usize = 1;

/// Model and catalogue with the indices of each product in both.
#[derive(Debug)]
pub struct CatalogBinding {
    pub model: Arc<OfferModel>,
    pub catalog: Arc<Catalog>,
    /// Item of each product of the catalogue. The variants of an item group share one.
    pub item_of_product: Vec<Option<u32>>,
    /// Product index of each item of the model; for an item of several variants, that of the first in `variants`.
    pub product_of_item: Vec<Option<u32>>,
    /// Product indices of the variants of each item of several: those on sale before the others, then the most bought first.
    pub variants: HashMap<u32, Vec<u32>>,
    /// Content of the items.
    pub content: ContentSimilarity,
    /// Products that the catalogue names as complements, by product index.
    pub hints: HashMap<usize, Vec<usize>>,
    /// Products that were never bought.
    pub cold_start: ColdStartItems,
    /// Digest of the catalogue, see [`CacheKey::catalog`](crate::domain::cached_ranking::CacheKey).
    pub catalog_digest: u64,
    item_of_fingerprint: HashMap<u32, u32>,
}

impl CatalogBinding {
    /// Binds a model to a catalogue.
    pub fn new(model: Arc<OfferModel>, catalog: Arc<Catalog>) -> Self {
        let mut item_of_product = vec![None; catalog.products().len()];
        let mut product_of_item = vec![None; model.products().len()];
        for (item, product) in model.products().iter().enumerate() {
            if let Some(index) = catalog.index_of(&product.id) {
                item_of_product[index] = Some(item as u32);
                product_of_item[item] = Some(index as u32);
            }
        }
        let variants = bind_variants(&model, &catalog, &mut item_of_product);
        for (&item, variants) in &variants {
            product_of_item[item as usize] = variants.first().copied();
        }
        let hints = complement_hints(&catalog);
        let content = ContentSimilarity::of(model.products(), &catalog);
        let items = (0..).zip(model.products());
        let item_of_fingerprint = items.map(|(item, product)| (fingerprint(&product.id), item)).collect();
        let learned = |index: usize| item_of_product[index].map(|item| &model.products()[item as usize]);
        let cold_start = ColdStartItems::new(&catalog, learned);
        let catalog_digest = catalog_digest(&catalog, &product_of_item, &cold_start);
        Self {
            model,
            catalog,
            item_of_product,
            product_of_item,
            variants,
            content,
            hints,
            cold_start,
            catalog_digest,
            item_of_fingerprint,
        }
    }

    /// The query in items of the model.
    pub fn ranking_query(&self, customer: &CustomerContext, basket: Vec<u32>, now: Timestamp) -> RankingQuery {
        let held = customer.holdings.iter().filter_map(|held| {
            let item = self.item(&held.product)?;
            Some(HeldItem { item, first_bought: seconds(held.first_at), last_bought: seconds(held.last_at) })
        });
        let mut held: Vec<HeldItem> = held.collect();
        let forgotten = customer.forgotten.iter().filter_map(|fingerprint| self.item_of_fingerprint.get(fingerprint));
        held.extend(forgotten.map(|&item| HeldItem { item, first_bought: UNDATED, last_bought: UNDATED }));
        // A forgotten item that was bought again has the dates of the later purchase.
        held.sort_unstable_by_key(|held| (held.item, Reverse(held.last_bought)));
        held.dedup_by_key(|held| held.item);
        let profile = self.model.item_model.profile_encoder.encode(&customer.profile);
        RankingQuery::new(seconds(now), held, basket, profile)
    }

    /// The product to offer for the product at an index: itself, or while it is not on sale, the first of its variants that
    /// is.
    pub fn variant_on_sale(&self, index: u32, now: Timestamp) -> u32 {
        let is_on_sale = |index: u32| self.catalog.products()[index as usize].is_on_sale(now);
        if is_on_sale(index) {
            return index;
        }
        let learned = self.item_of_product[index as usize].and_then(|item| self.variants.get(&item));
        let unlearned = self.catalog.variants_at(index as usize).iter().map(|&variant| variant as u32);
        let variants = learned.into_iter().flatten().copied().chain(unlearned);
        variants.into_iter().find(|&variant| is_on_sale(variant)).unwrap_or(index)
    }

    /// True for a product that is ranked: of the variants of an item group, only one.
    pub fn is_ranked(&self, index: u32) -> bool {
        match self.item_of_product[index as usize] {
            Some(item) => self.product_of_item[item as usize] == Some(index),
            None => self.catalog.variants_at(index as usize).first().is_none_or(|&first| first as u32 == index),
        }
    }

    /// Typicality of the price of the product at an index for the catalogue, 0 to 1.
    pub fn typicality(&self, index: usize) -> f64 {
        typicality_in_catalog(&self.catalog.products()[index], &self.catalog)
    }

    /// Item of a product.
    pub fn item(&self, product: &ProductId) -> Option<u32> {
        self.item_of_product[self.catalog.index_of(product)?]
    }

    /// Statistics of a product.
    pub fn learned(&self, product: &ProductId) -> Option<&LearnedProduct> {
        self.learned_at(self.catalog.index_of(product)?)
    }

    /// Statistics of the product at an index of the catalogue.
    pub fn learned_at(&self, index: usize) -> Option<&LearnedProduct> {
        self.item_of_product[index].map(|item| &self.model.products()[item as usize])
    }

    /// True when the catalogue names the second product as a complement of the first.
    pub fn has_hint(&self, from: usize, to: usize) -> bool {
        self.hints.get(&from).is_some_and(|hinted| hinted.contains(&to))
    }
}

/// Binds the variants of each item group to the item of one of them: a variant that was never bought has the evidence of the
/// others. Returns the variants of each such item.
fn bind_variants(model: &OfferModel, catalog: &Catalog, item_of_product: &mut [Option<u32>]) -> HashMap<u32, Vec<u32>> {
    let bought = |item: u32, index: usize| {
        let (learned, id) = (&model.products()[item as usize], &catalog.products()[index].id);
        let variant = learned.variants.iter().find(|variant| variant.id == *id).map(|variant| variant.bought);
        variant.unwrap_or(if learned.variants.is_empty() && learned.id == *id { learned.bought } else { 0 })
    };
    let mut variants_of: HashMap<u32, Vec<u32>> = HashMap::new();
    for index in 0..catalog.products().len() {
        let variants = catalog.variants_at(index);
        if variants.first() != Some(&index) {
            continue;
        }
        // One item after a training with this catalogue; several when the group is newer than the model.
        let items = variants.iter().filter_map(|&variant| item_of_product[variant]);
        let most_bought = items.max_by_key(|&item| (model.products()[item as usize].bought, Reverse(item)));
        let Some(item) = most_bought else { continue };
        for &variant in variants {
            item_of_product[variant] = item_of_product[variant].or(Some(item));
        }
        for &variant in variants {
            let of = item_of_product[variant].unwrap_or(item);
            variants_of.entry(of).or_default().push(variant as u32);
        }
    }
    for (&item, variants) in &mut variants_of {
        let rank = |&index: &u32| {
            let is_available = catalog.products()[index as usize].available;
            (Reverse(is_available), Reverse(bought(item, index as usize)), index)
        };
        variants.sort_unstable_by_key(rank);
    }
    variants_of
}

/// Products that are compatible with, or require, each product of the catalogue.
fn complement_hints(catalog: &Catalog) -> HashMap<usize, Vec<usize>> {
    let mut hints: HashMap<usize, Vec<usize>> = HashMap::new();
    for (index, product) in catalog.products().iter().enumerate() {
        for other in product.compatible_with.iter().chain(&product.requires) {
            if let Some(other) = catalog.index_of(other) {
                hints.entry(other).or_default().push(index);
            }
        }
    }
    hints
}

fn catalog_digest(catalog: &Catalog, product_of_item: &[Option<u32>], cold_start: &ColdStartItems) -> u64 {
    let mut hasher = DefaultHasher::new();
    for (index, product) in catalog.products().iter().enumerate() {
        let Product { id, category, requires, compatible_with, repeatable, .. } = product;
        (id, category, requires, compatible_with, repeatable, catalog.variants_at(index).first()).hash(&mut hasher);
    }
    // The variants that are offered.
    product_of_item.hash(&mut hasher);
    // Availability of products that were never bought.
    cold_start.hash(&mut hasher);
    hasher.finish()
}

/// Basis of the propensity of a product with or without statistics.
pub fn propensity_basis(learned: Option<&LearnedProduct>) -> PropensityBasis {
    if learned.is_some() { PropensityBasis::Purchases } else { PropensityBasis::Catalog }
}

/// A time in whole seconds after 1970.
pub fn seconds(at: Timestamp) -> i64 {
    at.unix_ms().div_euclid(1000)
}
