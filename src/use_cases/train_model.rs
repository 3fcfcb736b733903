//! Trains a model from all history, stores it and serves it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use tracing::Instrument;

use super::tactful::{Tactful, TrainedModel};
use crate::domain::event::Event;
use crate::domain::time::Timestamp;
use crate::model::history::TrainingHistory;
use crate::model::holdout::Metric;
use crate::model::offer_model::OfferModel;
use crate::model::train::{TrainingReport, TrainingSettings, TrainingStage, train};
use crate::store::contract::{Store, StoreError, StoredModel};

/// How many events are read at once.
const HISTORY_PAGE_LEN: usize = 4096;

/// What training may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TrainingLimits {
    /// Threads of its own.
    pub threads: usize,
    /// Memory it may plan for, in bytes.
    pub memory_bytes_max: u64,
}

/// The model served now.
#[derive(Debug, Clone, PartialEq)]
pub struct ModelView {
    /// 1 for the first.
    pub version: u64,
    /// The history up to here was learned.
    pub trained_at: Timestamp,
    /// How long it took; `None` when it was trained before the last start.
    pub duration: Option<Duration>,
    /// Customers learned from.
    pub customers: u64,
    /// Baskets learned from.
    pub baskets: u64,
    /// Products that somebody bought.
    pub products: u64,
    /// Purchases learned from.
    pub purchases: u64,
    /// The size of the stored model, in bytes.
    pub artifact_bytes: u64,
    /// Quality beside baselines.
    pub metrics: Vec<ModelMetric>,
    /// What the training chose and noticed.
    pub notes: Vec<String>,
}

/// One figure of quality.
#[derive(Debug, Clone, PartialEq)]
pub struct ModelMetric {
    /// Such as `recall@10`.
    pub name: String,
    /// `tactful`, or the name of a baseline.
    pub method: String,
    /// The figure.
    pub value: f64,
    /// How many queries it is the mean of.
    pub queries: u64,
}

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
pub async fn train_model(tactful: &Arc<Tactful>) -> Result<ModelView, TrainError> {
    let tactful = Arc::clone(tactful);
    let training = async move {
        let Ok(_training) = tactful.training.try_lock() else { return Err(TrainError::AlreadyRunning) };
        learn_and_publish(&tactful).await
    };
    tokio::spawn(training.in_current_span())
        .await
        .unwrap_or_else(|failed| Err(TrainError::NotPossible { reason: failed.to_string() }))
}

async fn learn_and_publish(tactful: &Tactful) -> Result<ModelView, TrainError> {
    let started = Instant::now();
    let now = tactful.now();
    let mut history = TrainingHistory::new();
    let mut push = |events: Vec<Event>| events.iter().for_each(|event| history.push(event));
    tactful.store.visit_history(HISTORY_PAGE_LEN, &mut push).await?;

    let catalog = tactful.catalog();
    let TrainingLimits { threads, memory_bytes_max } = tactful.training_limits;
    let settings = TrainingSettings { threads, memory_bytes_max };
    let span = tracing::Span::current();
    let log = |stage: TrainingStage| tracing::info!(?stage, "training");
    let trained = on_own_thread(move || span.in_scope(|| train(&history, &catalog, now, &settings, &log))).await?;
    let (model, report) = trained.map_err(|error| TrainError::NotPossible { reason: error.to_string() })?;

    // Of the store, not of the model served: one that cannot be read any more has used its number up.
    let version = tactful.store.load_model().await?.map_or(0, |stored| stored.version) + 1;
    let artifact = model.encode();
    let view = ModelView {
        version,
        trained_at: now,
        duration: Some(started.elapsed()),
        artifact_bytes: artifact.len() as u64,
        ..view_of(report)
    };
    let bytes = StoredArtifact { report: ReportShape::of(&view), model: artifact }.encode();
    tactful.store.put_model(&StoredModel { version, bytes }).await?;
    tactful.store.durable().await?;
    tactful.publish_model(TrainedModel { model: Arc::new(model), view: view.clone() }).await;
    tracing::info!(version, purchases = view.purchases, seconds = started.elapsed().as_secs_f64(), "model published");
    Ok(view)
}

/// Linear algebra takes seconds; it must not hold a thread that serves.
async fn on_own_thread<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, TrainError> {
    let (done, result) = tokio::sync::oneshot::channel();
    let spawned = std::thread::Builder::new().name("training".to_owned()).spawn(move || done.send(work()));
    spawned.map_err(|error| TrainError::NotPossible { reason: error.to_string() })?;
    result.await.map_err(|_| TrainError::NotPossible { reason: "the training thread died".to_owned() })
}

/// The model served now.
#[must_use]
pub fn current_model(tactful: &Tactful) -> Option<ModelView> {
    tactful.snapshot().trained.as_ref().map(|trained| trained.view.clone())
}

/// Reads the current model of the store. One that this version cannot read is passed over: training makes another.
pub(super) async fn read_stored_model(store: &dyn Store) -> Result<Option<TrainedModel>, StoreError> {
    let Some(StoredModel { version, bytes }) = store.load_model().await? else { return Ok(None) };
    let read = StoredArtifact::decode(&bytes).and_then(|stored| {
        let model = OfferModel::decode(&stored.model).map_err(|error| error.to_string())?;
        let artifact_bytes = stored.model.len() as u64;
        let trained_at = model.trained_at.ok_or("the model was never trained")?;
        let view = ModelView { version, trained_at, artifact_bytes, ..stored.report.view(trained_at) };
        Ok(TrainedModel { model: Arc::new(model), view })
    });
    match read {
        Ok(trained) => Ok(Some(trained)),
        Err(reason) => {
            tracing::warn!(version, reason, "the stored model cannot be read; train again");
            Ok(None)
        }
    }
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

/// What is stored: the report for people, and the artifact of the model with its own format and checksum.
#[derive(Serialize, Deserialize)]
struct StoredArtifact {
    report: ReportShape,
    model: Vec<u8>,
}

#[derive(Serialize, Deserialize)]
struct ReportShape {
    customers: u64,
    baskets: u64,
    products: u64,
    purchases: u64,
    metrics: Vec<(String, String, f64, u64)>,
    notes: Vec<String>,
}

/// The format of [`StoredArtifact`]; its first byte.
const STORED_FORMAT: u8 = 1;

impl StoredArtifact {
    fn encode(&self) -> Vec<u8> {
        postcard::to_extend(self, vec![STORED_FORMAT]).expect("a Vec takes any number of bytes")
    }

    fn decode(bytes: &[u8]) -> Result<Self, String> {
        match bytes.split_first() {
            Some((&STORED_FORMAT, encoded)) => postcard::from_bytes(encoded).map_err(|error| error.to_string()),
            Some((other, _)) => Err(format!("stored format {other}")),
            None => Err("no bytes".to_owned()),
        }
    }
}

impl ReportShape {
    fn of(view: &ModelView) -> Self {
        let metric = |metric: &ModelMetric| (metric.name.clone(), metric.method.clone(), metric.value, metric.queries);
        Self {
            customers: view.customers,
            baskets: view.baskets,
            products: view.products,
            purchases: view.purchases,
            metrics: view.metrics.iter().map(metric).collect(),
            notes: view.notes.clone(),
        }
    }

    fn view(self, trained_at: Timestamp) -> ModelView {
        let Self { customers, baskets, products, purchases, metrics, notes } = self;
        let metrics =
            metrics.into_iter().map(|(name, method, value, queries)| ModelMetric { name, method, value, queries });
        ModelView {
            version: 0,
            trained_at,
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
}
