//! Trains a model from all history, stores it and serves it.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tracing::Instrument;

use super::app::App;
use super::learn_acceptances::learn_acceptances;
use super::trained_model::{ModelMetric, ModelView, TrainedModel, encode};
use crate::domain::customer::Customer;
use crate::domain::event::Event;
use crate::domain::ids::CustomerId;
use crate::domain::time::Timestamp;
use crate::model::calibration::ProbabilityQuality;
use crate::model::history::TrainingHistory;
use crate::model::metric::Metric;
use crate::model::outlook::{self, LearnedOutlook};
use crate::model::outlook_history::{EngagementWeights, OutlookHistory};
use crate::model::train::{TrainingReport, TrainingStage, train};
use crate::store::contract::error::StoreError;
use crate::store::contract::store::Store;
use crate::store::contract::stored_model::StoredModel;

/// How many events are read at once.
const HISTORY_PAGE_LEN: usize = 4096;
/// How many customers are read at once; each has at most 16 KiB.
const CUSTOMERS_PAGE_LEN: usize = 256;

/// Why there is no new model.
#[derive(Debug, thiserror::Error)]
pub enum TrainError {
    /// Another training runs.
    #[error("a training is running")]
    AlreadyRunning,
    /// The history cannot be learned from within the limits.
    #[error("training is not possible: {reason}")]
    NotPossible {
        /// Why, for people.
        reason: String,
    },
    /// The store cannot answer.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Learns from all history, on threads of its own, and serves the new model. Goes on when the caller goes away.
pub async fn train_model(app: &Arc<App>) -> Result<ModelView, TrainError> {
    let app = Arc::clone(app);
    let training = async move {
        let Ok(_training) = app.training.try_lock() else { return Err(TrainError::AlreadyRunning) };
        learn_and_publish(&app).await
    };
    tokio::spawn(training.in_current_span())
        .await
        .unwrap_or_else(|failed| Err(TrainError::NotPossible { reason: failed.to_string() }))
}

async fn learn_and_publish(app: &App) -> Result<ModelView, TrainError> {
    let started = Instant::now();
    let now = app.now();
    let known = read_customers(app.store.as_ref(), &app.policy_in_force().privacy.sensitive_attributes).await?;
    let mut history = TrainingHistory::new();
    let policy = app.policy_in_force();
    let relationship = &policy.relationship;
    let [_, commitment, usage, visit] = relationship.engagement_weights;
    let mut outlook_history = OutlookHistory::new(EngagementWeights { commitment, usage, visit });
    let mut push = |events: Vec<Event>| {
        let is_wanted = |event: &&Event| event.customer.as_ref().is_none_or(|id| !known.objecting.contains(id));
        for event in events.iter().filter(is_wanted) {
            history.push(event);
            outlook_history.push(event);
        }
    };
    app.store.visit_events(HISTORY_PAGE_LEN, &mut push).await?;
    for (customer, attributes) in &known.profiles {
        history.know(customer, attributes.clone());
    }

    let catalog = app.catalog();
    let settings = app.training_settings;
    let span = tracing::Span::current();
    let log = |stage: TrainingStage| tracing::info!(?stage, "training");
    let window = relationship.outlook_window;
    let learn_all = move || {
        let learned = train(&history, &catalog, now, &settings, &log);
        let (outlook, outlook_metrics) = learn_outlook(&outlook_history, &known.profiles, now, window);
        learned.map(|(model, report)| (model, report, outlook, outlook_metrics))
    };
    let trained = on_own_thread(move || span.in_scope(learn_all)).await?;
    let (model, report, learned, outlook_metrics) =
        trained.map_err(|error| TrainError::NotPossible { reason: error.to_string() })?;

    // Of the store, not of the model served: one that cannot be read any more has used its number up.
    let version = app.store.load_model().await?.map_or(0, |stored| stored.version) + 1;
    let mut view = ModelView { version, trained_at: now, duration: Some(started.elapsed()), ..view_of(report) };
    view.metrics.extend(outlook_metrics);
    view.notes.extend(learned.notes);
    let (view, bytes) = encode(&model, &learned.outlook, view);
    app.store.put_model(&StoredModel { version, bytes }).await?;
    app.store.durable().await?;
    let outlook = Arc::new(learned.outlook);
    app.publish_model(TrainedModel { model: Arc::new(model), outlook, view: view.clone() }).await;
    learn_acceptances(app).await?;
    tracing::info!(version, purchases = view.purchases, seconds = started.elapsed().as_secs_f64(), "model published");
    Ok(view)
}

/// What training needs of customers beside their history.
#[derive(Default)]
struct TrainingCustomers {
    /// Who objects to profiling: their history is left out.
    objecting: HashSet<CustomerId>,
    /// The attributes of the others that are not sensitive.
    profiles: HashMap<CustomerId, BTreeMap<String, String>>,
}

async fn read_customers(store: &dyn Store, sensitive: &[String]) -> Result<TrainingCustomers, StoreError> {
    let mut known = TrainingCustomers::default();
    let mut note = |customers: Vec<Customer>| {
        for customer in customers {
            if customer.consents.objects_to_profiling {
                known.objecting.insert(customer.id);
                continue;
            }
            let mut attributes = customer.attributes;
            attributes.retain(|name, _| !sensitive.contains(name));
            if !attributes.is_empty() {
                known.profiles.insert(customer.id, attributes);
            }
        }
    };
    store.visit_customers(CUSTOMERS_PAGE_LEN, &mut note).await?;
    Ok(known)
}

/// Learns who comes back, and judges the same on the last window.
fn learn_outlook(
    history: &OutlookHistory,
    profiles: &HashMap<CustomerId, BTreeMap<String, String>>,
    now: Timestamp,
    window: Duration,
) -> (LearnedOutlook, Vec<ModelMetric>) {
    let mut metrics = Vec::new();
    for (method, quality) in outlook::judge(history, now, window).into_iter().flatten() {
        let ProbabilityQuality { auc, brier, calibration_error, count, hit_rate: _ } = quality;
        let figures =
            [("outlook_auc", auc), ("outlook_brier", brier), ("outlook_calibration_error", calibration_error)];
        metrics.extend(figures.map(|(name, value)| ModelMetric {
            name: name.to_owned(),
            method: method.to_owned(),
            value,
            queries: count as u64,
        }));
    }
    (outlook::learn(history, &|customer| profiles.get(customer.id), now, window), metrics)
}

/// Training takes a core while nobody else wants it, and hardly any while somebody does.
fn give_way() {
    // On Linux niceness is a thread's own, and threads that it starts inherit it; elsewhere it is the process's.
    #[cfg(target_os = "linux")]
    if let Err(error) = rustix::process::nice(19) {
        tracing::warn!(%error, "training competes with serving");
    }
}

/// Linear algebra takes seconds; it must not hold a thread that serves.
async fn on_own_thread<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, TrainError> {
    let (done, result) = tokio::sync::oneshot::channel();
    let spawned = std::thread::Builder::new().name("training".to_owned()).spawn(move || {
        give_way();
        done.send(work())
    });
    spawned.map_err(|error| TrainError::NotPossible { reason: error.to_string() })?;
    result.await.map_err(|_| TrainError::NotPossible { reason: "the training thread died".to_owned() })
}

/// The model served now.
pub fn current_model(app: &App) -> Option<ModelView> {
    app.snapshot().trained.as_ref().map(|trained| trained.view.clone())
}

fn view_of(report: TrainingReport) -> ModelView {
    let TrainingReport { customers, baskets, products, purchases, metrics, notes } = report;
    let metrics = metrics.into_iter().map(|Metric { name, method, value, queries }| ModelMetric {
        name: name.to_owned(),
        method: method.to_owned(),
        value,
        queries: queries as u64,
    });
    ModelView {
        version: 0,
        trained_at: Timestamp::MIN,
        duration: None,
        customers,
        baskets,
        products,
        purchases,
        artifact_bytes: 0,
        metrics: metrics.collect(),
        notes,
    }
}
