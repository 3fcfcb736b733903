//! Evaluation of the retention outlook: discrimination and calibration of the predicted returns, and the lift of relationship
//! health by decile.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::Path;
use std::time::Duration;

use sha2::{Digest, Sha256};

use super::baselines::base_rate::base_rate;
use super::baselines::{purchase_rhythm, tenure};
use super::data_set::{self, DataSetError};
use super::description::DataSetDescription;
use super::method_predictions::MethodPredictions;
use super::queries::return_queries;
use super::score_deciles::{Decile, deciles};
use super::task::HealthTask;
use crate::decision::apply_event::apply_event;
use crate::decision::relationship::assess;
use crate::domain::catalog::Catalog;
use crate::domain::customer::Customer;
use crate::domain::event::{Event, EventKind};
use crate::domain::ids::CustomerId;
use crate::domain::outlook::{Outlook, RecencyFrequency, StayingFeature, StayingOutlook, staying_features};
use crate::domain::policy::Policy;
use crate::domain::relationship::RelationshipState;
use crate::domain::time::{DAY, Timestamp};
use crate::ingest::row_outcome::CustomerProfile;
use crate::model::feature_scaling::{CUSTOMERS_MIN, is_thin};
use crate::model::mbg_nbd::REPEATERS_MIN;
use crate::model::outlook::learn_outlook;
use crate::model::outlook_history::{CustomerSnapshot, EngagementWeights, OutlookHistory};
use crate::model::probability_quality::PredictedOutcome;
use crate::model::staying_outlook::{LabelledSubscriber, learn_staying};
use crate::model::window::days_before;

/// Result of the health task.
#[derive(Debug, Clone)]
pub struct HealthReport {
    /// tactful first, then the baselines.
    pub methods: Vec<MethodPredictions>,
    /// Relationship health by decile, with the observed share of returns; empty for a data set without a history.
    pub deciles: Vec<Decile>,
    /// Notes of the training.
    pub notes: Vec<String>,
}

/// Runs the health task of a description; `None` when it has none.
pub fn evaluate_health(
    description: &DataSetDescription,
    policy: &Policy,
) -> Result<Option<HealthReport>, DataSetError> {
    let Some(task) = &description.health else { return Ok(None) };
    let report = match task {
        HealthTask::RepeatPurchase { window_days, queries } => {
            evaluate_repeat_purchase(description, *window_days, queries.as_deref(), policy)
        }
        HealthTask::Retention { window_days, outcome_attribute, retained_value, tenure_months_attribute, folds } => {
            let columns = RetentionColumns { outcome_attribute, retained_value, tenure_months_attribute };
            evaluate_retention(description, *window_days, &columns, *folds)
        }
    };
    report.map(Some)
}

/// Share of the window after the last event beyond which a note is added.
const UNOBSERVED_SHARE_MAX: f64 = 0.1;

fn insufficient_data(what: &str) -> DataSetError {
    DataSetError::InsufficientData(what.to_owned())
}

fn evaluate_repeat_purchase(
    description: &DataSetDescription,
    window_days: f64,
    queries: Option<&Path>,
    policy: &Policy,
) -> Result<HealthReport, DataSetError> {
    let (Some(files), Some(cutoff)) = (&description.events, description.cutoff) else {
        return Err(insufficient_data("a task of kind `repeat_purchase` needs events and a cutoff"));
    };
    let window = DAY.mul_f64(window_days);
    let end = cutoff + window;
    let [_, commitment, usage, visit] = policy.relationship.engagement_weights;
    let mut history = OutlookHistory::new(EngagementWeights { commitment, usage, visit });
    let mut returned: HashSet<CustomerId> = HashSet::new();
    let mut histories: HashMap<CustomerId, Vec<Event>> = HashMap::new();
    let events = data_set::events(files, end)?;
    data_set::check_cutoff(cutoff, &events)?;
    let last = events.iter().map(|event| event.at).max().unwrap_or(cutoff);
    for event in events {
        if event.at < cutoff {
            history.push(&event);
            if let Some(customer) = &event.customer {
                histories.entry(customer.clone()).or_default().push(event);
            }
        } else if event.at < end && matches!(event.kind, EventKind::Purchase(_)) {
            returned.extend(event.customer);
        }
    }
    let learned = learn_outlook(&history, &|_| None, cutoff, window);
    let outlook = learned.outlook.clone();
    let buying = learned.outlook.buying.ok_or_else(|| {
        let needed =
            format!("at least {REPEATERS_MIN} customers with purchases on several days, over 16 days or more,");
        DataSetError::InsufficientData(format!(
            "not enough training data before the cutoff {cutoff}: {needed} are needed"
        ))
    })?;

    let customers: BTreeMap<&CustomerId, CustomerSnapshot<'_>> =
        history.as_of(cutoff, cutoff, usize::MAX).into_iter().map(|customer| (customer.id, customer)).collect();
    let queried: Vec<(CustomerId, bool)> = if let Some(path) = queries {
        return_queries(path)?.into_iter().collect()
    } else {
        let bought = customers.values().filter(|customer| !customer.state.purchase_days.is_empty());
        bought.map(|it| (it.id.clone(), returned.contains(it.id))).collect()
    };
    let all: Vec<CustomerSnapshot<'_>> = customers.values().cloned().collect();
    let rhythm = purchase_rhythm::rhythm_of(&all, cutoff).ok_or_else(|| insufficient_data("too few customers"))?;
    let usual = return_rate_before(&history, cutoff, window);
    let empty = RelationshipState::default();
    let predict_all = |predict: &dyn Fn(&RelationshipState) -> Option<f64>| -> Vec<PredictedOutcome> {
        let state = |customer| customers.get(customer).map_or(&empty, |past| &past.state);
        let predictions = queried.iter().map(|(customer, hit)| (predict(state(customer)).unwrap_or(usual), *hit));
        predictions.map(|(probability, hit)| PredictedOutcome { probability, hit }).collect()
    };
    let recency = |state: &RelationshipState| RecencyFrequency::of(state, cutoff);
    let methods = [
        ("tactful", predict_all(&|state| buying.probability(state, cutoff, window))),
        ("base_rate", predict_all(&|_| None)),
        ("mbg_nbd", predict_all(&|state| Some(purchase_rhythm::buys_within(&rhythm, recency(state)?, window)))),
        ("p_alive", predict_all(&|state| Some(purchase_rhythm::alive(&rhythm, recency(state)?)))),
    ];
    let scored = queried.iter().map(|(customer, hit)| {
        let past_events = histories.get(customer).map_or(&[][..], Vec::as_slice);
        PredictedOutcome {
            probability: relationship_health(customer, past_events, policy, &outlook, cutoff),
            hit: *hit,
        }
    });
    let deciles = deciles(&scored.collect::<Vec<_>>());
    let mut notes = learned.notes;
    if queries.is_none() && end.days_since(last) > window_days * UNOBSERVED_SHARE_MAX {
        notes.push(format!("the files end on {last}: customers who returned later in the window count as lost"));
    }
    Ok(HealthReport { deciles, ..report(methods.into(), notes)? })
}

/// Computes the relationship health of a customer with this history, by the formulas that the server uses.
fn relationship_health(
    customer: &CustomerId,
    events: &[Event],
    policy: &Policy,
    outlook: &Outlook,
    now: Timestamp,
) -> f64 {
    // Changes of plans between subscriptions do not matter to customers who buy again.
    let (mut customer, catalog) = (Customer::unknown(customer.clone()), Catalog::default());
    for event in events {
        // The level of the slow rise is no part of the score, so the learned outlook is not needed on the way.
        apply_event(&mut customer, event, policy, &Outlook::default(), &catalog);
    }
    assess(&customer, policy, outlook, &catalog, now).score
}

fn report(
    methods: Vec<(&'static str, Vec<PredictedOutcome>)>,
    notes: Vec<String>,
) -> Result<HealthReport, DataSetError> {
    let queried: Vec<bool> =
        methods.first().into_iter().flat_map(|(_, predictions)| predictions).map(|prediction| prediction.hit).collect();
    let (count, hits) = (queried.len(), queried.iter().filter(|hit| **hit).count());
    let evaluated: Option<Vec<MethodPredictions>> =
        methods.into_iter().map(|(method, predictions)| MethodPredictions::new(method, predictions)).collect();
    let methods = evaluated.ok_or_else(|| {
        DataSetError::InsufficientData(format!(
            "tasks.health: {hits} of the {count} queried customers returned, and the metrics need both outcomes; do the files \
             extend beyond the cutoff?"
        ))
    })?;
    Ok(HealthReport { methods, deciles: Vec::new(), notes })
}

/// Share of all customers who returned in the window that ends at the cutoff, or in the second half of a history that is
/// shorter than two windows.
fn return_rate_before(history: &OutlookHistory, cutoff: Timestamp, window: Duration) -> f64 {
    let known = history.starts_at().map_or(0.0, |begins| cutoff.days_since(begins));
    let from = days_before(cutoff, (window.as_secs_f64() / DAY.as_secs_f64()).min(known / 2.0));
    base_rate(history.as_of(from, cutoff, usize::MAX).iter().map(|customer| customer.repurchased))
}

/// Attributes that give outcome and tenure, and so are no part of the profile.
struct RetentionColumns<'a> {
    outcome_attribute: &'a str,
    retained_value: &'a str,
    tenure_months_attribute: &'a str,
}

/// Mean length of a month, in days.
const MONTH_DAYS: f64 = 365.25 / 12.0;

fn evaluate_retention(
    description: &DataSetDescription,
    window_days: f64,
    columns: &RetentionColumns<'_>,
    folds: usize,
) -> Result<HealthReport, DataSetError> {
    let files = description
        .customers
        .as_ref()
        .ok_or_else(|| insufficient_data("a task of kind `retention` needs customers"))?;
    let profiles = data_set::customers(files, Timestamp::MIN)?;
    let mut subscribers = Vec::with_capacity(profiles.len());
    for profile in profiles {
        let fold = fold_of(&profile.id, folds);
        subscribers.push((fold, subscriber(profile, columns)?));
    }
    let window = DAY.mul_f64(window_days);
    let predict = |outlook: &StayingOutlook, subscriber: &LabelledSubscriber| PredictedOutcome {
        probability: outlook.probability(&subscriber.features, &subscriber.attributes, window),
        hit: subscriber.retained,
    };
    let (mut by_tactful, mut by_base_rate, mut by_tenure) = (Vec::new(), Vec::new(), Vec::new());
    let mut notes = vec![format!(
        "{folds}-fold cross-validation: each customer is predicted by a model of the other {} folds",
        folds - 1
    )];
    for fold in 0..folds {
        let seen: Vec<LabelledSubscriber> =
            subscribers.iter().filter(|(other, _)| *other != fold).map(|(_, seen)| seen.clone()).collect();
        let too_few = || training_failure(&seen, columns);
        let learned = learn_staying(&seen, window_days).ok_or_else(too_few)?;
        let by_tenure_alone = tenure::learn(&seen, window_days).ok_or_else(too_few)?;
        let usual = base_rate(seen.iter().map(|subscriber| subscriber.retained));
        for (_, queried) in subscribers.iter().filter(|(other, _)| *other == fold) {
            by_tactful.push(predict(&learned, queried));
            by_tenure.push(predict(
                &by_tenure_alone,
                &LabelledSubscriber { attributes: BTreeMap::new(), ..queried.clone() },
            ));
            by_base_rate.push(PredictedOutcome { probability: usual, hit: queried.retained });
        }
        if fold == 0 {
            notes.push(format!("{} attributes of the profile are used as features", learned.attributes.len()));
        }
    }
    report(vec![("tactful", by_tactful), ("base_rate", by_base_rate), ("tenure", by_tenure)], notes)
}

/// Describes a failed training: too few customers of either outcome, else numbers that do not stay finite.
fn training_failure(seen: &[LabelledSubscriber], columns: &RetentionColumns<'_>) -> DataSetError {
    let RetentionColumns { outcome_attribute, retained_value, .. } = columns;
    let (count, retained) = (seen.len(), seen.iter().filter(|subscriber| subscriber.retained).count());
    DataSetError::InsufficientData(if is_thin(retained, count) {
        format!(
            "tasks.health: outside of one fold {retained} of {count} customers stayed, with {retained_value:?} as \
             `{outcome_attribute}`; training needs at least {CUSTOMERS_MIN} customers, and some of either outcome"
        )
    } else {
        "[customers] contains numbers that are too large for training; leave out those beyond 1e100".to_owned()
    })
}

fn subscriber(profile: CustomerProfile, columns: &RetentionColumns<'_>) -> Result<LabelledSubscriber, DataSetError> {
    let CustomerProfile { id, mut attributes, consents: _ } = profile;
    let missing = |name: &str| {
        DataSetError::InsufficientData(format!("customer {id} has no `{name}`, which all [customers] need"))
    };
    let mut take = |name: &str| attributes.remove(name).ok_or_else(|| missing(name));
    let outcome = take(columns.outcome_attribute)?;
    let months = take(columns.tenure_months_attribute)?;
    let months: f64 = months.parse().ok().filter(|months| (0.0..=1200.0).contains(months)).ok_or_else(|| {
        DataSetError::InsufficientData(format!("customer {id}: a tenure must be 0 to 1200 months, not {months:?}"))
    })?;
    let tenure = DAY.mul_f64(months * MONTH_DAYS);
    // Usage is unknown, so it counts as usual.
    let signals = staying_features(&RelationshipState::default(), 1, tenure, Timestamp::MIN);
    debug_assert_eq!(signals.len(), StayingFeature::ALL.len());
    Ok(LabelledSubscriber { features: signals, attributes, retained: outcome == columns.retained_value })
}

/// Assigns a customer to a fold by a hash of the id, so that the fold does not depend on the order of the file.
fn fold_of(customer: &CustomerId, folds: usize) -> usize {
    let digest = Sha256::digest(customer.as_str().as_bytes());
    let head = digest.first_chunk::<8>().expect("a digest has 32 bytes");
    usize::try_from(u64::from_le_bytes(*head) % folds as u64).expect("less than the folds")
}
