//! Training: from a history and a catalogue to a model and its report.
//!
//! The history is asked three times: a customer-level regression of all but the last weeks, judged on them; the same of
//! everything; and a basket-level one. Parameters are fixed and stated in the report; choosing them on a validation
//! window is not done here yet.

use std::collections::{HashMap, HashSet};

use crate::domain::catalog::Catalog;
use crate::domain::time::Timestamp;

use super::bound_model::{POPULARITY_SHARE, QUERY_HALF_LIFE_DAYS};
use super::history::{NOBODY, OrderedHistory, Purchase, TrainingHistory};
use super::holdout::{self, HOLDOUT_DAYS, Judgement, Metric, customer_rows, latest_of_each};
use super::offer_model::{LearnedProduct, OfferModel, RECENT_DAYS};
use super::propensity::Curve;
use super::ridge::{self, Neighbours, Row};

/// How fast a purchase fades as evidence, in days.
const PURCHASE_HALF_LIFE_DAYS: f64 = 180.0;
/// How fast popularity fades, in days.
const POPULARITY_HALF_LIFE_DAYS: f64 = 30.0;
/// The regulariser of the customer-level regression, and of the basket-level one.
const CUSTOMER_LAMBDA: f64 = 200.0;
const BASKET_LAMBDA: f64 = 20.0;
/// With fewer rows a full regulariser would silence everything: it shrinks in proportion.
const ROWS_FOR_FULL_LAMBDA: f64 = 4000.0;
/// The most products in one regression.
const PRODUCTS_MAX: usize = 20_000;
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
    /// A model without the last weeks, to be judged on them.
    Holdout,
    /// The customer-level regression.
    Customers,
    /// The basket-level regression.
    Baskets,
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
    progress: &dyn Fn(TrainingStage),
) -> Result<(OfferModel, TrainingReport), TrainingError> {
    let history = history.until(now);
    if history.purchases.is_empty() {
        return Err(TrainingError::NoPurchases);
    }
    let mut notes = vec![format!(
        "purchases fade with a half-life of {PURCHASE_HALF_LIFE_DAYS} days, popularity {POPULARITY_HALF_LIFE_DAYS}; \
         regularisers {CUSTOMER_LAMBDA} (customers) and {BASKET_LAMBDA} (baskets); not tuned on this history"
    )];
    let dense = products_within_memory(&history, settings, &mut notes)?;
    let end = now.unix_ms().div_euclid(1000);

    progress(TrainingStage::Holdout);
    let split = end - HOLDOUT_DAYS * 86_400;
    let judgement = judge_holdout(&history, split, &dense, settings)?;
    progress(TrainingStage::Customers);
    let by_customer = solve(&history, customer_rows(&history, fading(end)), CUSTOMER_LAMBDA, &dense, settings)?;
    progress(TrainingStage::Baskets);
    let baskets: Vec<Row> = history
        .by_basket()
        .into_iter()
        .filter(|(_, products)| products.len() > 1)
        .map(|(_, products)| products.into_iter().map(|product| (product, 1.0)).collect())
        .collect();
    let basket_count = baskets.len();
    let by_basket = solve(&history, baskets, BASKET_LAMBDA, &dense, settings)?;
    progress(TrainingStage::Moves);
    let model = OfferModel {
        trained_at: Some(now),
        products: learned_products(&history, end),
        by_customer,
        by_basket,
        moves: moves(&history, catalog),
        curve: judgement.curve,
    };
    if judgement.metrics.is_empty() {
        notes.push("the history is too thin to judge the model on its last weeks".to_owned());
    }
    let report = TrainingReport {
        customers: history.by_customer().count() as u64,
        baskets: basket_count as u64,
        products: model.products.iter().filter(|product| product.bought > 0).count() as u64,
        purchases: history.purchases.len() as u64,
        metrics: judgement.metrics,
        notes,
    };
    Ok((model, report))
}

/// Which products enter the regression: all, or as many as fit, those with the most purchases.
fn products_within_memory(
    history: &OrderedHistory,
    settings: &TrainingSettings,
    notes: &mut Vec<String>,
) -> Result<Vec<bool>, TrainingError> {
    let products_max = ((settings.memory_bytes_max / ridge::BYTES_PER_CELL) as f64).sqrt() as usize;
    if products_max < 100 {
        let needed = 100 * 100 * ridge::BYTES_PER_CELL;
        return Err(TrainingError::TooLittleMemory { allowed: settings.memory_bytes_max, needed });
    }
    let products_max = products_max.min(PRODUCTS_MAX);
    if history.products.len() <= products_max {
        return Ok(vec![true; history.products.len()]);
    }
    notes.push(format!(
        "the regression holds the {products_max} most bought of {} products; popularity serves the rest",
        history.products.len()
    ));
    let mut counts: Vec<(u32, usize)> = (0..history.products.len()).map(|product| (0, product)).collect();
    for purchase in &history.purchases {
        counts[purchase.product as usize].0 += 1;
    }
    counts.sort_unstable_by(|a, b| b.cmp(a));
    let mut is_in = vec![false; history.products.len()];
    for (_, product) in counts.into_iter().take(products_max) {
        is_in[product] = true;
    }
    Ok(is_in)
}

/// Solves the regression over the products that enter it, and speaks of them by their own numbers.
fn solve(
    history: &OrderedHistory,
    mut rows: Vec<Row>,
    lambda: f64,
    is_in: &[bool],
    settings: &TrainingSettings,
) -> Result<Neighbours, TrainingError> {
    let numbers: Vec<u32> = (0..history.products.len() as u32).filter(|&product| is_in[product as usize]).collect();
    let mut places = vec![NOBODY; history.products.len()];
    for (place, &number) in numbers.iter().enumerate() {
        places[number as usize] = place as u32;
    }
    for row in &mut rows {
        row.retain_mut(|entry| {
            entry.0 = places[entry.0 as usize];
            entry.0 != NOBODY
        });
    }
    let lambda = lambda * (rows.len() as f64 / ROWS_FOR_FULL_LAMBDA).clamp(0.005, 1.0);
    let solved = ridge::fit(numbers.len(), &rows, lambda, settings.threads).ok_or(TrainingError::NotSolvable)?;
    let mut neighbours = vec![Vec::new(); history.products.len()];
    for (place, mut row) in solved.into_iter().enumerate() {
        for neighbour in &mut row {
            neighbour.product = numbers[neighbour.product as usize];
        }
        neighbours[numbers[place] as usize] = row;
    }
    Ok(neighbours)
}

fn judge_holdout(
    history: &OrderedHistory,
    split: i64,
    is_in: &[bool],
    settings: &TrainingSettings,
) -> Result<Judgement, TrainingError> {
    let earlier = history.before(split);
    if earlier.purchases.is_empty() || earlier.purchases.len() == history.purchases.len() {
        return Ok(Judgement { curve: Curve::DEFAULT, metrics: Vec::new() });
    }
    let weights = solve(&earlier, customer_rows(&earlier, fading(split)), CUSTOMER_LAMBDA, is_in, settings)?;
    let popularity = popularity(&earlier, split);
    let scored = |bought: &[Purchase], weights: &Neighbours, popularity: &[f32]| {
        let mut scores: Vec<f32> = popularity.iter().map(|share| POPULARITY_SHARE * share).collect();
        for (product, second) in latest_of_each(bought) {
            let recency = half_life_weight(split - second, QUERY_HALF_LIFE_DAYS);
            for neighbour in &weights[product as usize] {
                scores[neighbour.product as usize] += recency * neighbour.weight;
            }
        }
        scores
    };
    Ok(holdout::judge(history, split, &weights, &popularity, scored))
}

fn fading(end: i64) -> impl Fn(i64) -> f32 {
    move |second| half_life_weight(end - second, PURCHASE_HALF_LIFE_DAYS)
}

fn half_life_weight(age_seconds: i64, half_life_days: f64) -> f32 {
    (-(age_seconds.max(0) as f64) / 86_400.0 / half_life_days).exp2() as f32
}

/// The share of recent buyers who bought each product; who bought it again lately weighs once.
fn popularity(history: &OrderedHistory, end: i64) -> Vec<f32> {
    let mut shares = vec![0.0_f32; history.products.len()];
    let mut everybody = 0.0_f32;
    for buyer in buyers(history) {
        let latest = buyer.iter().map(|entry| entry.1).max().unwrap_or(end);
        everybody += half_life_weight(end - latest, POPULARITY_HALF_LIFE_DAYS);
        for (product, second) in buyer {
            shares[product as usize] += half_life_weight(end - second, POPULARITY_HALF_LIFE_DAYS);
        }
    }
    for share in &mut shares {
        *share = (*share / everybody.max(f32::MIN_POSITIVE)).min(1.0);
    }
    shares
}

/// Each buyer's products once with the latest second: customers, and baskets of nobody in particular.
fn buyers(history: &OrderedHistory) -> Vec<Vec<(u32, i64)>> {
    let named = history.by_customer().map(|bought| latest_of_each(bought).collect());
    let mut nameless: HashMap<u32, HashMap<u32, i64>> = HashMap::new();
    let is_nameless = |purchase: &&Purchase| purchase.customer == NOBODY && purchase.basket != NOBODY;
    for purchase in history.purchases.iter().filter(is_nameless) {
        nameless.entry(purchase.basket).or_default().insert(purchase.product, purchase.second);
    }
    let mut baskets: Vec<(u32, Vec<(u32, i64)>)> = nameless
        .into_iter()
        .map(|(basket, lines)| {
            let mut lines: Vec<(u32, i64)> = lines.into_iter().collect();
            lines.sort_unstable();
            (basket, lines)
        })
        .collect();
    baskets.sort_unstable();
    named.chain(baskets.into_iter().map(|(_, lines)| lines)).collect()
}

fn learned_products(history: &OrderedHistory, end: i64) -> Vec<LearnedProduct> {
    let recent_from = end - i64::from(RECENT_DAYS) * 86_400;
    let popularity = popularity(history, end);
    let mut learned: Vec<LearnedProduct> = history
        .products
        .iter()
        .zip(popularity)
        .zip(&history.given_up)
        .map(|((id, popularity), &given_up)| LearnedProduct {
            id: id.clone(),
            customers: 0,
            baskets: 0,
            recent_buyers: 0,
            popularity,
            bought: 0,
            given_up,
        })
        .collect();
    for purchase in &history.purchases {
        learned[purchase.product as usize].bought += 1;
    }
    for bought in history.by_customer() {
        for (product, _) in latest_of_each(bought) {
            learned[product as usize].customers += 1;
        }
    }
    for (_, products) in history.by_basket().into_iter().filter(|(_, products)| products.len() > 1) {
        for product in products {
            learned[product as usize].baskets += 1;
        }
    }
    for buyer in buyers(history) {
        for (product, _) in buyer.into_iter().filter(|(_, second)| *second >= recent_from) {
            learned[product as usize].recent_buyers += 1;
        }
    }
    learned
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
