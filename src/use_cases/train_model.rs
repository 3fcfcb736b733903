//! Trains a model from all history, stores it and publishes it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tracing::Instrument;

use super::app::App;
use super::learn_acceptances::learn_acceptances;
use super::leases::{is_leased_elsewhere, with_lease};
use super::trained_model::{ModelMetric, ModelView, TrainedModel, encode};
use super::training_data::{CustomerProfiles, TrainingData};
use super::training_plan::{TooLittleMemory, TrainingPlan, TrainingResources, resident_bytes};
use super::training_thread::{TrainingThreadError, run_on_training_thread};
use crate::domain::time::Timestamp;
use crate::model::offer_model::OfferModel;
use crate::model::outlook::{self, LearnedOutlook};
use crate::model::outlook_history::OutlookHistory;
use crate::model::probability_quality::ProbabilityQuality;
use crate::model::train::{TrainingError, TrainingReport, TrainingStage, train_ordered};
use crate::model::training_log::Metric;
use crate::model::training_settings::TrainingSettings;
use crate::store::contract::error::StoreError;
use crate::store::contract::shared::Job;
use crate::store::contract::stored_model::{StoredModel, TrainingMarker};

/// Error returned by [`train_model`]; the current model stays in use.
#[derive(Debug, thiserror::Error)]
pub enum TrainError {
    /// Another training is running.
    #[error("another training is running")]
    AlreadyRunning,
    /// Another process published a model meanwhile.
    #[error("another model was published meanwhile")]
    Superseded,
    /// No model can be learned from the history within the limits.
    #[error("training is not possible: {0}")]
    NotPossible(#[from] TrainingError),
    /// Not even a small training fits into the memory that is left.
    #[error("training is not possible: {0}")]
    TooLittleMemory(#[from] TooLittleMemory),
    /// The training ended without a result.
    #[error("training failed: {0}")]
    ThreadFailed(#[from] TrainingThreadError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Learns from all history on threads of its own, and publishes the new model. The training continues when the caller
/// disconnects.
pub async fn train_model(app: &Arc<App>) -> Result<ModelView, TrainError> {
    let app = Arc::clone(app);
    let training = async move {
        let Ok(_training) = app.training.try_lock() else { return Err(TrainError::AlreadyRunning) };
        let trained = with_lease(&app, Job::Training, Duration::ZERO, train_and_publish(&app)).await?;
        trained.ok_or(TrainError::AlreadyRunning)
    };
    tokio::spawn(training.in_current_span()).await.unwrap_or_else(|_| Err(TrainingThreadError::Panicked.into()))
}

/// Returns the report of the model in use; `None` before the first training.
pub fn current_model(app: &App) -> Option<ModelView> {
    app.snapshot().trained.as_ref().map(|trained| trained.view.clone())
}

async fn train_and_publish(app: &App) -> Result<ModelView, TrainError> {
    let started = Instant::now();
    let now = app.now();
    mark_start(app, now).await?;
    let trained = train_within_plan(app, now, started).await;
    mark_end(app).await?;
    let view = trained?;
    learn_acceptances(app).await?;
    let seconds = started.elapsed().as_secs_f64();
    tracing::info!(version = view.version, purchases = view.purchases, seconds, "model published");
    Ok(view)
}

/// Stores that a training is in progress, before it takes memory: a process that dies during it leaves the marker.
async fn mark_start(app: &App, now: Timestamp) -> Result<(), StoreError> {
    let attempts = app.store.load_training_marker().await?.map_or(0, |marker| marker.attempts) + 1;
    app.store.put_training_marker(Some(TrainingMarker { started_at: now, attempts })).await?;
    app.store.durable().await
}

async fn mark_end(app: &App) -> Result<(), StoreError> {
    app.store.put_training_marker(None).await?;
    app.store.durable().await
}

/// Returns the marker of a training during which an earlier process ended; `None` when the last training ended by itself.
pub async fn interrupted_training(app: &App) -> Result<Option<TrainingMarker>, StoreError> {
    let _training = app.training.lock().await;
    // Of a training that another process is at.
    if is_leased_elsewhere(app, Job::Training).await? {
        return Ok(None);
    }
    app.store.load_training_marker().await
}

/// Removes the marker of a training in progress, for a shutdown in order.
pub async fn stop_training(app: &App) -> Result<(), StoreError> {
    if app.training.try_lock().is_err() { app.store.put_training_marker(None).await } else { Ok(()) }
}

async fn train_within_plan(app: &App, now: Timestamp, started: Instant) -> Result<ModelView, TrainError> {
    // Counted from the stored model rather than the one in use: a stored model that cannot be read has used its version. And
    // before anything is read, so that a training that was overtaken does not replace what is newer.
    let version = app.store.load_model().await?.map_or(0, |stored| stored.version) + 1;
    let counts = app.store.counts().await?;
    let products = app.catalog().products().len() as u64;
    let plan = || {
        let resources = TrainingResources {
            budget: app.training_settings.memory_bytes_max,
            process_limit: app.process_memory_max,
            resident: resident_bytes(),
            customers: counts.customers,
            events: counts.events,
            products,
        };
        resources.plan().map_err(TrainError::from)
    };
    let (data, plan) = TrainingData::read(app.store.as_ref(), &app.policy_in_force(), &plan()?, plan).await?;
    if let Some(note) = &plan.note {
        tracing::warn!(note, "training does not fit into the memory as a whole");
    }
    let mut learned = learn(app, data, &plan, now).await?;
    learned.report.notes.extend(plan.note);
    store_and_publish(app, learned, version, now, started).await
}

/// Result of learning, before it has a version.
struct LearnedModel {
    model: OfferModel,
    report: TrainingReport,
    outlook: LearnedOutlook,
    outlook_metrics: Vec<ModelMetric>,
}

async fn learn(app: &App, data: TrainingData, plan: &TrainingPlan, now: Timestamp) -> Result<LearnedModel, TrainError> {
    let catalog = app.catalog();
    let settings = TrainingSettings { memory_bytes_max: plan.weights_bytes, ..app.training_settings };
    let span = tracing::Span::current();
    let learn = move || -> Result<LearnedModel, TrainError> {
        let TrainingData { history, outlook_history, profiles, outlook_window } = data;
        let log = |stage: TrainingStage| tracing::info!(stage = stage.as_str(), "training");
        // One after the other, each without the data of the others, so that the peak is lower.
        let (outlook, outlook_metrics) = learn_outlook(&outlook_history, &profiles, now, outlook_window);
        drop((outlook_history, profiles));
        let ordered = history.until_by_item_group(now, &catalog);
        drop(history);
        let (model, report) = train_ordered(&ordered, &catalog, now, &settings, &log)?;
        Ok(LearnedModel { model, report, outlook, outlook_metrics })
    };
    run_on_training_thread(move || span.in_scope(learn)).await?
}

/// Learns the outlook, and evaluates the method on the last window.
fn learn_outlook(
    history: &OutlookHistory,
    profiles: &CustomerProfiles,
    now: Timestamp,
    window: Duration,
) -> (LearnedOutlook, Vec<ModelMetric>) {
    let mut metrics = Vec::new();
    for (method, quality) in outlook::evaluate_outlook(history, now, window).into_iter().flatten() {
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
    (outlook::learn_outlook(history, &|customer| profiles.get(customer.id), now, window), metrics)
}

async fn store_and_publish(
    app: &App,
    learned: LearnedModel,
    version: u64,
    now: Timestamp,
    started: Instant,
) -> Result<ModelView, TrainError> {
    let LearnedModel { model, report, outlook: LearnedOutlook { outlook, notes }, outlook_metrics } = learned;
    let mut view = view_of(report, version, now, started.elapsed());
    view.metrics.extend(outlook_metrics);
    view.notes.extend(notes);
    let (view, bytes) = encode(&model, &outlook, view);
    if !app.store.put_model(&StoredModel { version, bytes }).await? {
        return Err(TrainError::Superseded);
    }
    app.store.durable().await?;
    let trained = TrainedModel { model: Arc::new(model), outlook: Arc::new(outlook), view: view.clone() };
    app.publish_model(trained).await;
    Ok(view)
}

/// Returns the report of a training as a view. The size of the artifact is known once it is encoded.
fn view_of(report: TrainingReport, version: u64, trained_at: Timestamp, duration: Duration) -> ModelView {
    let TrainingReport { customers, baskets, products, purchases, metrics, notes } = report;
    let metrics = metrics.into_iter().map(|Metric { name, method, value, queries }| ModelMetric {
        name: name.to_owned(),
        method: method.to_owned(),
        value,
        queries: queries as u64,
    });
    ModelView {
        version,
        trained_at,
        duration: Some(duration),
        customers,
        baskets,
        products,
        purchases,
        artifact_bytes: 0,
        metrics: metrics.collect(),
        notes,
    }
}
