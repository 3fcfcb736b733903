//! Ranking tasks: the server's training and ranking beside baselines, on the same queries.
//!
//! Caps, relationship health and eligibility do not apply: evaluated is the order in which the model would offer products.
//! Products that a customer bought before are excluded for every method alike, because only first purchases count.

use std::collections::{BTreeMap, HashMap, HashSet};

use rayon::prelude::*;

use super::add_on_evaluation::rank_add_ons;
use super::baselines::purchase_matrix::PurchaseMatrix;
use super::baselines::{ease, item_cosine, popularity, random, upgrade_rules};
use super::data_set::DataSetError;
use super::description::DataSetDescription;
use super::method_rankings::{MethodRankings, RANKING_LEN_MAX};
use super::queries::{EvaluationQuery, ranking_queries};
use super::ranking_metric::RankingMetric;
use super::ranking_report::{RankingReport, TACTFUL, TaskQueries};
use super::shop_at_cutoff::{SalesFiles, ShopAtCutoff};
use super::task::{RankedItems, RankingTask, TaskKind};
use crate::decision::apply_event::apply_event;
use crate::domain::candidate::Proposal;
use crate::domain::catalog::Catalog;
use crate::domain::customer::Customer;
use crate::domain::ids::{CustomerId, ProductId};
use crate::domain::outlook::Outlook;
use crate::domain::policy::Policy;
use crate::domain::time::Timestamp;
use crate::model::bound_model::BoundModel;
use crate::model::held_product::held_products;
use crate::model::history::TrainingHistory;
use crate::model::offer_queries::{CrossSellQuery, CustomerContext, UpSellQuery};
use crate::model::train::{TrainingStage, train};
use crate::model::training_settings::TrainingSettings;

/// Runs the selected ranking tasks of a description and reports each step to `progress`.
pub fn evaluate_ranking(
    description: &DataSetDescription,
    is_selected: &dyn Fn(&str) -> bool,
    settings: &TrainingSettings,
    progress: &(dyn Fn(String) + Sync),
) -> Result<Vec<RankingReport>, DataSetError> {
    let mut selected = Vec::new();
    for (name, task) in &description.ranking {
        if is_selected(name) {
            selected.push(TaskQueries { name, task, queries: ranking_queries(&task.queries, &task.kind)? });
        }
    }
    let mut reports = BTreeMap::new();
    let is_add_on = |it: &TaskQueries<'_>| matches!(it.task.kind, TaskKind::AddOn { .. });
    let (add_ons, mut of_shops): (Vec<TaskQueries<'_>>, Vec<TaskQueries<'_>>) =
        selected.into_iter().partition(is_add_on);
    for task in add_ons {
        progress(task.name.to_owned());
        reports.insert(task.name, rank_add_ons(description, task, settings)?);
    }
    if !of_shops.is_empty() {
        progress("reading files".to_owned());
        let files = SalesFiles::read(description)?;
        for items in [RankedItems::Products, RankedItems::Categories] {
            let (these, others): (Vec<TaskQueries<'_>>, Vec<TaskQueries<'_>>) =
                of_shops.into_iter().partition(|it| it.task.items == items);
            of_shops = others;
            if these.is_empty() {
                continue;
            }
            let hidden = these.iter().flat_map(|task| &task.queries).filter_map(|query| query.basket.clone());
            let shop = files.at_cutoff(items, &hidden.collect())?;
            let evaluator = RankingEvaluator::train(&shop, settings, progress)?;
            for task in these {
                progress(task.name.to_owned());
                reports.insert(task.name, evaluator.evaluate(task)?);
            }
        }
    }
    let in_order = description.ranking.iter().filter_map(|(name, _)| reports.remove(name));
    Ok(in_order.collect())
}

/// Trained model and baselines of a shop.
struct RankingEvaluator<'a> {
    shop: &'a ShopAtCutoff,
    purchases: PurchaseMatrix,
    model: BoundModel,
    customers: HashMap<CustomerId, Customer>,
    notes: Vec<String>,
    threads: usize,
}

impl<'a> RankingEvaluator<'a> {
    fn train(
        shop: &'a ShopAtCutoff,
        settings: &TrainingSettings,
        progress: &(dyn Fn(String) + Sync),
    ) -> Result<Self, DataSetError> {
        let mut history = TrainingHistory::new();
        let mut customers: HashMap<CustomerId, Customer> = HashMap::new();
        let (policy, outlook) = (Policy::default(), Outlook::default());
        progress("building the history".to_owned());
        for event in &shop.events {
            history.push(event);
            if let Some(id) = &event.customer {
                let customer = customers.entry(id.clone()).or_insert_with(|| Customer::unknown(id.clone()));
                apply_event(customer, event, &policy, &outlook, &shop.catalog);
            }
        }
        let log = |stage: TrainingStage| progress(format!("training: {}", stage.as_str()));
        let trained = train(&history, &shop.catalog, shop.now, settings, &log);
        let (model, report) = trained.map_err(|error| DataSetError::InsufficientData(error.to_string()))?;
        let model = BoundModel::new(model.into(), shop.catalog.clone());
        let purchases = PurchaseMatrix::new(&history, &shop.catalog, shop.now);
        Ok(Self { shop, purchases, model, customers, notes: report.notes, threads: settings.threads })
    }

    fn evaluate(&self, task_queries: TaskQueries<'_>) -> Result<RankingReport, DataSetError> {
        let TaskQueries { name, task, queries } = task_queries;
        let rankable: Vec<bool> =
            self.shop.catalog.products().iter().map(|it| self.is_rankable(&it.id, task)).collect();
        if !rankable.contains(&true) {
            let latest = self.shop.last_sold.values().max().copied().unwrap_or(Timestamp::MIN);
            let problem = format!(
                "nothing was sold within that many days before {}, the last sale was at {latest}",
                self.shop.now
            );
            return Err(DataSetError::InsufficientData(format!("tasks.{name}.sold_within_days: {problem}")));
        }
        let candidates: Vec<CandidateSet> = queries.par_iter().map(|query| self.candidates(query, &rankable)).collect();
        let rank = |query: &EvaluationQuery, candidates: &CandidateSet| match task.kind {
            TaskKind::Upgrade => self.rank_upgrades(query),
            TaskKind::NextPurchase | TaskKind::BasketCompletion | TaskKind::AddOn { .. } => {
                self.rank_complements(query, candidates)
            }
        };
        let lists = queries.par_iter().zip(&candidates).map(|(query, candidates)| rank(query, candidates)).collect();
        let mut methods = vec![MethodRankings { method: TACTFUL, lists }];
        for (method, scorer) in self.baselines(&task.kind) {
            let lists = queries.par_iter().zip(&candidates).map(|(query, candidates)| {
                let scores = scorer(query);
                candidates.rank(&self.shop.catalog, |index| scores.get(index).copied().unwrap_or(0.0))
            });
            methods.push(MethodRankings { method, lists: lists.collect() });
        }
        Ok(RankingReport {
            task: name,
            metrics: RankingMetric::of_task(&task.kind),
            methods,
            candidates: rankable.iter().filter(|is| **is).count(),
            has_coverage: !matches!(task.kind, TaskKind::Upgrade),
            notes: self.notes.clone(),
            queries,
        })
    }

    fn is_rankable(&self, product: &ProductId, task: &RankingTask) -> bool {
        let sold = self.shop.last_sold.get(product);
        let days = task.sold_within_days.map_or(f64::INFINITY, f64::from);
        sold.is_some_and(|&at| self.shop.now.days_since(at) <= days)
    }

    /// Selects the candidates of a query: those it names, or the recently sold products that are new to the customer.
    fn candidates(&self, query: &EvaluationQuery, rankable: &[bool]) -> CandidateSet {
        let catalog = &self.shop.catalog;
        if !query.candidates.is_empty() {
            return CandidateSet { indices: query.candidates.iter().filter_map(|id| catalog.index_of(id)).collect() };
        }
        let bought = query.customer.as_ref().and_then(|customer| self.shop.bought.get(customer));
        let given: HashSet<&ProductId> = query.given.iter().collect();
        let is_new = |id: &ProductId| bought.is_none_or(|bought| !bought.contains(id)) && !given.contains(id);
        let products = catalog.products().iter().enumerate();
        let allowed = products.filter(|(index, product)| rankable[*index] && is_new(&product.id));
        CandidateSet { indices: allowed.map(|(index, _)| index).collect() }
    }

    /// Collects what the server would know of the customer.
    fn known_customer(&self, query: &EvaluationQuery) -> CustomerContext {
        let customer = query.customer.as_ref().and_then(|customer| self.customers.get(customer));
        customer.map_or_else(CustomerContext::default, |customer| CustomerContext {
            holdings: held_products(&customer.holdings, self.shop.now),
            forgotten: customer.holdings.evicted_fingerprints(),
            profile: customer.attributes.clone(),
        })
    }

    fn rank_upgrades(&self, query: &EvaluationQuery) -> Vec<ProductId> {
        let customer = self.known_customer(query);
        let up_sell = UpSellQuery { customer, owned: Vec::new(), low_usage_share: 0.0, now: self.shop.now };
        let owned = query.anchor.as_ref();
        owned.map_or_else(Vec::new, |owned| self.model.rank_alternatives(&up_sell, owned, &query.candidates))
    }

    fn rank_complements(&self, query: &EvaluationQuery, candidate_set: &CandidateSet) -> Vec<ProductId> {
        let cross_sell =
            CrossSellQuery { customer: self.known_customer(query), context: query.given.clone(), now: self.shop.now };
        let allowed: HashSet<&ProductId> =
            candidate_set.indices.iter().map(|&index| &self.shop.catalog.products()[index].id).collect();
        let complements = self.model.cross_sell(&cross_sell);
        let candidates = complements.candidates().map(|candidate| candidate.product);
        candidates.filter(|product| allowed.contains(product)).take(RANKING_LEN_MAX).collect()
    }

    fn baselines(&self, kind: &TaskKind) -> Vec<(&'static str, Scorer<'_>)> {
        let purchases = &self.purchases;
        let constant = |scores: Vec<f32>| -> Scorer<'_> { Box::new(move |_| scores.clone()) };
        let mut baselines: Vec<(&'static str, Scorer<'_>)> = vec![
            ("random", Box::new(|query| random::scores(query, purchases.products()))),
            ("popularity", constant(popularity::all_time(purchases))),
            ("popularity_recent", constant(popularity::recent(purchases))),
        ];
        let rows = match kind {
            TaskKind::NextPurchase | TaskKind::AddOn { .. } => purchases.by_customer(),
            TaskKind::BasketCompletion => purchases.by_basket(),
            TaskKind::Upgrade => {
                let anchor =
                    |query: &EvaluationQuery| query.anchor.as_ref().and_then(|id| self.shop.catalog.index_of(id));
                let catalog = &self.shop.catalog;
                baselines.push((
                    "smallest_step",
                    Box::new(move |query| upgrade_rules::smallest_step(anchor(query), catalog)),
                ));
                let buyers = upgrade_rules::CoBuyers::new(purchases);
                baselines.push(("co_buyers", Box::new(move |query| buyers.shared_with(anchor(query)))));
                return baselines;
            }
        };
        let given = |query: &EvaluationQuery| -> Vec<usize> {
            let bought = query.customer.as_ref().and_then(|customer| self.shop.bought.get(customer));
            let places = |ids: &mut dyn Iterator<Item = &ProductId>| {
                ids.filter_map(|id| self.shop.catalog.index_of(id)).collect()
            };
            if query.given.is_empty() {
                places(&mut bought.into_iter().flatten())
            } else {
                places(&mut query.given.iter())
            }
        };
        let cosine = item_cosine::fit(purchases.products(), &rows);
        baselines.push(("item_cosine", Box::new(move |query| cosine.scores(&given(query)))));
        let lambda = if *kind == TaskKind::BasketCompletion { ease::BASKET_LAMBDA } else { ease::CUSTOMER_LAMBDA };
        if let Some(ease) = ease::fit(purchases.products(), &rows, lambda, self.threads) {
            baselines.push(("ease", Box::new(move |query| ease.scores(&given(query)))));
        }
        baselines
    }
}

/// Baseline that scores all products of the catalogue for a query, by catalogue index.
type Scorer<'a> = Box<dyn Fn(&EvaluationQuery) -> Vec<f32> + Sync + 'a>;

/// Catalogue indices of the products that may be ranked for a query.
struct CandidateSet {
    indices: Vec<usize>,
}

impl CandidateSet {
    /// Ranks by descending score; ties keep the order of the catalogue.
    fn rank(&self, catalog: &Catalog, score: impl Fn(usize) -> f32) -> Vec<ProductId> {
        let mut ranked: Vec<(f32, usize)> = self.indices.iter().map(|&index| (score(index), index)).collect();
        let best_first = |a: &(f32, usize), b: &(f32, usize)| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1));
        if ranked.len() > RANKING_LEN_MAX {
            ranked.select_nth_unstable_by(RANKING_LEN_MAX, best_first);
            ranked.truncate(RANKING_LEN_MAX);
        }
        ranked.sort_unstable_by(best_first);
        ranked.into_iter().map(|(_, index)| catalog.products()[index].id.clone()).collect()
    }
}
