//! Training: from a history and a catalogue to a model and its report.
//!
//! How candidates are ordered is learned in `ranking`, which sets its own parameters; here are the limits, the moves between
//! products, and the report.

use std::collections::{HashMap, HashSet};

use crate::domain::catalog::Catalog;
use crate::domain::time::Timestamp;

use super::history::{OrderedHistory, TrainingHistory};
use super::metric::Metric;
use super::offer_model::OfferModel;
use super::ranking::tables::{Means, NotSolvable};
use super::ranking::tuning::{Ranking, RankingStage, learn_ranking};
use super::ridge;

/// Products of one category that a customer bought, beyond which moves between them say nothing.
const MOVES_CATEGORY_MAX: usize = 30;

/// What training may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TrainingSettings {
    /// Threads for the linear algebra.
    pub threads: usize,
    /// Memory for the regression, in bytes. Products beyond what fits are served by popularity alone.
    pub memory_bytes_max: u64,
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
    let means = Means { threads: settings.threads, products_max: products_within_memory(settings)? };
    let pool = rayon::ThreadPoolBuilder::new().num_threads(settings.threads).build();
    let pool = pool.map_err(|error| TrainingError::NoThreads(error.to_string()))?;
    // What was bought at `now` itself has happened.
    let end = now.unix_ms().div_euclid(1000) + 1;
    let told = |stage: RankingStage| progress(TrainingStage::Ranking(stage));
    let ranking = pool.install(|| learn_ranking(&history, catalog, end, means, &told));
    let Ranking { tables, customers, baskets, metrics, mut notes } =
        ranking.map_err(|NotSolvable| TrainingError::NotSolvable)?;
    progress(TrainingStage::Moves);
    let model = OfferModel { trained_at: Some(now), tables, customers, baskets, moves: moves(&history, catalog) };
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

/// How many products one regression may hold.
fn products_within_memory(settings: &TrainingSettings) -> Result<usize, TrainingError> {
    let products_max = ((settings.memory_bytes_max / ridge::BYTES_PER_CELL) as f64).sqrt() as usize;
    if products_max < 100 {
        let needed = 100 * 100 * ridge::BYTES_PER_CELL;
        return Err(TrainingError::TooLittleMemory { allowed: settings.memory_bytes_max, needed });
    }
    Ok(products_max)
}

/// How many customers had one product and bought another of the same ladder or category later.
fn moves(history: &OrderedHistory, catalog: &Catalog) -> HashMap<(u32, u32), u32> {
    // Products of one ladder or category share a shelf.
    let mut shelves: HashMap<String, u32> = HashMap::new();
    let shelf_of: Vec<Vec<u32>> = history
        .products
        .iter()
        .map(|id| {
            let Some(product) = catalog.get(id) else { return Vec::new() };
            let ladder = product.rung.as_ref().map(|rung| format!("ladder {}", rung.ladder));
            let category = (!product.category.is_empty()).then(|| format!("category {}", product.category.join("\n")));
            let mut shelf = |name: String| {
                let next = shelves.len() as u32;
                *shelves.entry(name).or_insert(next)
            };
            ladder.into_iter().chain(category).map(&mut shelf).collect()
        })
        .collect();
    let mut moves: HashMap<(u32, u32), u32> = HashMap::new();
    for bought in history.by_customer() {
        let mut by_shelf: HashMap<u32, Vec<(u32, i64)>> = HashMap::new();
        for lines in bought.chunk_by(|a, b| a.product == b.product) {
            for &shelf in &shelf_of[lines[0].product as usize] {
                by_shelf.entry(shelf).or_default().push((lines[0].product, lines[0].second));
            }
        }
        let mut seen: HashSet<(u32, u32)> = HashSet::new();
        for firsts in by_shelf.values().filter(|firsts| firsts.len() <= MOVES_CATEGORY_MAX) {
            for &(from, had_at) in firsts {
                let later = firsts.iter().filter(|(_, bought_at)| *bought_at > had_at);
                seen.extend(later.map(|&(to, _)| (from, to)));
            }
        }
        for pair in seen {
            *moves.entry(pair).or_default() += 1;
        }
    }
    // One customer is chance; kept is what several did, and how many went the opposite way.
    let several: HashSet<(u32, u32)> =
        moves.iter().filter(|(_, customers)| **customers > 1).map(|(&pair, _)| pair).collect();
    moves.retain(|&(from, to), _| several.contains(&(from, to)) || several.contains(&(to, from)));
    moves
}
