//! Ranking of complements for one customer or basket.

use std::collections::HashSet;

use crate::domain::cached_ranking::{CACHED_RANKING_LEN_MAX, CacheKey, CachedRanking, RankedProduct};
use crate::domain::candidate::{Candidate, GOES_WITH_MAX, Proposal, SUPPORT_MIN, Support};
use crate::domain::evidence::{CountBasis, Evidence};
use crate::domain::time::Timestamp;

use super::catalog_binding::{CatalogBinding, RECENT_POPULARITY, propensity_basis, seconds};
use super::cold_start::BestSeller;
use super::held_product::HeldProduct;
use super::learned_product::{LearnedProduct, RECENT_DAYS};
use super::offer_queries::CrossSellQuery;
use super::probability_calibration::soft_positive;
use super::ranking::association_scores::{SparseScores, score_associations};
use super::ranking::decay::{LONG_HALF_LIFE_DAYS, decay_weight};
use super::ranking::ranker::{RERANKED_MAX, Ranker, current_items, retrieve, top_scored};
use super::ranking::ranking_query::RankingQuery;
use super::ridge::Neighbour;

/// Score that a typical price adds to a product without purchases: it only decides which of them come first.
const TYPICAL_PRICE_SCORE: f32 = 1e-6;
/// Minimum factor on the propensity of a product without purchases.
const TYPICALITY_MIN: f64 = 0.05;
/// Score that a hint of the catalogue adds, so that a product without any purchase can be proposed.
const HINT_SCORE: f32 = 0.05;
/// Propensity of a product of which nothing is known.
const UNKNOWN_PROPENSITY: f64 = 0.002;

/// Complements for one customer or basket, best first.
pub struct Complements<'a> {
    binding: &'a CatalogBinding,
    query: ResolvedQuery,
    /// The likeliest products, best first.
    ranked: Vec<RankedProduct>,
    /// Time of the cached ranking that this one was read from; `None` when it was ranked for this query.
    ranked_at: Option<Timestamp>,
}

impl<'a> Complements<'a> {
    /// Ranks products for a query. Products that the customer has are among them: whether they may be offered again is not
    /// decided here.
    pub fn rank(binding: &'a CatalogBinding, query: &CrossSellQuery) -> Self {
        let query = ResolvedQuery::new(binding, query);
        let (ranked, _) = rank(binding, &query);
        Self { binding, query, ranked, ranked_at: None }
    }

    /// The same with the first products from a cached ranking by this model and catalogue. Only when these do not suffice is
    /// the rest ranked, and follows them.
    pub fn from_cache(binding: &'a CatalogBinding, query: &CrossSellQuery, cached: CachedRanking) -> Self {
        let CachedRanking { cache_key: _, ranked_at, mut ranked } = cached;
        ranked.retain(|ranked| (ranked.catalog_index as usize) < binding.catalog.products().len());
        Self { binding, query: ResolvedQuery::new(binding, query), ranked, ranked_at: Some(ranked_at) }
    }

    /// The likeliest products, to be cached for the next queries about the same customer.
    pub fn cached_ranking(&self, key: CacheKey, now: Timestamp) -> CachedRanking {
        CachedRanking {
            cache_key: key,
            ranked_at: now,
            ranked: self.ranked.iter().copied().take(CACHED_RANKING_LEN_MAX).collect(),
        }
    }

    /// All other products, best first: reranked ones that are not among the likeliest, then the rest by score. It is ranked
    /// only when a caller iterates that far, which few do. None of them is likelier than the last of those before.
    fn rest(&self) -> Vec<RankedProduct> {
        let (reranked, scores) = rank(self.binding, &self.query);
        let by_score = rank_by_score(self.binding, &self.query, &scores, usize::MAX, |_| true);
        // A ranked product that is not on sale was replaced by a variant.
        let indices = self.ranked.iter().flat_map(|&ranked| [ranked, self.on_sale(ranked)]);
        let mut seen: HashSet<u32> = indices.map(|ranked| ranked.catalog_index).collect();
        let mut ceiling = self.ranked.last().map_or(1.0, |last| last.propensity);
        let mut rest = Vec::with_capacity(scores.0.len());
        for part in [reranked, by_score] {
            let mut part: Vec<RankedProduct> =
                part.into_iter().filter(|ranked| seen.insert(ranked.catalog_index)).collect();
            let highest = part.first().map_or(1.0, |first| first.propensity);
            let scale = (ceiling / highest).min(1.0);
            for ranked in &mut part {
                ranked.propensity = (ranked.propensity * scale).clamp(f32::MIN_POSITIVE, ceiling);
            }
            ceiling = part.last().map_or(ceiling, |last| last.propensity);
            rest.extend(part);
        }
        rest
    }

    /// The ranked product, or the variant of it that is on sale.
    fn on_sale(&self, ranked: RankedProduct) -> RankedProduct {
        RankedProduct { catalog_index: self.binding.variant_on_sale(ranked.catalog_index, self.query.now), ..ranked }
    }

    fn candidate(&self, RankedProduct { catalog_index, propensity }: RankedProduct) -> Candidate {
        let index = catalog_index as usize;
        let learned = self.binding.learned_at(index);
        Candidate {
            product: self.binding.catalog.products()[index].id.clone(),
            propensity: f64::from(propensity),
            propensity_basis: propensity_basis(learned),
            acceptance_lift: 1.0,
            need: 1.0,
            keep_probability: learned.map_or(1.0, LearnedProduct::keep_probability),
            upgrade: None,
        }
    }

    /// Products of the query that contribute most to the score of a product, of those that more than a few customers or baskets
    /// support.
    fn contributions(&self, product: usize) -> Vec<Contribution> {
        let contribution = |&(source, weight): &(usize, f32)| {
            let neighbour = self.neighbour(source, product);
            let is_hinted = self.binding.has_hint(source, product);
            let hint = if is_hinted { HINT_SCORE } else { 0.0 };
            let score = weight * (neighbour.map_or(0.0, |neighbour| neighbour.weight) + hint);
            let is_supported = is_hinted || neighbour.is_some_and(|found| self.is_evidence(source, product, found));
            (score > 0.0 && source != product && is_supported).then_some(Contribution { score, source, neighbour })
        };
        let mut contributions: Vec<Contribution> = self.query.sources.iter().filter_map(contribution).collect();
        contributions.sort_by(|a, b| b.score.total_cmp(&a.score).then(a.source.cmp(&b.source)));
        contributions.truncate(GOES_WITH_MAX);
        contributions
    }

    /// True when enough customers or baskets have both products, and no fewer than by chance.
    fn is_evidence(&self, from: usize, to: usize, neighbour: Neighbour) -> bool {
        let Some((from, to)) = self.binding.learned_at(from).zip(self.binding.learned_at(to)) else { return false };
        let model = &self.binding.model.item_model;
        let (from, to, all) = if self.query.items.is_basket {
            (from.baskets, to.baskets, model.baskets)
        } else {
            (from.customers, to.customers, model.customers)
        };
        let together = neighbour.co_occurrences;
        together >= SUPPORT_MIN && u64::from(together) * u64::from(all) >= u64::from(from) * u64::from(to)
    }

    /// Learned weight of one product on another, both by index in the catalogue.
    fn neighbour(&self, from: usize, to: usize) -> Option<Neighbour> {
        let model = &self.binding.model.item_model;
        let weights = if self.query.items.is_basket { &model.within_basket } else { &model.recency_weighted };
        let item_of = |index: usize| self.binding.item_of_product[index];
        let neighbours = item_of(from).and_then(|item| weights.get(item as usize)).map_or(&[][..], Vec::as_slice);
        let to = item_of(to)?;
        let found = neighbours.binary_search_by_key(&to, |neighbour| neighbour.item).ok()?;
        Some(neighbours[found])
    }
}

/// Contribution of a product of the query to the score of a candidate.
struct Contribution {
    score: f32,
    /// Index in the catalogue.
    source: usize,
    neighbour: Option<Neighbour>,
}

impl Proposal for Complements<'_> {
    fn candidates(&self) -> impl Iterator<Item = Candidate> {
        let rest = std::iter::once_with(|| self.rest()).flatten();
        let ranked = self.ranked.iter().map(|&ranked| self.on_sale(ranked));
        ranked.chain(rest).map(|ranked| self.candidate(ranked))
    }

    fn ranked_at(&self) -> Option<Timestamp> {
        self.ranked_at
    }

    fn support(&self, candidate: &Candidate) -> Support {
        let Some(product) = self.binding.catalog.index_of(&candidate.product) else { return Support::default() };
        let contributions = self.contributions(product);
        let id_of = |index: usize| self.binding.catalog.products()[index].id.clone();
        let mut evidence: Vec<Evidence> = contributions
            .iter()
            .filter_map(|&Contribution { source, neighbour, .. }| {
                let (together, with) = (neighbour?.co_occurrences, self.binding.learned_at(source)?);
                let (with_total, counted) = if self.query.items.is_basket {
                    (with.baskets, CountBasis::Baskets)
                } else {
                    (with.customers, CountBasis::Customers)
                };
                let is_evidence = self.is_evidence(source, product, neighbour?);
                is_evidence.then(|| Evidence::BoughtTogether { with: id_of(source), together, with_total, counted })
            })
            .collect();
        let hinted = contributions.iter().find(|contribution| self.binding.has_hint(contribution.source, product));
        evidence.extend(hinted.map(|hinted| Evidence::Compatible { with: id_of(hinted.source) }));
        let recent_buyers = self.binding.learned_at(product).map_or(0, |learned| learned.recent_buyers);
        if recent_buyers >= SUPPORT_MIN {
            evidence.push(Evidence::Popular { buyers: recent_buyers, days: RECENT_DAYS });
        }
        let best_seller = self.binding.cold_start.best_seller_of_category(product);
        let best_seller = best_seller.filter(|best_seller| best_seller.buyers >= SUPPORT_MIN);
        evidence.extend(best_seller.map(|BestSeller { product, buyers }| Evidence::NewInCategory {
            like: id_of(product),
            buyers,
            days: RECENT_DAYS,
        }));
        let goes_with = contributions.iter().map(|contribution| id_of(contribution.source)).collect();
        Support { goes_with, evidence }
    }
}

/// Query in items of the model and indices of the catalogue.
struct ResolvedQuery {
    items: RankingQuery,
    now: Timestamp,
    /// The basket, by index in the catalogue.
    context: HashSet<usize>,
    /// Products that candidates are said to go with, by index in the catalogue, with their weight.
    sources: Vec<(usize, f32)>,
}

impl ResolvedQuery {
    fn new(binding: &CatalogBinding, query: &CrossSellQuery) -> Self {
        let catalog = &binding.catalog;
        let context: Vec<usize> = query.context.iter().filter_map(|product| catalog.index_of(product)).collect();
        let basket = context.iter().filter_map(|&index| binding.item_of_product[index]).collect();
        let mut items = binding.ranking_query(&query.customer, basket, query.now);
        // A basket without any learned product is a basket all the same.
        if !query.context.is_empty() && !items.is_basket {
            items.is_basket = true;
            items.basket.clear();
        }
        let held = |held: &HeldProduct| {
            let age = seconds(query.now) - seconds(held.last_at);
            Some((catalog.index_of(&held.product)?, decay_weight(age, LONG_HALF_LIFE_DAYS)))
        };
        let sources = if items.is_basket {
            context.iter().map(|&index| (index, 1.0)).collect()
        } else {
            query.customer.holdings.iter().filter_map(held).collect()
        };
        Self { items, now: query.now, context: context.into_iter().collect(), sources }
    }

    /// True when nothing is known of the customer, and there is no basket.
    fn is_anonymous(&self) -> bool {
        self.sources.is_empty() && self.items.profile.is_empty()
    }

    /// True when the model has learned anything of the query that a forest can use.
    fn has_features(&self) -> bool {
        !self.items.held.is_empty() || !self.items.basket.is_empty() || !self.items.profile.is_empty()
    }

    fn ranker<'a>(&self, binding: &'a CatalogBinding) -> &'a Ranker {
        if self.items.is_basket { &binding.model.basket_ranker } else { &binding.model.customer_ranker }
    }

    fn owns(&self, item: u32) -> bool {
        self.items.held.binary_search_by_key(&item, |held| held.item).is_ok()
    }

    fn score(&self, binding: &CatalogBinding, associations: &SparseScores, item: Option<u32>) -> f32 {
        let Some(item) = item else { return 0.0 };
        if self.is_anonymous() {
            return binding.model.products()[item as usize].popularity[RECENT_POPULARITY];
        }
        self.ranker(binding).blend.score_of(&binding.model.item_model, associations.of(item), item)
    }

    fn propensity(&self, binding: &CatalogBinding, score: f32) -> f64 {
        let score = f64::from(score);
        let ranker = self.ranker(binding);
        let probability = if self.is_anonymous() || (self.items.is_basket && ranker.forest.is_none()) {
            soft_positive(score) + UNKNOWN_PROPENSITY
        } else {
            ranker.calibration.probability(score)
        };
        probability.clamp(f64::MIN_POSITIVE, 1.0)
    }
}

/// Retrieval score of each product of the catalogue, by index.
struct CatalogScores(Vec<f32>);

impl CatalogScores {
    fn of(&self, index: u32) -> f32 {
        self.0[index as usize]
    }
}

/// The likeliest products, at most [`RERANKED_MAX`] and the cold-start items beside them, with the scores of all.
fn rank(binding: &CatalogBinding, query: &ResolvedQuery) -> (Vec<RankedProduct>, CatalogScores) {
    let associations = score_associations(&binding.model.item_model, &query.items);
    let score = |item: &Option<u32>| query.score(binding, &associations, *item);
    let mut scores: Vec<f32> = binding.item_of_product.iter().map(score).collect();
    for &(source, weight) in &query.sources {
        for &hinted in binding.hints.get(&source).into_iter().flatten() {
            scores[hinted] += HINT_SCORE * weight;
        }
    }
    for (index, score) in scores.iter_mut().enumerate().filter(|(index, _)| binding.item_of_product[*index].is_none()) {
        *score += TYPICAL_PRICE_SCORE * binding.typicality(index) as f32;
    }
    let scores = CatalogScores(scores);
    let ranked = if query.ranker(binding).forest.is_some() && query.has_features() {
        rerank(binding, query, &associations, &scores)
    } else {
        // The other variants of an item group follow in the rest.
        rank_by_score(binding, query, &scores, RERANKED_MAX, |index| binding.is_ranked(index))
    };
    let is_candidate = |index: u32| !query.context.contains(&(index as usize)) && binding.is_ranked(index);
    (binding.cold_start.merge_into(ranked, query.now, is_candidate), scores)
}

/// Reranks the products with the highest scores by the forest.
fn rerank(
    binding: &CatalogBinding,
    query: &ResolvedQuery,
    associations: &SparseScores,
    scores: &CatalogScores,
) -> Vec<RankedProduct> {
    let CatalogBinding { model, catalog, product_of_item, content, .. } = binding;
    let ranker = query.ranker(binding);
    let score_of = |item: u32| product_of_item[item as usize].map_or(0.0, |index| scores.of(index));
    let basket = if query.items.is_basket { query.items.basket.as_slice() } else { &[] };
    let is_candidate = |&item: &u32| {
        !basket.contains(&item)
            && product_of_item[item as usize]
                .is_some_and(|index| !query.owns(item) || catalog.products()[index as usize].repeatable)
    };
    let items = current_items(&model.item_model, query.items.now).filter(is_candidate);
    let candidates = retrieve(items, score_of);
    let raw_scores = ranker.raw_scores(&model.item_model, content, &query.items, associations, &candidates);
    let index_of = |item: u32| product_of_item[item as usize].expect("only items of the catalogue are candidates");
    let calibrated = |(&(item, _), raw_score): (&(u32, f32), f64)| {
        ranked_product(index_of(item), ranker.calibration.probability(raw_score))
    };
    let mut ranked: Vec<RankedProduct> = candidates.iter().zip(raw_scores).map(calibrated).collect();
    ranked.sort_by(|a, b| b.propensity.total_cmp(&a.propensity));
    ranked
}

/// The `count` products with the highest scores, best first.
fn rank_by_score(
    binding: &CatalogBinding,
    query: &ResolvedQuery,
    scores: &CatalogScores,
    count: usize,
    is_candidate: impl Fn(u32) -> bool,
) -> Vec<RankedProduct> {
    let products =
        (0..scores.0.len() as u32).filter(|&index| !query.context.contains(&(index as usize)) && is_candidate(index));
    let best = top_scored(products, |index| scores.of(index), count);
    let propensity = |index: u32, score: f32| {
        let typicality = match binding.item_of_product[index as usize] {
            Some(_) => 1.0,
            None => binding.typicality(index as usize).max(TYPICALITY_MIN),
        };
        query.propensity(binding, score) * typicality
    };
    let ranked = best.into_iter().map(|(index, score)| ranked_product(index, propensity(index, score)));
    let mut ranked: Vec<RankedProduct> = ranked.collect();
    // Stable: products of equal propensity stay in the order of their scores.
    ranked.sort_by(|a, b| b.propensity.total_cmp(&a.propensity));
    ranked
}

fn ranked_product(catalog_index: u32, propensity: f64) -> RankedProduct {
    RankedProduct { catalog_index, propensity: (propensity as f32).clamp(f32::MIN_POSITIVE, 1.0) }
}
