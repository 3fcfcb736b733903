//! Add-on task: predicts the holding that was hidden, from the other holdings and the profile.
//!
//! The data has no time, so it is evaluated by cross-validation: the model that ranks for a customer was trained without the
//! customers of the same fold.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use super::baselines::purchase_matrix::PurchaseMatrix;
use super::baselines::{ease, item_cosine, popularity, random};
use super::data_set::{self, DataSetError};
use super::description::DataSetDescription;
use super::method_rankings::MethodRankings;
use super::queries::EvaluationQuery;
use super::ranking_metric::RankingMetric;
use super::ranking_report::{RankingReport, TACTFUL, TaskQueries};
use super::task::TaskKind;
use crate::domain::candidate::Proposal;
use crate::domain::catalog::Catalog;
use crate::domain::event::{Event, EventKind};
use crate::domain::ids::{CustomerId, EventId, ProductId};
use crate::domain::product::Product;
use crate::domain::time::{DAY, Timestamp};
use crate::ingest::row_outcome::CustomerProfile;
use crate::model::bound_model::BoundModel;
use crate::model::held_product::HeldProduct;
use crate::model::history::TrainingHistory;
use crate::model::offer_queries::{CrossSellQuery, CustomerContext};
use crate::model::train::train;
use crate::model::training_settings::TrainingSettings;

/// Holdings and profile of a customer.
struct AddOnCustomer {
    holdings: Vec<ProductId>,
    profile: BTreeMap<String, String>,
}

/// Time of all queries; every holding started a day before.
fn now() -> Timestamp {
    Timestamp::from_unix_ms(1_000_000_000_000).expect("in range")
}

/// Runs the add-on task.
pub(super) fn rank_add_ons(
    description: &DataSetDescription,
    task_queries: TaskQueries<'_>,
    settings: &TrainingSettings,
) -> Result<RankingReport, DataSetError> {
    let TaskQueries { name, task, queries } = task_queries;
    let TaskKind::AddOn { product_attributes, held_value, excluded_attributes } = &task.kind else {
        return Err(DataSetError::InsufficientData("not an add-on task".to_owned()));
    };
    let files = description.customers.as_ref();
    let files = files.ok_or_else(|| DataSetError::InsufficientData("the task needs customers".to_owned()))?;
    let mut subscribers = BTreeMap::new();
    for profile in data_set::customers(files, Timestamp::MIN)? {
        let (id, subscriber) = subscriber(profile, product_attributes, held_value, excluded_attributes)?;
        subscribers.insert(id, subscriber);
    }
    let mut fold_of: HashMap<&CustomerId, u32> = HashMap::new();
    for (customer, fold) in queries.iter().filter_map(|query| Some((query.customer.as_ref()?, query.fold))) {
        if fold_of.insert(customer, fold).is_some_and(|other| other != fold) {
            // The model of one fold would have been trained on the answer to a query of the other.
            let problem = format!("customer {customer} is in two folds");
            return Err(DataSetError::Queries { file: task.queries.display().to_string(), problem });
        }
    }
    let catalog = catalog(&subscribers);
    let mut methods: BTreeMap<&'static str, Vec<Vec<ProductId>>> = BTreeMap::new();
    let mut lists = |method, number: usize, ranked| {
        methods.entry(method).or_insert_with(|| vec![Vec::new(); queries.len()])[number] = ranked;
    };
    let mut notes = Vec::new();
    for fold in queries.iter().map(|query| query.fold).collect::<BTreeSet<u32>>() {
        let mut history = TrainingHistory::new();
        for (id, subscriber) in subscribers.iter().filter(|(id, _)| fold_of.get(id) != Some(&fold)) {
            subscriber.holdings.iter().for_each(|product| history.push(&subscription_start(id, product)));
            history.set_profile(id, subscriber.profile.clone());
        }
        let trained = train(&history, &catalog, now(), settings, &|_| {});
        let (model, report) = trained.map_err(|error| {
            let reason = format!("tasks.addon: without the customers of fold {fold}: {error}");
            DataSetError::InsufficientData(format!("{reason}; is `held_value` right, and are there other folds?"))
        })?;
        let model = BoundModel::new(model.into(), Arc::clone(&catalog));
        let purchases = PurchaseMatrix::new(&history, &catalog, now());
        let rows = purchases.by_customer();
        let cosine = item_cosine::fit(purchases.products(), &rows);
        let ease = ease::fit(purchases.products(), &rows, ease::BASKET_LAMBDA, settings.threads);
        let popular = popularity::all_time(&purchases);
        for (number, query) in queries.iter().enumerate().filter(|(_, query)| query.fold == fold) {
            lists(TACTFUL, number, by_tactful(&model, query, &subscribers));
            let given: Vec<usize> = query.given.iter().filter_map(|id| catalog.index_of(id)).collect();
            lists("random", number, by_scores(&catalog, query, &random::scores(query, purchases.products())));
            lists("popularity", number, by_scores(&catalog, query, &popular));
            lists("item_cosine", number, by_scores(&catalog, query, &cosine.scores(&given)));
            if let Some(ease) = &ease {
                lists("ease", number, by_scores(&catalog, query, &ease.scores(&given)));
            }
        }
        notes = report.notes;
    }
    let mut methods: Vec<MethodRankings> =
        methods.into_iter().map(|(method, lists)| MethodRankings { method, lists }).collect();
    methods.sort_by_key(|ranked| ranked.method != TACTFUL);
    let metrics = RankingMetric::of_task(&task.kind);
    let candidates = catalog.products().len();
    Ok(RankingReport { task: name, metrics, methods, candidates, has_coverage: false, notes, queries })
}

fn subscriber(
    profile: CustomerProfile,
    product_attributes: &[String],
    held_value: &str,
    excluded_attributes: &[String],
) -> Result<(CustomerId, AddOnCustomer), DataSetError> {
    let CustomerProfile { id, mut attributes, consents: _ } = profile;
    let mut holdings = Vec::new();
    for name in product_attributes {
        let missing =
            || DataSetError::InsufficientData(format!("customer {id} has no `{name}`, which all [customers] need"));
        if attributes.remove(name).ok_or_else(missing)? == held_value {
            let invalid = |error| DataSetError::InsufficientData(format!("the product `{name}` {error}"));
            holdings.push(ProductId::new(name.clone()).map_err(invalid)?);
        }
    }
    attributes.retain(|name, _| !excluded_attributes.contains(name));
    Ok((id, AddOnCustomer { holdings, profile: attributes }))
}

fn catalog(subscribers: &BTreeMap<CustomerId, AddOnCustomer>) -> Arc<Catalog> {
    let held: BTreeSet<&ProductId> = subscribers.values().flat_map(|subscriber| &subscriber.holdings).collect();
    Arc::new(Catalog::new(held.into_iter().map(|id| Product::new(id.clone(), id.as_str())).collect()))
}

fn subscription_start(customer: &CustomerId, product: &ProductId) -> Event {
    Event {
        id: EventId::new(product.as_str()).expect("a product id is a valid event id"),
        customer: Some(customer.clone()),
        at: now() - DAY,
        kind: EventKind::SubscriptionStart { product: product.clone() },
    }
}

fn by_tactful(
    model: &BoundModel,
    query: &EvaluationQuery,
    subscribers: &BTreeMap<CustomerId, AddOnCustomer>,
) -> Vec<ProductId> {
    let subscriber = query.customer.as_ref().and_then(|id| subscribers.get(id));
    let held = |product: &ProductId| HeldProduct {
        product: product.clone(),
        first_at: now() - DAY,
        last_at: now(),
        usage: Vec::new(),
    };
    let customer = CustomerContext {
        holdings: query.given.iter().map(held).collect(),
        profile: subscriber.map(|subscriber| subscriber.profile.clone()).unwrap_or_default(),
        ..CustomerContext::default()
    };
    let cross_sell = CrossSellQuery { customer, context: Vec::new(), now: now() };
    let complements = model.cross_sell(&cross_sell);
    let candidates = complements.candidates().map(|candidate| candidate.product);
    candidates.filter(|product| query.candidates.contains(product)).collect()
}

fn by_scores(catalog: &Catalog, query: &EvaluationQuery, scores: &[f32]) -> Vec<ProductId> {
    let score = |product: &ProductId| catalog.index_of(product).map_or(f32::MIN, |place| scores[place]);
    let mut ranked = query.candidates.clone();
    ranked.sort_by(|a, b| score(b).total_cmp(&score(a)).then(a.cmp(b)));
    ranked
}
