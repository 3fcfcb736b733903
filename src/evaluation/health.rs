//! The health task: how well the retention outlook tells who comes back or stays.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::Path;
use std::time::Duration;

use sha2::{Digest, Sha256};

use super::baselines::base_rate::base_rate;
use super::baselines::{purchase_rhythm, tenure};
use super::data_set::{self, DataSetError};
use super::deciles::{Decile, deciles};
use super::description::Description;
use super::judged::Judged;
use super::queries::return_queries;
use super::task::HealthTask;
use crate::decision::apply_event::apply_event;
use crate::decision::relationship::assess;
use crate::domain::customer::Customer;
use crate::domain::event::{Event, EventKind};
use crate::domain::ids::CustomerId;
use crate::domain::outlook::{Outlook, RecencyFrequency, StayingFeature, StayingOutlook, staying_features};
use crate::domain::policy::Policy;
use crate::domain::relationship::RelationshipState;
use crate::domain::time::{DAY, Timestamp};
use crate::ingest::row::CustomerProfile;
use crate::model::feature_scaling::{CUSTOMERS_MIN, is_thin};
use crate::model::mbg_nbd::REPEATERS_MIN;
use crate::model::outlook::learn_outlook;
use crate::model::outlook_history::{CustomerSnapshot, EngagementWeights, OutlookHistory};
use crate::model::probability_quality::PredictedOutcome;
use crate::model::staying_outlook::{LabelledSubscriber, learn_staying};
use crate::model::window::days_before;

/// What the task told.
#[derive(Debug, Clone)]
pub struct HealthReport {
    /// tactful first, then the baselines.
    pub methods: Vec<Judged>,
    /// Relationship health as a whole, beside what came of it; empty where the files tell no history.
    pub deciles: Vec<Decile>,
    /// What was learned from, and how.
    pub notes: Vec<String>,
}

/// Carries out the health task of a description; `None` when it has none.
///
/// # Errors
/// When files cannot be read, or do not hold enough to learn from or to judge.
pub fn evaluate_health(description: &Description, policy: &Policy) -> Result<Option<HealthReport>, DataSetError> {
    let Some(task) = &description.health else { return Ok(None) };
    let judged = match task {
        HealthTask::Returns { window_days, queries } => {
            judge_returns(description, *window_days, queries.as_deref(), policy)
        }
        HealthTask::Stays { window_days, outcome, stayed, tenure_months, folds } => {
            let reading = Reading { outcome, stayed, tenure_months };
            judge_stays(description, *window_days, &reading, *folds)
        }
    };
    judged.map(Some)
}

/// More than this share of a window after the last event is worth a note.
const UNTOLD_SHARE_MAX: f64 = 0.1;

fn not_enough(what: &str) -> DataSetError {
    DataSetError::NotEnough(what.to_owned())
}

fn judge_returns(
    description: &Description,
    window_days: f64,
    queries: Option<&Path>,
    policy: &Policy,
) -> Result<HealthReport, DataSetError> {
    let (Some(files), Some(cutoff)) = (&description.events, description.cutoff) else {
        return Err(not_enough("the question `returns` needs events and a cutoff"));
    };
    let window = DAY.mul_f64(window_days);
    let end = cutoff + window;
    let [_, commitment, usage, visit] = policy.relationship.engagement_weights;
    let mut history = OutlookHistory::new(EngagementWeights { commitment, usage, visit });
    let mut came_back: HashSet<CustomerId> = HashSet::new();
    let mut lives: HashMap<CustomerId, Vec<Event>> = HashMap::new();
    let events = data_set::events(files, end)?;
    data_set::check_cutoff(cutoff, &events)?;
    let last = events.iter().map(|event| event.at).max().unwrap_or(cutoff);
    for event in events {
        if event.at < cutoff {
            history.push(&event);
            if let Some(customer) = &event.customer {
                lives.entry(customer.clone()).or_default().push(event);
            }
        } else if event.at < end && matches!(event.kind, EventKind::Purchase(_)) {
            came_back.extend(event.customer);
        }
    }
    let learned = learn_outlook(&history, &|_| None, cutoff, window);
    let outlook = learned.outlook.clone();
    let buying = learned.outlook.buying.ok_or_else(|| {
        let needed = format!("at least {REPEATERS_MIN} customers who bought on several days, over 16 days and more");
        DataSetError::NotEnough(format!(
            "the history before the cutoff {cutoff} is too thin to learn from: needed are {needed}"
        ))
    })?;

    let customers: BTreeMap<&CustomerId, CustomerSnapshot<'_>> =
        history.as_of(cutoff, cutoff, usize::MAX).into_iter().map(|customer| (customer.id, customer)).collect();
    let asked: Vec<(CustomerId, bool)> = if let Some(path) = queries {
        return_queries(path)?.into_iter().collect()
    } else {
        let bought = customers.values().filter(|customer| !customer.state.purchase_days.is_empty());
        bought.map(|it| (it.id.clone(), came_back.contains(it.id))).collect()
    };
    let all: Vec<CustomerSnapshot<'_>> = customers.values().cloned().collect();
    let rhythm = purchase_rhythm::rhythm_of(&all, cutoff).ok_or_else(|| not_enough("too few customers"))?;
    let usual = rate_a_window_ago(&history, cutoff, window);
    let empty = RelationshipState::default();
    let told_by = |tell: &dyn Fn(&RelationshipState) -> Option<f64>| -> Vec<PredictedOutcome> {
        let state = |customer| customers.get(customer).map_or(&empty, |past| &past.state);
        let told = asked.iter().map(|(customer, hit)| (tell(state(customer)).unwrap_or(usual), *hit));
        told.map(|(probability, hit)| PredictedOutcome { probability, hit }).collect()
    };
    let recency = |state: &RelationshipState| RecencyFrequency::of(state, cutoff);
    let methods = [
        ("tactful", told_by(&|state| buying.probability(state, cutoff, window))),
        ("base_rate", told_by(&|_| None)),
        ("mbg_nbd", told_by(&|state| Some(purchase_rhythm::buys_within(&rhythm, recency(state)?, window)))),
        ("p_alive", told_by(&|state| Some(purchase_rhythm::alive(&rhythm, recency(state)?)))),
    ];
    let scored = asked.iter().map(|(customer, hit)| {
        let life = lives.get(customer).map_or(&[][..], Vec::as_slice);
        PredictedOutcome { probability: relationship_health(customer, life, policy, &outlook, cutoff), hit: *hit }
    });
    let deciles = deciles(&scored.collect::<Vec<_>>());
    let mut notes = learned.notes;
    if queries.is_none() && end.days_since(last) > window_days * UNTOLD_SHARE_MAX {
        notes.push(format!("the files end on {last}: who came back later in the window counts as lost"));
    }
    Ok(HealthReport { deciles, ..report(methods.into(), notes)? })
}

/// The score of a customer who lived so, by the formulas that the server serves.
fn relationship_health(
    customer: &CustomerId,
    life: &[Event],
    policy: &Policy,
    outlook: &Outlook,
    now: Timestamp,
) -> f64 {
    let mut customer = Customer::unknown(customer.clone());
    for event in life {
        // The level of the slow rise is no part of the score, so what was learned is not asked on the way.
        apply_event(&mut customer, event, policy, &Outlook::default());
    }
    assess(&customer, policy, outlook, now).score
}

fn report(
    methods: Vec<(&'static str, Vec<PredictedOutcome>)>,
    notes: Vec<String>,
) -> Result<HealthReport, DataSetError> {
    let asked: Vec<bool> = methods.first().into_iter().flat_map(|(_, told)| told).map(|told| told.hit).collect();
    let (count, hits) = (asked.len(), asked.iter().filter(|hit| **hit).count());
    let judged: Option<Vec<Judged>> = methods.into_iter().map(|(method, told)| Judged::new(method, told)).collect();
    let methods = judged.ok_or_else(|| {
        DataSetError::NotEnough(format!(
            "tasks.health: {hits} of {count} customers asked about came back, and figures need both kinds; do the files \
             go on after the cutoff?"
        ))
    })?;
    Ok(HealthReport { methods, deciles: Vec::new(), notes })
}

/// The share of all customers who came back in the window that ends at the cutoff, or in the second half of a history
/// that is shorter than two windows.
fn rate_a_window_ago(history: &OutlookHistory, cutoff: Timestamp, window: Duration) -> f64 {
    let known = history.starts_at().map_or(0.0, |begins| cutoff.days_since(begins));
    let from = days_before(cutoff, (window.as_secs_f64() / DAY.as_secs_f64()).min(known / 2.0));
    base_rate(history.as_of(from, cutoff, usize::MAX).iter().map(|customer| customer.repurchased))
}

/// The attributes that are no part of the profile.
struct Reading<'a> {
    outcome: &'a str,
    stayed: &'a str,
    tenure_months: &'a str,
}

/// A month, in days.
const MONTH_DAYS: f64 = 365.25 / 12.0;

fn judge_stays(
    description: &Description,
    window_days: f64,
    reading: &Reading<'_>,
    folds: usize,
) -> Result<HealthReport, DataSetError> {
    let files = description.customers.as_ref().ok_or_else(|| not_enough("the question `stays` needs customers"))?;
    let profiles = data_set::customers(files, Timestamp::MIN)?;
    let mut subscribers = Vec::with_capacity(profiles.len());
    for profile in profiles {
        let fold = fold_of(&profile.id, folds);
        subscribers.push((fold, subscriber(profile, reading)?));
    }
    let window = DAY.mul_f64(window_days);
    let tell = |outlook: &StayingOutlook, subscriber: &LabelledSubscriber| PredictedOutcome {
        probability: outlook.probability(&subscriber.features, &subscriber.attributes, window),
        hit: subscriber.retained,
    };
    let (mut by_tactful, mut by_base_rate, mut by_tenure) = (Vec::new(), Vec::new(), Vec::new());
    let mut notes = vec![format!("each customer is told by a model of the other {} of {folds} folds", folds - 1)];
    for fold in 0..folds {
        let seen: Vec<LabelledSubscriber> =
            subscribers.iter().filter(|(other, _)| *other != fold).map(|(_, seen)| seen.clone()).collect();
        let too_few = || why_nothing_was_learned(&seen, reading);
        let learned = learn_staying(&seen, window_days).ok_or_else(too_few)?;
        let by_tenure_alone = tenure::learn(&seen, window_days).ok_or_else(too_few)?;
        let usual = base_rate(seen.iter().map(|subscriber| subscriber.retained));
        for (_, asked) in subscribers.iter().filter(|(other, _)| *other == fold) {
            by_tactful.push(tell(&learned, asked));
            by_tenure
                .push(tell(&by_tenure_alone, &LabelledSubscriber { attributes: BTreeMap::new(), ..asked.clone() }));
            by_base_rate.push(PredictedOutcome { probability: usual, hit: asked.retained });
        }
        if fold == 0 {
            notes.push(format!("{} attributes of the profile are looked at", learned.attributes.len()));
        }
    }
    report(vec![("tactful", by_tactful), ("base_rate", by_base_rate), ("tenure", by_tenure)], notes)
}

/// Too few of either kind, else numbers that do not stay finite.
fn why_nothing_was_learned(seen: &[LabelledSubscriber], reading: &Reading<'_>) -> DataSetError {
    let Reading { outcome, stayed, .. } = reading;
    let (count, those) = (seen.len(), seen.iter().filter(|subscriber| subscriber.retained).count());
    DataSetError::NotEnough(if is_thin(those, count) {
        format!(
            "tasks.health: outside of one fold {those} of {count} customers stayed, with {stayed:?} as `{outcome}`; to learn \
             from, at least {CUSTOMERS_MIN} are needed, and some of either kind"
        )
    } else {
        "[customers] hold numbers too large to learn from; leave out those beyond 1e100".to_owned()
    })
}

fn subscriber(profile: CustomerProfile, reading: &Reading<'_>) -> Result<LabelledSubscriber, DataSetError> {
    let CustomerProfile { id, mut attributes } = profile;
    let missing =
        |name: &str| DataSetError::NotEnough(format!("customer {id} has no `{name}`, which all [customers] need"));
    let outcome = attributes.remove(reading.outcome).ok_or_else(|| missing(reading.outcome))?;
    let months = attributes.remove(reading.tenure_months).ok_or_else(|| missing(reading.tenure_months))?;
    let months: f64 = months.parse().ok().filter(|months| (0.0..=1200.0).contains(months)).ok_or_else(|| {
        DataSetError::NotEnough(format!("customer {id}: a tenure must be 0 to 1200 months, not {months:?}"))
    })?;
    let tenure = DAY.mul_f64(months * MONTH_DAYS);
    // Of use nothing is known: as usual.
    let signals = staying_features(&RelationshipState::default(), 1, tenure, Timestamp::MIN);
    debug_assert_eq!(signals.len(), StayingFeature::ALL.len());
    Ok(LabelledSubscriber { features: signals, attributes, retained: outcome == reading.stayed })
}

/// The fold of a customer: by a hash of the id, so that it does not depend on the order of the file.
fn fold_of(customer: &CustomerId, folds: usize) -> usize {
    let digest = Sha256::digest(customer.as_str().as_bytes());
    let head = digest.first_chunk::<8>().expect("a digest has 32 bytes");
    usize::try_from(u64::from_le_bytes(*head) % folds as u64).expect("less than the folds")
}
