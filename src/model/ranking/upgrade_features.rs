//! Features of alternatives to an owned item, on its ladder or in its category.
//!
//! An alternative has the features of a complement to a basket that holds the owned item alone, and those of the pair:
//! transitions of customers between the two, common owners, and how they compare. Whether an alternative is an upgrade at
//! all is not decided here.

use crate::domain::catalog::Catalog;
use crate::domain::product::Product;

use super::super::feature_comparison::FeatureComparison;
use super::alternative_groups::Transitions;
use super::association_scores::{SparseScores, score_held_items};
use super::content_similarity::ContentSimilarity;
use super::decay::DAY;
use super::features::{FeatureExtractor, Features, features, rank_by};
use super::item_model::ItemModel;
use super::ranker::Blend;
use super::ranking_query::RankingQuery;

/// Prior of shares of owners: owners that are added to the denominator.
const OWNERS_PRIOR: f32 = 5.0;

features! {
    /// Features of the pair of an owned item and an alternative.
    PairFeatures {
        moved: "Share of the owners of the owned item who bought the alternative later.",
        moved_back: "The same share for the opposite transition.",
        both: "Share of the owners of the owned item who have the alternative as well.",
        cosine: "Cosine of the owners: `both / sqrt(owners x owners)`.",
        gains: "Number of product features that are better.",
        losses: "Number of product features that are worse.",
        tiers: "Difference of tiers on a common ladder; 0 without one.",
        alternatives: "Number of alternatives.",
        rank_price: "Rank among the alternatives by falling price.",
        rank_both: "Rank by `both`.",
        owned_days: "Days since the last purchase of the owned item.",
    }
}

/// Number of features of an alternative.
pub const UPGRADE_FEATURES: usize = Features::NAMES.len() + PairFeatures::NAMES.len();

/// Learned and catalogue data that upgrade features are computed from.
#[derive(Clone, Copy)]
pub struct UpgradeContext<'a> {
    /// Weights and statistics of items.
    pub model: &'a ItemModel,
    pub content: &'a ContentSimilarity,
    /// Transitions of customers between items.
    pub transitions: &'a Transitions,
    /// Product features and ladders.
    pub catalog: &'a Catalog,
    /// Blend that retrieves complements for customers.
    pub blend: Blend,
}

/// Extractor of upgrade features for one customer.
pub struct UpgradeFeatureExtractor<'a> {
    context: UpgradeContext<'a>,
    query: &'a RankingQuery,
    extractor: FeatureExtractor<'a>,
    associations: SparseScores,
}

impl<'a> UpgradeFeatureExtractor<'a> {
    /// Computes what all alternatives share.
    pub fn new(context: UpgradeContext<'a>, query: &'a RankingQuery) -> Self {
        let extractor = FeatureExtractor::new(context.model, context.content, query);
        Self { context, query, extractor, associations: score_held_items(context.model, query) }
    }

    /// Features of each of `alternatives` to `owned`, in their order.
    pub fn features(&self, owned: u32, alternatives: &[u32]) -> Vec<[f32; UPGRADE_FEATURES]> {
        let UpgradeContext { model, blend, .. } = self.context;
        let scores = |item: u32| self.associations.of(item).with_basket_item(model, owned, item);
        let mut scored: Vec<(u32, f32)> =
            alternatives.iter().map(|&item| (item, blend.score_of(model, &scores(item), item))).collect();
        scored.sort_unstable_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
        let of_items = self.extractor.features_with_basket(&[owned], true, scores, &scored);
        let of_pairs = scored.iter().map(|&(item, _)| self.pair(owned, item, alternatives.len()));
        let mut rows: Vec<(u32, Features, PairFeatures)> = scored
            .iter()
            .zip(of_items)
            .zip(of_pairs)
            .map(|(((item, _), features), pair_features)| (*item, features, pair_features))
            .collect();
        rank_by(&mut rows, |row| row.1.price, |row, rank| row.2.rank_price = rank);
        rank_by(&mut rows, |row| row.2.both, |row, rank| row.2.rank_both = rank);
        rows.sort_unstable_by_key(|row| row.0);
        let values = |item: &u32| {
            let found = rows.binary_search_by_key(item, |row| row.0).expect("every alternative has a row");
            let mut values = [0.0; UPGRADE_FEATURES];
            let (first, second) = values.split_at_mut(Features::NAMES.len());
            first.copy_from_slice(&rows[found].1.values());
            second.copy_from_slice(&rows[found].2.values());
            values
        };
        alternatives.iter().map(values).collect()
    }

    fn pair(&self, owned: u32, alternative: u32, alternatives: usize) -> PairFeatures {
        let UpgradeContext { model, transitions, catalog, .. } = self.context;
        let there = transitions.get(&(owned, alternative)).copied().unwrap_or_default();
        let back = transitions.get(&(alternative, owned)).copied().unwrap_or_default();
        let owners = |item: u32| model.products[item as usize].customers as f32 + OWNERS_PRIOR;
        let share = |customers: u32| customers as f32 / owners(owned);
        let product = |item: u32| catalog.get(&model.products[item as usize].id);
        let orders = &catalog.settings().feature_orders;
        let (gains, losses, tiers) = product(owned).zip(product(alternative)).map_or((0, 0, 0.0), |(from, to)| {
            let comparison = FeatureComparison::of(from, to, orders);
            (comparison.gains.len(), comparison.losses, tiers(from, to))
        });
        let held = self.query.held.binary_search_by_key(&owned, |held| held.item);
        PairFeatures {
            moved: share(there.in_order),
            moved_back: share(back.in_order),
            both: share(there.in_any_order),
            cosine: there.in_any_order as f32 / (owners(owned) * owners(alternative)).sqrt(),
            gains: gains as f32,
            losses: losses as f32,
            tiers,
            alternatives: alternatives as f32,
            owned_days: held
                .map_or(-1.0, |held| (self.query.now - self.query.held[held].last_bought) as f32 / DAY as f32),
            ..PairFeatures::default()
        }
    }
}

fn tiers(from: &Product, to: &Product) -> f32 {
    match (&from.ladder_position, &to.ladder_position) {
        (Some(from), Some(to)) if from.ladder == to.ladder => f64::from(to.tier) as f32 - f64::from(from.tier) as f32,
        (Some(_) | None, Some(_) | None) => 0.0,
    }
}
