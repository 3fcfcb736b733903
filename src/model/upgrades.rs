//! Ranking of upgrades for one customer.

use std::collections::HashMap;

use crate::domain::candidate::{Candidate, Proposal, Support, Upgrade};
use crate::domain::evidence::Evidence;
use crate::domain::ids::ProductId;
use crate::domain::offer::PropensityBasis;
use crate::domain::product::Product;

use super::catalog_binding::{CatalogBinding, RECENT_POPULARITY, propensity_basis};
use super::enlarged_meters::EnlargedMeters;
use super::learned_product::LearnedProduct;
use super::offer_model::OfferModel;
use super::offer_queries::UpSellQuery;
use super::ranking::forest::Forest;
use super::ranking::ranking_query::RankingQuery;
use super::ranking::upgrade_features::{UpgradeContext, UpgradeFeatureExtractor};
use super::upgrade_paths::{TransitionStatistics, UpgradePath, upgrade_path};

/// Weight of the prior in the rate of a transition, in owners.
const TRANSITION_PRIOR_OWNERS: f64 = 20.0;
/// Prior rate at which owners take the next upgrade.
const TRANSITION_PRIOR_RATE: f64 = 0.05;

/// Upgrades for one customer, best first.
pub struct Upgrades {
    ranked: Vec<(Candidate, Support)>,
}

impl Upgrades {
    /// Ranks upgrades of what the customer has; each product once, replacing the product from which it is likeliest.
    pub fn rank(binding: &CatalogBinding, query: &UpSellQuery) -> Self {
        let items = binding.ranking_query(&query.customer, Vec::new(), query.now);
        let scorer = UpgradeScorer::new(binding, &items);
        let mut best: HashMap<usize, (Candidate, Support)> = HashMap::new();
        for held in &query.owned {
            let Some(owned) = binding.catalog.get(&held.product) else { continue };
            let paths = upgrade_paths(binding, owned);
            let offered: Vec<&ProductId> = paths.iter().map(|(offered, _)| &offered.id).collect();
            let propensities = learned_propensities(binding, scorer.as_ref(), owned, &offered);
            for ((offered, path), learned) in paths.into_iter().zip(propensities) {
                let Some(index) = binding.catalog.index_of(&offered.id) else { continue };
                let propensity = learned.unwrap_or_else(|| transition_rate(binding, owned, offered, path.closeness));
                let is_better = best.get(&index).is_none_or(|known| known.0.propensity < propensity);
                if is_better {
                    let usage = EnlargedMeters::of(&held.usage, owned, offered, &path.gains);
                    let need = usage.need(query.low_usage_share);
                    best.insert(index, candidate(binding, &usage, need, owned, offered, path, propensity));
                }
            }
        }
        let mut ranked: Vec<(Candidate, Support)> = best.into_values().collect();
        ranked.sort_by(|(a, _), (b, _)| b.propensity.total_cmp(&a.propensity).then_with(|| a.product.cmp(&b.product)));
        Self { ranked }
    }
}

impl Proposal for Upgrades {
    fn candidates(&self) -> impl Iterator<Item = Candidate> {
        self.ranked.iter().map(|(candidate, _)| candidate.clone())
    }

    fn support(&self, candidate: &Candidate) -> Support {
        let found = self.ranked.iter().find(|(known, _)| known.product == candidate.product);
        found.map(|(_, support)| support.clone()).unwrap_or_default()
    }
}

/// Ranks given products by the propensity of a transition from `owned`. Whether each is an upgrade is not decided here.
pub fn rank_alternatives(
    binding: &CatalogBinding,
    query: &UpSellQuery,
    owned: &ProductId,
    alternatives: &[ProductId],
) -> Vec<ProductId> {
    let items = binding.ranking_query(&query.customer, Vec::new(), query.now);
    let Some(owned) = binding.catalog.get(owned) else { return alternatives.to_vec() };
    let ids: Vec<&ProductId> = alternatives.iter().collect();
    let scorer = UpgradeScorer::new(binding, &items);
    let learned = learned_propensities(binding, scorer.as_ref(), owned, &ids);
    let rate =
        |id: &ProductId| binding.catalog.get(id).map_or(0.0, |offered| transition_rate(binding, owned, offered, 1.0));
    let mut ranked: Vec<(f64, &ProductId)> =
        learned.into_iter().zip(alternatives).map(|(learned, id)| (learned.unwrap_or_else(|| rate(id)), id)).collect();
    ranked.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(b.1)));
    ranked.into_iter().map(|(_, id)| id.clone()).collect()
}

/// Upgrade forest with the features of one customer.
struct UpgradeScorer<'a> {
    forest: &'a Forest,
    extractor: UpgradeFeatureExtractor<'a>,
}

impl<'a> UpgradeScorer<'a> {
    /// `None` when no upgrade forest was learned.
    fn new(binding: &'a CatalogBinding, query: &'a RankingQuery) -> Option<Self> {
        let CatalogBinding { model, catalog, content, .. } = binding;
        let OfferModel { item_model, transitions, customer_ranker, upgrade_ranker, .. } = &**model;
        let forest = upgrade_ranker.forest.as_ref()?;
        let context = UpgradeContext { model: item_model, content, transitions, catalog, blend: customer_ranker.blend };
        Some(Self { forest, extractor: UpgradeFeatureExtractor::new(context, query) })
    }
}

/// Upgrades of a product, on its ladder, or in its category when it is on none.
fn upgrade_paths<'a>(binding: &'a CatalogBinding, owned: &Product) -> Vec<(&'a Product, UpgradePath)> {
    let CatalogBinding { catalog, .. } = binding;
    let ladder = owned.ladder_position.as_ref().map(|position| &position.ladder);
    let on_ladder = ladder.into_iter().flat_map(|ladder| catalog.on_ladder(ladder));
    let in_category = catalog.in_category(&owned.category).filter(|_| ladder.is_none());
    let others = on_ladder.chain(in_category).filter(|offered| offered.id != owned.id);
    let path = |offered: &'a Product| {
        let are_variants = catalog.are_variants(&owned.id, &offered.id);
        let orders = &catalog.settings().feature_orders;
        let statistics = transition_statistics(binding, owned, offered);
        Some((offered, upgrade_path(owned, offered, are_variants, orders, statistics)?))
    };
    others.filter_map(path).collect()
}

fn transition_statistics(binding: &CatalogBinding, owned: &Product, offered: &Product) -> TransitionStatistics {
    let items = binding.item(&owned.id).zip(binding.item(&offered.id));
    let counts = |from, to| binding.model.transitions.get(&(from, to)).copied().unwrap_or_default();
    let (there, back) = items.map(|(from, to)| (counts(from, to), counts(to, from))).unwrap_or_default();
    TransitionStatistics {
        replaced: there.replaced,
        bought_again: there.in_order.saturating_sub(there.replaced),
        back: back.in_order,
        together: there.together,
        together_by_chance: f64::from(there.together_by_chance),
        recent_buyers: binding.learned(&offered.id).map_or(0, |learned| learned.recent_buyers),
    }
}

/// Learned propensity of each transition; `None` where none was learned. A product that was never bought is as likely as
/// the mean of those scored beside it.
fn learned_propensities(
    binding: &CatalogBinding,
    scorer: Option<&UpgradeScorer<'_>>,
    owned: &Product,
    offered: &[&ProductId],
) -> Vec<Option<f64>> {
    let unlearned = vec![None; offered.len()];
    let Some((scorer, owned)) = scorer.zip(binding.item(&owned.id)) else { return unlearned };
    let items: Vec<u32> = offered.iter().filter_map(|id| binding.item(id)).collect();
    if items.is_empty() {
        return unlearned;
    }
    let logits = scorer.forest.logits(&scorer.extractor.features(owned, &items));
    let odds = logits.into_iter().map(|logit| f64::from(logit).exp());
    let calibration = binding.model.upgrade_ranker.calibration;
    let learned: Vec<f64> = odds.map(|odds| calibration.probability(odds)).collect();
    let mean = learned.iter().sum::<f64>() / learned.len() as f64;
    let mut learned = learned.into_iter();
    let propensity = |id: &&ProductId| if binding.item(id).is_some() { learned.next() } else { Some(mean) };
    offered.iter().map(propensity).collect()
}

/// Rate of a transition by counts and popularity, where none was learned.
fn transition_rate(binding: &CatalogBinding, owned: &Product, offered: &Product, closeness: f64) -> f64 {
    let owners = binding.learned(&owned.id).map_or(0.0, |learned| f64::from(learned.customers));
    let to = binding.learned(&offered.id);
    let popularity = to.map_or(0.0, |learned| f64::from(learned.popularity[RECENT_POPULARITY]));
    let prior = TRANSITION_PRIOR_RATE * closeness * (0.5 + popularity.min(0.5));
    let transitions = f64::from(transition_statistics(binding, owned, offered).replaced);
    let rate = (transitions + TRANSITION_PRIOR_OWNERS * prior) / (owners + TRANSITION_PRIOR_OWNERS);
    rate.clamp(1e-6, 1.0)
}

fn candidate(
    binding: &CatalogBinding,
    usage: &EnlargedMeters,
    need: f64,
    owned: &Product,
    offered: &Product,
    path: UpgradePath,
    propensity: f64,
) -> (Candidate, Support) {
    let mut evidence = path.evidence;
    if let Some(share) = usage.near_allowance() {
        evidence.insert(0, Evidence::UsageNearAllowance { share });
    }
    let learned = binding.learned(&offered.id);
    let is_observed =
        binding.model.upgrade_ranker.forest.is_some() || transition_statistics(binding, owned, offered).replaced > 0;
    let candidate = Candidate {
        product: offered.id.clone(),
        propensity,
        propensity_basis: if is_observed { PropensityBasis::Purchases } else { propensity_basis(learned) },
        acceptance_lift: 1.0,
        need,
        keep_probability: learned.map_or(1.0, LearnedProduct::keep_probability),
        upgrade: Some(Upgrade { replaces: owned.id.clone(), gains: path.gains, allowance_use: usage.allowance_use() }),
    };
    (candidate, Support { goes_with: Vec::new(), evidence })
}
