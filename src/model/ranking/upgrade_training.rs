//! Training of the upgrade ranker on the alternatives that customers chose.

use std::collections::HashMap;

use rayon::prelude::*;

use crate::domain::catalog::Catalog;

use super::super::history::Purchase;
use super::super::training_log::{Metric, TrainingLog};
use super::super::training_settings::TrainingSettings;
use super::alternative_groups::{AlternativeGroups, Transitions};
use super::calibration_fit::fit_calibration;
use super::decay::DAY;
use super::fitted_fold::FittedFold;
use super::forest::Forest;
use super::ranker::{Blend, is_current};
use super::ranking_query::{RankingQuery, held_before};
use super::sampling::is_sampled;
use super::temporal_folds::WINDOW_DAYS;
use super::training_examples::TrainingExamples;
use super::upgrade_features::{UPGRADE_FEATURES, UpgradeContext, UpgradeFeatureExtractor};
use super::upgrade_ranker::UpgradeRanker;

/// An alternative whose price differs by a larger factor is another kind of product.
const PRICE_RATIO_MAX: f32 = 3.0;
/// Minimum number of choice sets with a choice to learn from.
const CHOICES_MIN: usize = 50;
/// Maximum number of customers of one fold.
const CUSTOMERS_MAX: usize = 2500;
/// Number of negative examples for each positive one.
const NEGATIVES_PER_POSITIVE: usize = 10;
/// Maximum number of choice sets of one fold that make examples.
const CHOICE_SETS_MAX: usize = 10_000;
/// Maximum number of alternatives to one item.
const ALTERNATIVES_MAX: usize = 300;
/// Half-life of the popularity that serves as baseline: the second shortest.
const RECENT: usize = 1;

/// Alternatives to one item that a customer owned, and those that the customer bought in the window.
struct ChoiceSet {
    owned: u32,
    alternatives: Vec<u32>,
    /// Whether each alternative was bought.
    chosen: Vec<bool>,
}

impl ChoiceSet {
    fn has_choice(&self) -> bool {
        self.chosen.contains(&true)
    }
}

/// Choice sets of one customer.
struct CustomerChoices {
    query: RankingQuery,
    choice_sets: Vec<ChoiceSet>,
}

/// Choice sets of the customers of a fold, and what was learned as of its cutoff.
pub struct UpgradeFold<'a> {
    fitted: &'a FittedFold<'a>,
    catalog: &'a Catalog,
    blend: Blend,
    transitions: Transitions,
    customers: Vec<CustomerChoices>,
}

impl<'a> UpgradeFold<'a> {
    /// Collects the choice sets of a fold. `blend` retrieves complements for customers.
    pub fn of(fitted: &'a FittedFold<'a>, groups: &AlternativeGroups, catalog: &'a Catalog, blend: Blend) -> Self {
        let (history, cutoff) = (&*fitted.fold.history, fitted.fold.cutoff);
        let customers: Vec<&[Purchase]> =
            history.by_customer().filter(|bought| bought.iter().any(|purchase| purchase.second < cutoff)).collect();
        let stride = customers.len().div_ceil(CUSTOMERS_MAX).max(1);
        let customers: Vec<&[Purchase]> = customers.into_iter().step_by(stride).collect();
        let customers = customers.into_par_iter().map(|bought| customer_choices(fitted, groups, bought)).collect();
        Self { fitted, catalog, blend, transitions: groups.count_transitions(history, cutoff), customers }
    }

    fn context(&self) -> UpgradeContext<'_> {
        let FittedFold { model, content, .. } = self.fitted;
        UpgradeContext { model, content, transitions: &self.transitions, catalog: self.catalog, blend: self.blend }
    }

    fn choice_sets_with_choice(&self) -> impl Iterator<Item = &ChoiceSet> {
        self.customers.iter().flat_map(|customer| &customer.choice_sets).filter(|set| set.has_choice())
    }

    /// Examples from choice sets with a choice: all positives and a sample of the negatives of each set, so that the forest
    /// learns which alternative is chosen and not how many there are.
    pub fn examples(&self) -> TrainingExamples {
        let stride = self.choice_sets_with_choice().count().div_ceil(CHOICE_SETS_MAX).max(1);
        let customers = self.customers.iter().step_by(stride);
        let customers: Vec<&CustomerChoices> =
            customers.filter(|customer| customer.choice_sets.iter().any(ChoiceSet::has_choice)).collect();
        let examples = customers.par_iter().enumerate().map(|(number, customer)| {
            let mut examples = TrainingExamples::new(UPGRADE_FEATURES);
            let extractor = UpgradeFeatureExtractor::new(self.context(), &customer.query);
            for set in customer.choice_sets.iter().filter(|set| set.has_choice()) {
                let rows = extractor.features(set.owned, &set.alternatives);
                let positives = set.chosen.iter().filter(|chosen| **chosen).count();
                let negatives = (set.chosen.len() - positives).max(1);
                let share = (NEGATIVES_PER_POSITIVE * positives) as f64 / negatives as f64;
                for ((row, &chosen), &item) in rows.iter().zip(&set.chosen).zip(&set.alternatives) {
                    if chosen || is_sampled(number, item, share) {
                        examples.push(row, chosen, 1.0);
                    }
                }
            }
            examples
        });
        let examples: Vec<TrainingExamples> = examples.collect();
        TrainingExamples::concat(UPGRADE_FEATURES, &examples)
    }
}

/// Choice sets from the item that the customer bought most in each group to those of the group that the customer never
/// bought.
fn customer_choices(fitted: &FittedFold<'_>, groups: &AlternativeGroups, bought: &[Purchase]) -> CustomerChoices {
    let cutoff = fitted.fold.cutoff;
    let window = cutoff..cutoff + WINDOW_DAYS * DAY;
    let held = held_before(bought, cutoff);
    let log_price = |item: u32| fitted.content.log_price[item as usize];
    let is_alternative = |owned: u32, item: u32| {
        let step = log_price(owned).zip(log_price(item)).map_or(0.0, |(from, to)| to - from);
        held.binary_search_by_key(&item, |held| held.item).is_err()
            && is_current(&fitted.model, cutoff, item)
            && step.abs() <= PRICE_RATIO_MAX.ln()
    };
    let is_chosen =
        |item: &u32| bought.iter().any(|purchase| purchase.item == *item && window.contains(&purchase.second));
    let mut choice_sets: Vec<ChoiceSet> = Vec::new();
    for (group, owned) in most_bought_of_groups(groups, bought, cutoff) {
        let items = groups.items_of(group).iter().copied();
        let alternatives: Vec<u32> = items.filter(|&item| is_alternative(owned, item)).take(ALTERNATIVES_MAX).collect();
        let chosen = alternatives.iter().map(is_chosen).collect();
        if alternatives.len() > 1 {
            choice_sets.push(ChoiceSet { owned, alternatives, chosen });
        }
    }
    choice_sets.sort_unstable_by_key(|set| set.owned);
    let profile = fitted.fold.history.profiles[bought[0].customer as usize].clone();
    CustomerChoices { query: RankingQuery::new(cutoff, held, Vec::new(), profile), choice_sets }
}

/// Groups of which a customer bought anything before `cutoff`, each with the item bought most.
fn most_bought_of_groups(
    groups: &AlternativeGroups,
    bought: &[Purchase],
    cutoff: i64,
) -> impl Iterator<Item = (u32, u32)> + use<> {
    let mut most_bought: HashMap<u32, (usize, i64, u32)> = HashMap::new();
    for purchases in bought.chunk_by(|a, b| a.item == b.item) {
        let before = &purchases[..purchases.partition_point(|purchase| purchase.second < cutoff)];
        let Some(last) = before.last() else { continue };
        for &group in groups.groups_of(last.item) {
            let this = (before.len(), last.second, last.item);
            let most = most_bought.entry(group).or_insert(this);
            *most = (*most).max(this);
        }
    }
    most_bought.into_iter().map(|(group, (_, _, owned))| (group, owned))
}

/// Trains on the older folds, evaluates on the latest, and trains again on all. `examples` are of all folds, the latest
/// first.
pub fn train_upgrade_ranker(
    latest: &UpgradeFold<'_>,
    examples: &[&TrainingExamples],
    settings: &TrainingSettings,
    log: &mut TrainingLog,
) -> UpgradeRanker {
    let choices = latest.choice_sets_with_choice().count();
    if choices < CHOICES_MIN {
        log.notes.push("upgrades: too few observed to learn from; ranked by transition rates".to_owned());
        return UpgradeRanker::UNTRAINED;
    }
    let older = TrainingExamples::concat(UPGRADE_FEATURES, &examples[1..]);
    let Some(forest) = Forest::grow(&older, settings.threads) else { return UpgradeRanker::UNTRAINED };
    let context = latest.context();
    let by_popularity = mean_reciprocal_rank(latest, |set, _| {
        set.alternatives.iter().map(|&item| context.model.products[item as usize].popularity[RECENT]).collect()
    });
    let by_forest = mean_reciprocal_rank(latest, |set, query| {
        forest.logits(&UpgradeFeatureExtractor::new(context, query).features(set.owned, &set.alternatives))
    });
    log.notes.push(format!(
        "upgrades: mean reciprocal rank {by_forest:.4} by a forest trained on {} examples of {} earlier windows, \
         {by_popularity:.4} by popularity ({choices} choices)",
        older.len(),
        examples.len() - 1,
    ));
    for (method, value) in [("tactful", by_forest), ("popularity", by_popularity)] {
        log.metrics.push(Metric { name: "upsell_mrr", method, value, queries: choices });
    }
    if by_forest <= by_popularity {
        return UpgradeRanker::UNTRAINED;
    }
    let calibration = fit_calibration("upgrades", &odds(latest, context, &forest), log);
    let all = TrainingExamples::concat(UPGRADE_FEATURES, examples);
    UpgradeRanker { forest: Forest::grow(&all, settings.threads), calibration }
}

/// Mean reciprocal rank of the best chosen alternative, over all choice sets with a choice.
fn mean_reciprocal_rank(fold: &UpgradeFold<'_>, score: impl Fn(&ChoiceSet, &RankingQuery) -> Vec<f32> + Sync) -> f64 {
    let customers = fold.customers.par_iter();
    let sets = customers.flat_map_iter(|customer| customer.choice_sets.iter().map(move |set| (set, &customer.query)));
    let ranks: Vec<f64> = sets
        .filter(|(set, _)| set.has_choice())
        .map(|(set, query)| {
            let scores = score(set, query);
            let chosen = scores.iter().zip(&set.chosen).filter(|(_, chosen)| **chosen);
            let best = chosen.map(|(score, _)| *score).fold(f32::MIN, f32::max);
            1.0 / scores.iter().filter(|score| **score >= best).count().max(1) as f64
        })
        .collect();
    ranks.iter().sum::<f64>() / ranks.len().max(1) as f64
}

/// Odds of all alternatives with whether they were chosen, customer by customer.
fn odds(fold: &UpgradeFold<'_>, context: UpgradeContext<'_>, forest: &Forest) -> Vec<Vec<(f64, bool)>> {
    let observed = fold.customers.par_iter().map(|customer| {
        let extractor = UpgradeFeatureExtractor::new(context, &customer.query);
        let mut observed = Vec::new();
        for set in &customer.choice_sets {
            let logits = forest.logits(&extractor.features(set.owned, &set.alternatives));
            let odds = logits.into_iter().map(|logit| f64::from(logit).exp());
            observed.extend(odds.zip(set.chosen.iter().copied()));
        }
        observed
    });
    observed.collect()
}
