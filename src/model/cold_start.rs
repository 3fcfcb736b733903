//! Cold start of products: a product that was never bought is assumed to sell like its category, only less.
//!
//! Once the likeliest products are ranked, the cold-start items of their categories are merged in: the available products
//! that the model has not learned, beside learned ones of the same category path. Products that are not on sale are left
//! out here; whether a product may be offered otherwise is decided by the rules.

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashSet};

use crate::domain::cached_ranking::RankedProduct;
use crate::domain::catalog::Catalog;
use crate::domain::money::{Currency, Money};
use crate::domain::product::Product;
use crate::domain::time::Timestamp;

use super::learned_product::LearnedProduct;
use super::price_typicality::typicality;
use super::ranking::ranker::RERANKED_MAX;

/// Propensity of a cold-start item as a share of the mean of the learned products of its category. Below 1, because the
/// products that are known to sell are those that lasted; how far below is an assumption.
pub const COLD_START_SHARE: f64 = 0.5;
/// Maximum number of cold-start items of one category in a ranking, so that a new collection does not crowd out what is
/// known to sell.
pub const COLD_START_ITEMS_MAX: usize = 3;

/// Products of a catalogue that were never bought, in categories of which some product was.
#[derive(Debug, Hash)]
pub struct ColdStartItems {
    categories: Vec<MixedCategory>,
    /// Membership of each product of the catalogue.
    members: Vec<Option<CategoryMember>>,
}

/// Category with learned products and cold-start items.
#[derive(Debug, Hash)]
struct MixedCategory {
    /// Number of learned products.
    learned: usize,
    best_seller: Option<BestSeller>,
    /// The latest to become available first, then by id.
    items: Vec<ColdStartItem>,
}

/// Product of a mixed category, with the index of the category.
#[derive(Debug, Clone, Copy, Hash)]
enum CategoryMember {
    Learned(usize),
    ColdStart(usize),
}

#[derive(Debug, Hash)]
struct ColdStartItem {
    /// Index in the catalogue.
    product: u32,
    from: Option<Timestamp>,
    until: Option<Timestamp>,
    /// Typicality of its price for the category, in thousandths.
    typicality_permille: u32,
}

/// Learned product of a category with the most recent buyers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct BestSeller {
    /// Index in the catalogue.
    pub product: usize,
    /// Its [recent buyers](LearnedProduct::recent_buyers), at least one.
    pub buyers: u32,
}

impl ColdStartItems {
    /// Finds the mixed categories of a catalogue; `learned` returns the statistics of the product at an index.
    pub fn new<'a>(catalog: &Catalog, learned: impl Fn(usize) -> Option<&'a LearnedProduct>) -> Self {
        let mut prices: BTreeMap<(&[String], Currency), Vec<f64>> = BTreeMap::new();
        for product in catalog.products() {
            if let Some(price) = product.price {
                prices.entry((&product.category, price.currency())).or_default().push(price.approximate());
            }
        }
        for prices in prices.values_mut() {
            prices.sort_unstable_by(f64::total_cmp);
        }
        let typicality_of = |product: &Product| {
            let of_category =
                product.price.and_then(|price| prices.get(&(product.category.as_slice(), price.currency())));
            let median = of_category.map(|prices| prices[prices.len() / 2]).filter(|&median| median > 0.0);
            typicality(product.price.map(Money::approximate), median)
        };
        let mut by_category: BTreeMap<&[String], (Vec<BestSeller>, Vec<ColdStartItem>)> = BTreeMap::new();
        for (index, product) in catalog.products().iter().enumerate() {
            if product.category.is_empty() {
                continue;
            }
            let (sellers, items) = by_category.entry(&product.category).or_default();
            match learned(index) {
                Some(learned) => sellers.push(BestSeller { product: index, buyers: learned.recent_buyers }),
                None if product.available => items.push(ColdStartItem::new(index, product, typicality_of(product))),
                None => {}
            }
        }
        let mut categories = Vec::new();
        let mut members = vec![None; catalog.products().len()];
        for (sellers, mut items) in by_category.into_values() {
            if sellers.is_empty() || items.is_empty() {
                continue;
            }
            items.sort_by_key(|item| (Reverse(item.from), item.product));
            for seller in &sellers {
                members[seller.product] = Some(CategoryMember::Learned(categories.len()));
            }
            for item in &items {
                members[item.product as usize] = Some(CategoryMember::ColdStart(categories.len()));
            }
            let most = sellers.iter().copied().max_by_key(|seller| (seller.buyers, Reverse(seller.product)));
            let best_seller = most.filter(|seller| seller.buyers > 0);
            categories.push(MixedCategory { learned: sellers.len(), best_seller, items });
        }
        Self { categories, members }
    }

    /// Merges cold-start items into a ranking, best first: all of them where the ranking is short, else those that are
    /// likelier than the last. An item that was ranked already keeps its rank if that is the better one.
    pub fn merge_into(
        &self,
        mut ranked: Vec<RankedProduct>,
        now: Timestamp,
        is_candidate: impl Fn(u32) -> bool,
    ) -> Vec<RankedProduct> {
        let is_full = ranked.len() >= RERANKED_MAX;
        let last = ranked.last().filter(|_| is_full).map_or(0.0, |last| last.propensity);
        for (category, propensity) in self.categories.iter().zip(self.propensities(&ranked)) {
            if propensity > last {
                let items = category.items.iter().filter(|item| item.is_on_sale(now) && is_candidate(item.product));
                let of_item = |item: &ColdStartItem| RankedProduct {
                    catalog_index: item.product,
                    propensity: propensity * item.typicality_permille as f32 / 1000.0,
                };
                ranked.extend(items.take(COLD_START_ITEMS_MAX).map(of_item).filter(|item| item.propensity > last));
            }
        }
        ranked.sort_by(|a, b| b.propensity.total_cmp(&a.propensity));
        // Only cold-start items can be there twice.
        let mut merged = HashSet::new();
        ranked.retain(|ranked| match self.members[ranked.catalog_index as usize] {
            Some(CategoryMember::ColdStart(_)) => merged.insert(ranked.catalog_index),
            Some(CategoryMember::Learned(_)) | None => true,
        });
        ranked
    }

    /// Propensity of the cold-start items of each category, by its learned products in the ranking; the others count 0.
    fn propensities(&self, ranked: &[RankedProduct]) -> Vec<f32> {
        let mut sums = vec![0.0_f64; self.categories.len()];
        for &RankedProduct { catalog_index, propensity } in ranked {
            if let Some(CategoryMember::Learned(category)) = self.members[catalog_index as usize] {
                sums[category] += f64::from(propensity);
            }
        }
        let propensity =
            |(category, sum): (&MixedCategory, f64)| (COLD_START_SHARE * sum / category.learned as f64) as f32;
        self.categories.iter().zip(sums).map(propensity).collect()
    }

    /// Best seller of the category of a cold-start item, by index in the catalogue; `None` for other products, or when
    /// nothing of the category was bought recently.
    pub fn best_seller_of_category(&self, product: usize) -> Option<BestSeller> {
        match self.members[product] {
            Some(CategoryMember::ColdStart(category)) => self.categories[category].best_seller,
            Some(CategoryMember::Learned(_)) | None => None,
        }
    }
}

impl ColdStartItem {
    fn new(index: usize, product: &Product, typicality: f64) -> Self {
        Self {
            product: index as u32,
            from: product.available_from,
            until: product.available_until,
            typicality_permille: (typicality * 1000.0).round() as u32,
        }
    }

    /// True from the first day of sale: announced products would otherwise be the newest of all.
    fn is_on_sale(&self, now: Timestamp) -> bool {
        self.from.is_none_or(|from| from <= now) && self.until.is_none_or(|until| now < until)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::ids::ProductId;

    /// Broken by: cold-start items merged into a full ranking whatever their propensity.
    #[test]
    fn a_full_ranking_takes_only_items_likelier_than_its_last() {
        // Each learned product is of a category of its own, with one cold-start item.
        let id = |name: String| ProductId::new(name).expect("a valid id");
        let of_pair = |number: usize, name: &str| Product {
            category: vec![number.to_string()],
            ..Product::new(id(format!("{name}-{number:03}")), "")
        };
        let pairs = (0..RERANKED_MAX).flat_map(|number| [of_pair(number, "known"), of_pair(number, "new")]);
        let catalog = Catalog::new(pairs.collect());
        let learned = LearnedProduct::unseen(id("known".to_owned()));
        let cold_start = ColdStartItems::new(&catalog, |index| (index < RERANKED_MAX).then_some(&learned));

        // From 1 down to 1/300.
        let share = |rank: usize| rank as f32 / RERANKED_MAX as f32;
        let full: Vec<RankedProduct> = (0..RERANKED_MAX as u32)
            .map(|rank| RankedProduct { catalog_index: rank, propensity: share(RERANKED_MAX - rank as usize) })
            .collect();
        let merged = cold_start.merge_into(full.clone(), Timestamp::MAX, |_| true);
        assert!(merged.is_sorted_by(|a, b| a.propensity >= b.propensity));
        // Half of what is above twice the last is above the last.
        assert_eq!(merged.len(), RERANKED_MAX + RERANKED_MAX - 2);

        let short = cold_start.merge_into(full[1..].to_vec(), Timestamp::MAX, |_| true);
        assert_eq!(short.len(), 2 * (RERANKED_MAX - 1));
    }
}
