//! Training of an offer model from a history and a catalogue, with a report.
//!
//! Ranking is trained in `ranking`, which tunes its own hyperparameters; here are the resource limits, the transitions
//! between items, and the report.

use crate::domain::catalog::Catalog;
use crate::domain::time::Timestamp;

use super::history::{OrderedHistory, TrainingHistory};
use super::offer_model::OfferModel;
use super::ranking::alternative_groups::AlternativeGroups;
use super::ranking::interaction_rows::UnsolvableRegression;
use super::ranking::training::{RankingStage, TrainedRanking, train_ranking};
use super::ridge;
use super::training_log::{Metric, TrainingLog};
use super::training_settings::TrainingSettings;

/// Memory of a model of a hundred products, in bytes.
const MEMORY_BYTES_MIN: u64 = 100 * 100 * ridge::BYTES_PER_CELL;

/// Stage of a training.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TrainingStage {
    /// Ranking of candidates.
    Ranking(RankingStage),
    /// Transitions between items.
    Transitions,
}

impl TrainingStage {
    /// Name in logs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ranking(stage) => stage.as_str(),
            Self::Transitions => "transitions",
        }
    }
}

/// Report of a training: its data, its quality, and remarks.
#[derive(Debug, Clone, PartialEq)]
pub struct TrainingReport {
    /// Customers with a purchase.
    pub customers: u64,
    /// Baskets of two products and more.
    pub baskets: u64,
    /// Products with a purchase.
    pub products: u64,
    /// Purchased lines.
    pub purchases: u64,
    /// Quality on the last weeks, beside popularity.
    pub metrics: Vec<Metric>,
    /// Hyperparameters and remarks.
    pub notes: Vec<String>,
}

/// Error returned by a training.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TrainingError {
    /// The history has no purchases.
    #[error("there are no purchases to learn from")]
    NoPurchases,
    /// The memory limit is below that of a small model.
    #[error("{allowed} bytes of memory are allowed, at least {needed} are needed")]
    TooLittleMemory {
        /// Memory limit, in bytes.
        allowed: u64,
        /// Memory of a model of a hundred products, in bytes.
        needed: u64,
    },
    /// The threads could not be started.
    #[error("the training threads could not be started: {0}")]
    NoThreads(String),
    /// A regression has no solution in floating point.
    #[error(transparent)]
    UnsolvableRegression(#[from] UnsolvableRegression),
}

/// Learns from everything up to `now`.
pub fn train(
    history: &TrainingHistory,
    catalog: &Catalog,
    now: Timestamp,
    settings: &TrainingSettings,
    progress: &(dyn Fn(TrainingStage) + Sync),
) -> Result<(OfferModel, TrainingReport), TrainingError> {
    train_ordered(&history.until_by_item_group(now, catalog), catalog, now, settings, progress)
}

/// Learns from an ordered history by item group, which ends at `now`. The caller need not hold the history that it was made
/// of meanwhile.
pub fn train_ordered(
    history: &OrderedHistory,
    catalog: &Catalog,
    now: Timestamp,
    settings: &TrainingSettings,
    progress: &(dyn Fn(TrainingStage) + Sync),
) -> Result<(OfferModel, TrainingReport), TrainingError> {
    if history.purchases.is_empty() {
        return Err(TrainingError::NoPurchases);
    }
    let TrainingSettings { threads, memory_bytes_max, dense_columns_max: _ } = *settings;
    if memory_bytes_max < MEMORY_BYTES_MIN {
        return Err(TrainingError::TooLittleMemory { allowed: memory_bytes_max, needed: MEMORY_BYTES_MIN });
    }
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
    let pool = pool.map_err(|error| TrainingError::NoThreads(error.to_string()))?;
    // Purchases at `now` itself have happened.
    let end = now.unix_ms().div_euclid(1000) + 1;
    let ranking_progress = |stage: RankingStage| progress(TrainingStage::Ranking(stage));
    let ranking = pool.install(|| train_ranking(history, catalog, end, settings, &ranking_progress))?;
    let TrainedRanking { item_model, customer_ranker, basket_ranker, upgrade_ranker, log } = ranking;
    let TrainingLog { metrics, mut notes } = log;
    progress(TrainingStage::Transitions);
    let transitions = AlternativeGroups::of(&history.products, catalog).count_transitions(history, end);
    let model =
        OfferModel { trained_at: Some(now), item_model, customer_ranker, basket_ranker, upgrade_ranker, transitions };
    if metrics.is_empty() {
        notes.push("the history is too short to evaluate the model on its last weeks".to_owned());
    }
    let report = TrainingReport {
        customers: history.by_customer().count() as u64,
        baskets: history.by_basket().iter().filter(|(_, items)| items.len() > 1).count() as u64,
        products: model.products().iter().filter(|product| product.bought > 0).count() as u64,
        purchases: history.purchases.len() as u64,
        metrics,
        notes,
    };
    Ok((model, report))
}
