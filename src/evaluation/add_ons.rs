//! The add-on task: which of the things that a customer holds was hidden, by the other holdings and the profile.
//!
//! There is no time in it, so each customer is told by a model that never saw the customers of the same fold.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use super::baselines::sales::Sales;
use super::baselines::{ease, item_cosine, popularity, random};
use super::data_set::{self, DataSetError};
use super::description::Description;
use super::queries::Query;
use super::ranked::Ranked;
use super::ranking::{Asked, RankingReport, TACTFUL, figures};
use super::task::Question;
use crate::domain::candidate::Proposal;
use crate::domain::catalog::Catalog;
use crate::domain::event::{Event, EventKind};
use crate::domain::ids::{CustomerId, EventId, ProductId};
use crate::domain::product::Product;
use crate::domain::time::{DAY, Timestamp};
use crate::ingest::row::CustomerProfile;
use crate::model::bound_model::BoundModel;
use crate::model::held_product::HeldProduct;
use crate::model::history::TrainingHistory;
use crate::model::offer_queries::{CrossSellQuery, CustomerContext};
use crate::model::train::train;
use crate::model::training_settings::TrainingSettings;

/// What a customer has, and who it is.
struct Subscriber {
    holds: Vec<ProductId>,
    profile: BTreeMap<String, String>,
}

/// When everybody is asked; everything was begun a day before.
fn now() -> Timestamp {
    Timestamp::from_unix_ms(1_000_000_000_000).expect("in range")
}

/// Carries out the task.
pub(super) fn rank_add_ons(
    description: &Description,
    asked: Asked<'_>,
    settings: &TrainingSettings,
) -> Result<RankingReport, DataSetError> {
    let Asked { name, task, queries } = asked;
    let Question::AddOn { products, held, left_out } = &task.question else {
        return Err(DataSetError::NotEnough("not an add-on task".to_owned()));
    };
    let files = description.customers.as_ref();
    let files = files.ok_or_else(|| DataSetError::NotEnough("the task needs customers".to_owned()))?;
    let mut subscribers = BTreeMap::new();
    for profile in data_set::customers(files, Timestamp::MIN)? {
        let (id, subscriber) = subscriber(profile, products, held, left_out)?;
        subscribers.insert(id, subscriber);
    }
    let mut fold_of: HashMap<&CustomerId, u32> = HashMap::new();
    for (customer, fold) in queries.iter().filter_map(|query| Some((query.customer.as_ref()?, query.fold))) {
        if fold_of.insert(customer, fold).is_some_and(|other| other != fold) {
            // The model of one fold would have seen what the other asks about.
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
            subscriber.holds.iter().for_each(|product| history.push(&begun(id, product)));
            history.set_profile(id, subscriber.profile.clone());
        }
        let trained = train(&history, &catalog, now(), settings, &|_| {});
        let (model, report) = trained.map_err(|error| {
            let reason = format!("tasks.addon: without the customers of fold {fold} {error}");
            DataSetError::NotEnough(format!("{reason}; is `held` right, and is anybody in another fold?"))
        })?;
        let model = BoundModel::new(model.into(), Arc::clone(&catalog));
        let sales = Sales::new(&history, &catalog, now());
        let rows = sales.by_customer();
        let cosine = item_cosine::fit(sales.products(), &rows);
        let ease = ease::fit(sales.products(), &rows, ease::BASKET_LAMBDA, settings.threads);
        let popular = popularity::ever(&sales);
        for (number, query) in queries.iter().enumerate().filter(|(_, query)| query.fold == fold) {
            lists(TACTFUL, number, by_tactful(&model, query, &subscribers));
            let given: Vec<usize> = query.given.iter().filter_map(|id| catalog.index_of(id)).collect();
            lists("random", number, by_scores(&catalog, query, &random::scores(query, sales.products())));
            lists("popularity", number, by_scores(&catalog, query, &popular));
            lists("item_cosine", number, by_scores(&catalog, query, &cosine.scores(&given)));
            if let Some(ease) = &ease {
                lists("ease", number, by_scores(&catalog, query, &ease.scores(&given)));
            }
        }
        notes = report.notes;
    }
    let mut methods: Vec<Ranked> = methods.into_iter().map(|(method, lists)| Ranked { method, lists }).collect();
    methods.sort_by_key(|ranked| ranked.method != TACTFUL);
    let figures = figures(&task.question);
    let rankable = catalog.products().len();
    Ok(RankingReport { task: name, figures, methods, rankable, tells_coverage: false, notes, queries })
}

fn subscriber(
    profile: CustomerProfile,
    products: &[String],
    held: &str,
    left_out: &[String],
) -> Result<(CustomerId, Subscriber), DataSetError> {
    let CustomerProfile { id, mut attributes } = profile;
    let mut holds = Vec::new();
    for name in products {
        let missing = || DataSetError::NotEnough(format!("customer {id} has no `{name}`, which all [customers] need"));
        if attributes.remove(name).ok_or_else(missing)? == held {
            let invalid = |error| DataSetError::NotEnough(format!("the product `{name}` {error}"));
            holds.push(ProductId::new(name.clone()).map_err(invalid)?);
        }
    }
    attributes.retain(|name, _| !left_out.contains(name));
    Ok((id, Subscriber { holds, profile: attributes }))
}

fn catalog(subscribers: &BTreeMap<CustomerId, Subscriber>) -> Arc<Catalog> {
    let held: BTreeSet<&ProductId> = subscribers.values().flat_map(|subscriber| &subscriber.holds).collect();
    Arc::new(Catalog::new(held.into_iter().map(|id| Product::new(id.clone(), id.as_str())).collect()))
}

fn begun(customer: &CustomerId, product: &ProductId) -> Event {
    Event {
        id: EventId::new(product.as_str()).expect("what is a product id is an event id"),
        customer: Some(customer.clone()),
        at: now() - DAY,
        kind: EventKind::SubscriptionStart { product: product.clone() },
    }
}

fn by_tactful(model: &BoundModel, query: &Query, subscribers: &BTreeMap<CustomerId, Subscriber>) -> Vec<ProductId> {
    let subscriber = query.customer.as_ref().and_then(|id| subscribers.get(id));
    let held = |product: &ProductId| HeldProduct {
        product: product.clone(),
        first_at: now() - DAY,
        last_at: now(),
        usage_share: None,
    };
    let customer = CustomerContext {
        holdings: query.given.iter().map(held).collect(),
        profile: subscriber.map(|subscriber| subscriber.profile.clone()).unwrap_or_default(),
        ..CustomerContext::default()
    };
    let asked = CrossSellQuery { customer, context: Vec::new(), now: now() };
    let complements = model.cross_sell(&asked);
    let candidates = complements.candidates().map(|candidate| candidate.product);
    candidates.filter(|product| query.candidates.contains(product)).collect()
}

fn by_scores(catalog: &Catalog, query: &Query, scores: &[f32]) -> Vec<ProductId> {
    let score = |product: &ProductId| catalog.index_of(product).map_or(f32::MIN, |place| scores[place]);
    let mut ranked = query.candidates.clone();
    ranked.sort_by(|a, b| score(b).total_cmp(&score(a)).then(a.cmp(b)));
    ranked
}
