//! The ranking tasks: the server's training, the server's ranking, and baselines, on the same queries.
//!
//! Caps, relationship health and eligibility stay out of the way: what is judged is the order in which the model would
//! offer things. What a customer ever bought is no answer to what the customer buys next, and is left out for every
//! method alike.

use std::collections::{BTreeMap, HashMap, HashSet};

use rayon::prelude::*;

use super::add_ons::rank_add_ons;
use super::baselines::sales::Sales;
use super::baselines::{ease, item_cosine, popularity, random, upgrade_rules};
use super::data_set::DataSetError;
use super::description::Description;
use super::queries::{Query, ranking_queries};
use super::ranked::{Figure, KEPT_MAX, Ranked};
use super::shop::{SalesFiles, Shop};
use super::task::{Items, Question, RankingTask};
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
use crate::model::train::train;
use crate::model::training_settings::TrainingSettings;

/// What a ranking task told.
#[derive(Debug, Clone)]
pub struct RankingReport {
    /// The task's name in the output.
    pub task: &'static str,
    /// What was asked, in the order of the file.
    pub queries: Vec<Query>,
    /// What is looked at, the first being the one that decides.
    pub figures: Vec<Figure>,
    /// tactful first, then the baselines.
    pub methods: Vec<Ranked>,
    /// How many products could be ranked.
    pub rankable: usize,
    /// Whether it makes sense to ask how much of the catalogue is ever shown.
    pub tells_coverage: bool,
    /// What the training chose and noticed.
    pub notes: Vec<String>,
}

/// Carries out the ranking tasks of a description that are wanted. `progress` is told what is being done.
///
/// # Errors
/// When files cannot be read, or do not hold enough to learn from.
pub fn evaluate_ranking(
    description: &Description,
    is_wanted: &dyn Fn(&str) -> bool,
    settings: &TrainingSettings,
    progress: &(dyn Fn(String) + Sync),
) -> Result<Vec<RankingReport>, DataSetError> {
    let mut asked = Vec::new();
    for (name, task) in &description.ranking {
        if is_wanted(name) {
            asked.push(Asked { name, task, queries: ranking_queries(&task.queries, &task.question)? });
        }
    }
    let mut reports = BTreeMap::new();
    let is_add_on = |asked: &Asked<'_>| matches!(asked.task.question, Question::AddOn { .. });
    let (add_ons, mut of_shops): (Vec<Asked<'_>>, Vec<Asked<'_>>) = asked.into_iter().partition(is_add_on);
    for asked in add_ons {
        progress(asked.name.to_owned());
        reports.insert(asked.name, rank_add_ons(description, asked, settings)?);
    }
    if !of_shops.is_empty() {
        progress("reading files".to_owned());
        let files = SalesFiles::read(description)?;
        for items in [Items::Products, Items::Categories] {
            let (these, others): (Vec<Asked<'_>>, Vec<Asked<'_>>) =
                of_shops.into_iter().partition(|asked| asked.task.items == items);
            of_shops = others;
            if these.is_empty() {
                continue;
            }
            let hidden = these.iter().flat_map(|asked| &asked.queries).filter_map(|query| query.basket.clone());
            let shop = files.shop(items, &hidden.collect())?;
            let judge = Judge::learn(&shop, settings, progress)?;
            for asked in these {
                progress(asked.name.to_owned());
                reports.insert(asked.name, judge.report(asked)?);
            }
        }
    }
    let in_order = description.ranking.iter().filter_map(|(name, _)| reports.remove(name));
    Ok(in_order.collect())
}

/// A task with its queries.
pub(super) struct Asked<'a> {
    pub(super) name: &'static str,
    pub(super) task: &'a RankingTask,
    pub(super) queries: Vec<Query>,
}

/// The figures of a question.
pub(super) fn figures(question: &Question) -> Vec<Figure> {
    match question {
        Question::NextPurchase => vec![Figure::NdcgAt10, Figure::RecallAt10, Figure::HitAt(10)],
        Question::HiddenProduct => vec![Figure::NdcgAt10, Figure::HitAt(10)],
        Question::Upgrade => vec![Figure::ReciprocalRank, Figure::HitAt(3)],
        Question::AddOn { .. } => vec![Figure::ReciprocalRank, Figure::HitAt(1), Figure::HitAt(3)],
    }
}

/// The names of tactful and the baselines in the output.
pub(super) const TACTFUL: &str = "tactful";

/// What was learned from a shop, and by whom.
struct Judge<'a> {
    shop: &'a Shop,
    sales: Sales,
    model: BoundModel,
    customers: HashMap<CustomerId, Customer>,
    notes: Vec<String>,
    threads: usize,
}

impl<'a> Judge<'a> {
    fn learn(
        shop: &'a Shop,
        settings: &TrainingSettings,
        progress: &(dyn Fn(String) + Sync),
    ) -> Result<Self, DataSetError> {
        let mut history = TrainingHistory::new();
        let mut customers: HashMap<CustomerId, Customer> = HashMap::new();
        let (policy, outlook) = (Policy::default(), Outlook::default());
        progress("reading the history".to_owned());
        for event in &shop.events {
            history.push(event);
            if let Some(id) = &event.customer {
                let customer = customers.entry(id.clone()).or_insert_with(|| Customer::unknown(id.clone()));
                apply_event(customer, event, &policy, &outlook);
            }
        }
        let log = |stage| progress(format!("training: {stage:?}"));
        let trained = train(&history, &shop.catalog, shop.now, settings, &log);
        let (model, report) = trained.map_err(|error| DataSetError::NotEnough(error.to_string()))?;
        let model = BoundModel::new(model.into(), shop.catalog.clone());
        let sales = Sales::new(&history, &shop.catalog, shop.now);
        Ok(Self { shop, sales, model, customers, notes: report.notes, threads: settings.threads })
    }

    fn report(&self, asked: Asked<'_>) -> Result<RankingReport, DataSetError> {
        let Asked { name, task, queries } = asked;
        let rankable: Vec<bool> =
            self.shop.catalog.products().iter().map(|it| self.is_rankable(&it.id, task)).collect();
        if !rankable.contains(&true) {
            let latest = self.shop.last_sold.values().max().copied().unwrap_or(Timestamp::MIN);
            let problem = format!("nothing was sold in the days before {}, the last sale was {latest}", self.shop.now);
            return Err(DataSetError::NotEnough(format!("tasks.{name}.sold_within_days: {problem}")));
        }
        let allowed: Vec<Allowed> = queries.par_iter().map(|query| self.allowed(query, &rankable)).collect();
        let ask = |query: &Query, allowed: &Allowed| match task.question {
            Question::Upgrade => self.steps(query),
            Question::NextPurchase | Question::HiddenProduct | Question::AddOn { .. } => {
                self.complements(query, allowed)
            }
        };
        let lists = queries.par_iter().zip(&allowed).map(|(query, allowed)| ask(query, allowed)).collect();
        let mut methods = vec![Ranked { method: TACTFUL, lists }];
        for (method, scorer) in self.baselines(&task.question) {
            let lists = queries.par_iter().zip(&allowed).map(|(query, allowed)| {
                let scores = scorer(query);
                allowed.ranked(&self.shop.catalog, |place| scores.get(place).copied().unwrap_or(0.0))
            });
            methods.push(Ranked { method, lists: lists.collect() });
        }
        Ok(RankingReport {
            task: name,
            figures: figures(&task.question),
            methods,
            rankable: rankable.iter().filter(|is| **is).count(),
            tells_coverage: !matches!(task.question, Question::Upgrade),
            notes: self.notes.clone(),
            queries,
        })
    }

    fn is_rankable(&self, product: &ProductId, task: &RankingTask) -> bool {
        let sold = self.shop.last_sold.get(product);
        let days = task.sold_within_days.map_or(f64::INFINITY, f64::from);
        sold.is_some_and(|&at| self.shop.now.days_since(at) <= days)
    }

    /// What may be ranked for a query: the candidates it names, or what was sold lately and is new to the customer.
    fn allowed(&self, query: &Query, rankable: &[bool]) -> Allowed {
        let catalog = &self.shop.catalog;
        if !query.candidates.is_empty() {
            return Allowed { places: query.candidates.iter().filter_map(|id| catalog.index_of(id)).collect() };
        }
        let bought = query.customer.as_ref().and_then(|customer| self.shop.bought.get(customer));
        let given: HashSet<&ProductId> = query.given.iter().collect();
        let is_new = |id: &ProductId| bought.is_none_or(|bought| !bought.contains(id)) && !given.contains(id);
        let places = catalog.products().iter().enumerate();
        let allowed = places.filter(|(place, product)| rankable[*place] && is_new(&product.id));
        Allowed { places: allowed.map(|(place, _)| place).collect() }
    }

    /// What the server knows of the customer.
    fn known(&self, query: &Query) -> CustomerContext {
        let customer = query.customer.as_ref().and_then(|customer| self.customers.get(customer));
        customer.map_or_else(CustomerContext::default, |customer| CustomerContext {
            holdings: held_products(&customer.holdings, self.shop.now),
            forgotten: customer.holdings.fingerprints.clone(),
            profile: customer.attributes.clone(),
        })
    }

    fn steps(&self, query: &Query) -> Vec<ProductId> {
        let asked = UpSellQuery { customer: self.known(query), owned: Vec::new(), now: self.shop.now };
        let owned = query.anchor.as_ref();
        owned.map_or_else(Vec::new, |owned| self.model.rank_alternatives(&asked, owned, &query.candidates))
    }

    fn complements(&self, query: &Query, allowed: &Allowed) -> Vec<ProductId> {
        let asked = CrossSellQuery { customer: self.known(query), context: query.given.clone(), now: self.shop.now };
        let allowed: HashSet<&ProductId> =
            allowed.places.iter().map(|&place| &self.shop.catalog.products()[place].id).collect();
        let complements = self.model.cross_sell(&asked);
        let candidates = complements.candidates().map(|candidate| candidate.product);
        candidates.filter(|product| allowed.contains(product)).take(KEPT_MAX).collect()
    }

    fn baselines(&self, question: &Question) -> Vec<(&'static str, Scorer<'_>)> {
        let sales = &self.sales;
        let everywhere = |scores: Vec<f32>| -> Scorer<'_> { Box::new(move |_| scores.clone()) };
        let mut baselines: Vec<(&'static str, Scorer<'_>)> = vec![
            ("random", Box::new(|query| random::scores(query, sales.products()))),
            ("popularity", everywhere(popularity::ever(sales))),
            ("popularity_recent", everywhere(popularity::recent(sales))),
        ];
        let rows = match question {
            Question::NextPurchase | Question::AddOn { .. } => sales.by_customer(),
            Question::HiddenProduct => sales.by_basket(),
            Question::Upgrade => {
                let anchor = |query: &Query| query.anchor.as_ref().and_then(|id| self.shop.catalog.index_of(id));
                let catalog = &self.shop.catalog;
                baselines.push((
                    "smallest_step",
                    Box::new(move |query| upgrade_rules::smallest_step(anchor(query), catalog)),
                ));
                let buyers = upgrade_rules::Buyers::of(sales);
                baselines.push(("co_buyers", Box::new(move |query| buyers.of_both(anchor(query)))));
                return baselines;
            }
        };
        let given = |query: &Query| -> Vec<usize> {
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
        let cosine = item_cosine::fit(sales.products(), &rows);
        baselines.push(("item_cosine", Box::new(move |query| cosine.scores(&given(query)))));
        let lambda = if *question == Question::HiddenProduct { ease::BASKET_LAMBDA } else { ease::CUSTOMER_LAMBDA };
        if let Some(ease) = ease::fit(sales.products(), &rows, lambda, self.threads) {
            baselines.push(("ease", Box::new(move |query| ease.scores(&given(query)))));
        }
        baselines
    }
}

/// The scores of all products of the catalogue, by place, for one query.
type Scorer<'a> = Box<dyn Fn(&Query) -> Vec<f32> + Sync + 'a>;

/// The places of the catalogue that may be ranked for one query.
struct Allowed {
    places: Vec<usize>,
}

impl Allowed {
    /// By falling score, ties in the order of the catalogue.
    fn ranked(&self, catalog: &Catalog, score: impl Fn(usize) -> f32) -> Vec<ProductId> {
        let mut ranked: Vec<(f32, usize)> = self.places.iter().map(|&place| (score(place), place)).collect();
        let best_first = |a: &(f32, usize), b: &(f32, usize)| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1));
        if ranked.len() > KEPT_MAX {
            ranked.select_nth_unstable_by(KEPT_MAX, best_first);
            ranked.truncate(KEPT_MAX);
        }
        ranked.sort_unstable_by(best_first);
        ranked.into_iter().map(|(_, place)| catalog.products()[place].id.clone()).collect()
    }
}
