//! Training: from a history and a catalogue to a model and its report.
//!
//! How candidates are ordered is learned in `ranking`, which sets its own parameters; here are the limits, the moves between
//! products, and the report.

use crate::domain::catalog::Catalog;
use crate::domain::time::Timestamp;

use super::history::TrainingHistory;
use super::metric::{Metric, Told};
use super::offer_model::OfferModel;
use super::ranking::shelves::Shelves;
use super::ranking::tables::NotSolvable;
use super::ranking::tuning::{Ranking, RankingStage, learn_ranking};
use super::ridge;

/// What a model of a hundred products needs.
const MEMORY_BYTES_MIN: u64 = 100 * 100 * ridge::BYTES_PER_CELL;

/// What training may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TrainingSettings {
    /// Threads for the linear algebra.
    pub threads: usize,
    /// Memory for the weights between products, in bytes. Products beyond what fits are ranked without weights.
    pub memory_bytes_max: u64,
    /// Up to so many products and attributes a regression is on all of them; of more each is regressed on its nearest.
    pub dense_columns_max: usize,
}

impl TrainingSettings {
    /// A dense solution of so many columns takes some five seconds, and no other order of magnitude would do.
    pub const DENSE_COLUMNS_MAX: usize = 6_000;

    /// With so many threads and so much memory.
    pub const fn new(threads: usize, memory_bytes_max: u64) -> Self {
        Self { threads, memory_bytes_max, dense_columns_max: Self::DENSE_COLUMNS_MAX }
    }
}

/// Where training stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TrainingStage {
    /// How candidates are ordered.
    Ranking(RankingStage),
    /// Moves up.
    Moves,
}

/// What was learned from, how well, and what to know of it.
#[derive(Debug, Clone, PartialEq)]
pub struct TrainingReport {
    /// Customers with a purchase.
    pub customers: u64,
    /// Baskets of two products and more.
    pub baskets: u64,
    /// Products that somebody bought.
    pub products: u64,
    /// Lines bought.
    pub purchases: u64,
    /// Quality on the last weeks, beside popularity.
    pub metrics: Vec<Metric>,
    /// Parameters and remarks.
    pub notes: Vec<String>,
}

/// Why there is no model.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TrainingError {
    /// Nobody bought anything.
    #[error("there are no purchases to learn from")]
    NoPurchases,
    /// The memory allowed does not even hold a small model.
    #[error("{allowed} bytes of memory are allowed, at least {needed} are needed")]
    TooLittleMemory {
        /// What is allowed.
        allowed: u64,
        /// What a model of a hundred products needs.
        needed: u64,
    },
    /// No threads to train on.
    #[error("no threads: {0}")]
    NoThreads(String),
    /// The regression has no solution in floating point.
    #[error("the regression could not be solved")]
    NotSolvable,
}

/// Learns from everything up to `now`.
pub fn train(
    history: &TrainingHistory,
    catalog: &Catalog,
    now: Timestamp,
    settings: &TrainingSettings,
    progress: &(dyn Fn(TrainingStage) + Sync),
) -> Result<(OfferModel, TrainingReport), TrainingError> {
    let history = history.until(now);
    if history.purchases.is_empty() {
        return Err(TrainingError::NoPurchases);
    }
    let TrainingSettings { threads, memory_bytes_max, dense_columns_max: _ } = *settings;
    if memory_bytes_max < MEMORY_BYTES_MIN {
        return Err(TrainingError::TooLittleMemory { allowed: memory_bytes_max, needed: MEMORY_BYTES_MIN });
    }
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
    let pool = pool.map_err(|error| TrainingError::NoThreads(error.to_string()))?;
    // What was bought at `now` itself has happened.
    let end = now.unix_ms().div_euclid(1000) + 1;
    let told = |stage: RankingStage| progress(TrainingStage::Ranking(stage));
    let ranking = pool.install(|| learn_ranking(&history, catalog, end, settings, &told));
    let Ranking { tables, customers, baskets, steps, told: Told { metrics, mut notes } } =
        ranking.map_err(|NotSolvable| TrainingError::NotSolvable)?;
    progress(TrainingStage::Moves);
    let moves = Shelves::of(&history.products, catalog).moves(&history, end);
    let model = OfferModel { trained_at: Some(now), tables, customers, baskets, steps, moves };
    if metrics.is_empty() {
        notes.push("the history is too thin to judge the model on its last weeks".to_owned());
    }
    let report = TrainingReport {
        customers: history.by_customer().count() as u64,
        baskets: history.by_basket().iter().filter(|(_, products)| products.len() > 1).count() as u64,
        products: model.products().iter().filter(|product| product.bought > 0).count() as u64,
        purchases: history.purchases.len() as u64,
        metrics,
        notes,
    };
    Ok((model, report))
}
