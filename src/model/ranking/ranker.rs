//! Two-stage ranking of complements: a linear blend retrieves candidates, and a forest reranks them.

use super::super::probability_calibration::ProbabilityCalibration;
use super::association_scores::{AssociationScores, SparseScores};
use super::content_similarity::ContentSimilarity;
use super::decay::DAY;
use super::features::{FeatureExtractor, Features};
use super::forest::Forest;
use super::item_model::ItemModel;
use super::ranking_query::RankingQuery;

/// Maximum number of candidates that a forest reranks. More contain more of what is bought next, at a cost in proportion.
pub const RERANKED_MAX: usize = 300;
/// Popularity in a blend is by this half-life: the second shortest.
const BLENDED_POPULARITY: usize = 1;
/// Items without a sale for longer are not retrieved.
const UNSOLD_DAYS_MAX: i64 = 180;

/// Decay of held items in a blend.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decay {
    /// [`AssociationScores::recency_weighted_short`].
    Short,
    /// [`AssociationScores::recency_weighted_long`].
    Long,
    /// [`AssociationScores::recency_weighted_undecayed`].
    Undecayed,
}

impl Decay {
    pub const ALL: [Self; 3] = [Self::Short, Self::Long, Self::Undecayed];

    /// Name in the training report.
    pub fn name(self) -> &'static str {
        match self {
            Self::Short => "short half-life",
            Self::Long => "long half-life",
            Self::Undecayed => "no decay",
        }
    }
}

/// Linear blend of three scores.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Blend {
    /// Decay of the held items.
    pub decay: Decay,
    /// Weight of the association with held items and profile.
    pub holdings: f32,
    /// Weight of the association with the basket, or with the latest purchases.
    pub basket: f32,
    /// Weight of recent popularity.
    pub popularity: f32,
}

impl Blend {
    /// Default for customers, where no better one was learned.
    pub const CUSTOMERS: Self = Self { decay: Decay::Long, holdings: 1.0, basket: 0.0, popularity: 0.1 };
    pub const BASKETS: Self = Self { decay: Decay::Long, holdings: 0.0, basket: 1.0, popularity: 0.01 };

    fn score(self, scores: &AssociationScores, popularity: f32) -> f32 {
        let held = match self.decay {
            Decay::Short => scores.recency_weighted_short,
            Decay::Long => scores.recency_weighted_long,
            Decay::Undecayed => scores.recency_weighted_undecayed,
        };
        self.holdings * (held + scores.profile_recency_weighted)
            + self.basket * scores.basket
            + self.popularity * popularity
    }

    /// Score of an item with these association scores.
    pub fn score_of(&self, model: &ItemModel, scores: &AssociationScores, item: u32) -> f32 {
        self.score(scores, model.products[item as usize].popularity[BLENDED_POPULARITY])
    }
}

/// Ranker of complements for queries about customers, or about baskets.
#[derive(Debug, Clone, PartialEq)]
pub struct Ranker {
    pub blend: Blend,
    /// Reranks the candidates, where that was better on the latest window.
    pub forest: Option<Forest>,
    /// Maps raw scores to probabilities.
    pub calibration: ProbabilityCalibration,
}

impl Ranker {
    /// Ranker by a blend alone, with the default calibration.
    pub fn untrained(blend: Blend) -> Self {
        Self { blend, forest: None, calibration: ProbabilityCalibration::DEFAULT }
    }

    /// Uncalibrated score of each candidate, in the order given: odds by the forest, all above 0, or the blend's score.
    pub fn raw_scores(
        &self,
        model: &ItemModel,
        content: &ContentSimilarity,
        query: &RankingQuery,
        associations: &SparseScores,
        candidates: &[(u32, f32)],
    ) -> Vec<f64> {
        match &self.forest {
            Some(forest) => {
                let extractor = FeatureExtractor::new(model, content, query);
                let rows = extractor.features(|item| *associations.of(item), candidates);
                let rows: Vec<_> = rows.iter().map(Features::values).collect();
                forest.logits(&rows).into_iter().map(|logit| f64::from(logit).exp()).collect()
            }
            None => candidates.iter().map(|&(_, score)| f64::from(score)).collect(),
        }
    }
}

/// Retrieves the items to rerank: those with the highest scores, best first, at most [`RERANKED_MAX`].
pub fn retrieve(items: impl Iterator<Item = u32>, score: impl Fn(u32) -> f32) -> Vec<(u32, f32)> {
    top_scored(items, score, RERANKED_MAX)
}

/// Returns the `count` items with the highest scores, best first.
pub fn top_scored(items: impl Iterator<Item = u32>, score: impl Fn(u32) -> f32, count: usize) -> Vec<(u32, f32)> {
    let mut scored: Vec<(u32, f32)> = items.map(|item| (item, score(item))).collect();
    let best_first = |a: &(u32, f32), b: &(u32, f32)| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0));
    if scored.len() > count {
        scored.select_nth_unstable_by(count, best_first);
        scored.truncate(count);
    }
    scored.sort_unstable_by(best_first);
    scored
}

/// True for an item that was sold not too long ago.
pub fn is_current(model: &ItemModel, now: i64, item: u32) -> bool {
    model.products[item as usize].last_sold.is_some_and(|at| now - at <= UNSOLD_DAYS_MAX * DAY)
}

/// Items that were sold not too long ago, in order of index.
pub fn current_items(model: &ItemModel, now: i64) -> impl Iterator<Item = u32> {
    (0..model.products.len() as u32).filter(move |&item| is_current(model, now, item))
}

/// Items that were sold not too long ago, the most popular first.
pub fn current_by_popularity(model: &ItemModel, now: i64) -> Vec<u32> {
    let popularity = |item: u32| model.products[item as usize].popularity[BLENDED_POPULARITY];
    let mut current: Vec<u32> = current_items(model, now).collect();
    current.sort_by(|&a, &b| popularity(b).total_cmp(&popularity(a)).then(a.cmp(&b)));
    current
}

/// Current items that a blend can rank among its first `count`: those with an association score, and of the others, whose
/// scores differ by popularity alone, the most popular. In a large catalogue this is a small part.
pub fn candidate_pool(
    model: &ItemModel,
    associations: &SparseScores,
    by_popularity: &[u32],
    now: i64,
    is_candidate: impl Fn(u32) -> bool,
    count: usize,
) -> Vec<u32> {
    let associated = associations.items().iter().copied();
    let associated = associated.filter(|&item| is_current(model, now, item) && is_candidate(item));
    let others = by_popularity.iter().copied().filter(|&item| !associations.contains(item) && is_candidate(item));
    associated.chain(others.take(count)).collect()
}

#[cfg(test)]
mod tests {
    use super::super::super::learned_product::LearnedProduct;
    use super::super::super::ridge::Neighbour;
    use super::super::association_scores::score_associations;
    use super::super::ranking_query::HeldItem;
    use super::*;
    use crate::domain::ids::ProductId;

    const NOW: i64 = 1_700_000_000;

    /// Broken by: the popular items left out of the pool, those with an association left out, items that are no candidates
    /// left in.
    #[test]
    fn the_top_of_the_pool_is_the_top_of_all_items() {
        let product = |item: u32| {
            let id = ProductId::new(format!("product-{item}")).expect("a valid id");
            let mut product = LearnedProduct::unseen(id);
            product.last_sold = (!item.is_multiple_of(7)).then_some(NOW - 5);
            product.popularity[BLENDED_POPULARITY] = (item * 37 % 101) as f32 / 100.0 + item as f32 * 1e-5;
            product
        };
        let neighbour = |from: u32, to: u32| Neighbour {
            item: (from * 13 + to * 17) % 400,
            weight: (to as f32 - 5.0) / 10.0 + from as f32 * 1e-4,
            co_occurrences: 1,
        };
        let weights: Vec<Vec<Neighbour>> = (0..400)
            .map(|from| {
                let mut neighbours: Vec<Neighbour> = (0..12).map(|to| neighbour(from, to)).collect();
                neighbours.sort_unstable_by_key(|neighbour| neighbour.item);
                neighbours.dedup_by_key(|neighbour| neighbour.item);
                neighbours
            })
            .collect();
        let model = ItemModel {
            products: (0..400).map(product).collect(),
            recency_weighted: weights.clone(),
            within_basket: weights,
            ..ItemModel::default()
        };
        let held = [3, 8, 21].map(|item| HeldItem { item, first_bought: NOW - 10, last_bought: NOW - 10 });
        let query = RankingQuery::new(NOW, held.to_vec(), vec![5, 9], Vec::new());
        let associations = score_associations(&model, &query);
        let is_candidate = |item: u32| !item.is_multiple_of(5);
        let by_popularity = current_by_popularity(&model, NOW);
        let pool = candidate_pool(&model, &associations, &by_popularity, NOW, is_candidate, 10);
        assert!(pool.len() < 100, "a small part: {}", pool.len());
        for popularity in [0.01, 0.3, 3.0] {
            let blend = Blend { popularity, basket: 0.5, ..Blend::CUSTOMERS };
            let score = |item: u32| blend.score_of(&model, associations.of(item), item);
            let all = current_items(&model, NOW).filter(|&item| is_candidate(item));
            assert_eq!(top_scored(pool.iter().copied(), score, 10), top_scored(all, score, 10), "{blend:?}");
        }
    }
}
