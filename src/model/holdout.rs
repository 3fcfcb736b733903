//! How good the model would have been: the last stretch of the history is held back, a model of the rest ranks it, and
//! popularity stands beside it. The same queries give the curve from scores to probabilities.

use std::collections::HashSet;

use super::history::{OrderedHistory, Purchase};
use super::propensity::Curve;
use super::ridge::{Neighbours, Row};

/// The stretch held back, in days.
pub const HOLDOUT_DAYS: i64 = 28;
/// The most customers asked about.
const QUERIES_MAX: usize = 2000;
/// Fewer queries than this tell nothing.
const QUERIES_MIN: usize = 50;
/// How many of each ranking are judged, and shown to the curve.
const JUDGED: usize = 10;
const CURVE_CANDIDATES: usize = 50;

/// One figure of quality.
#[derive(Debug, Clone, PartialEq)]
pub struct Metric {
    /// Such as `recall@10`.
    pub name: &'static str,
    /// `tactful` or `popularity`.
    pub method: &'static str,
    /// The mean over the queries.
    pub value: f64,
    /// How many queries.
    pub queries: usize,
}

/// What the holdout told.
#[derive(Debug, Clone, PartialEq)]
pub struct Judgement {
    /// From scores to probabilities.
    pub curve: Curve,
    /// Quality beside that of popularity; empty when too few customers bought something new.
    pub metrics: Vec<Metric>,
}

/// Judges weights and popularity that were learned before `split` (seconds after 1970) on what customers bought after.
/// Asks only what a customer never bought before.
#[must_use]
pub fn judge(
    history: &OrderedHistory,
    split: i64,
    weights: &Neighbours,
    popularity: &[f32],
    scored: impl Fn(&[Purchase], &Neighbours, &[f32]) -> Vec<f32>,
) -> Judgement {
    let mut observed = Vec::new();
    let mut sums = [[0.0; 2]; 2];
    let mut queries = 0;
    let asked: Vec<(Vec<Purchase>, HashSet<u32>)> =
        history.by_customer().filter_map(|bought| query(bought, split)).collect();
    let stride = asked.len().div_ceil(QUERIES_MAX).max(1);
    for (before, truth) in asked.iter().step_by(stride) {
        queries += 1;
        let owned: HashSet<u32> = before.iter().map(|purchase| purchase.product).collect();
        let model_scores = scored(before, weights, popularity);
        for (method, scores) in [&model_scores[..], popularity].into_iter().enumerate() {
            let top = top(scores, &owned, if method == 0 { CURVE_CANDIDATES } else { JUDGED });
            let hits = top.iter().take(JUDGED).filter(|product| truth.contains(product)).count();
            sums[method][0] += hits as f64 / truth.len() as f64;
            sums[method][1] += f64::from(u8::from(hits > 0));
            if method == 0 {
                observed.extend(top.iter().map(|&it| (f64::from(scores[it as usize]), truth.contains(&it))));
            }
        }
    }
    if queries < QUERIES_MIN {
        return Judgement { curve: Curve::fit(&observed), metrics: Vec::new() };
    }
    let mut metrics = Vec::new();
    for (method, sums) in ["tactful", "popularity"].into_iter().zip(sums) {
        for (name, sum) in ["recall@10", "hit@10"].into_iter().zip(sums) {
            metrics.push(Metric { name, method, value: sum / queries as f64, queries });
        }
    }
    Judgement { curve: Curve::fit(&observed), metrics }
}

/// What a customer bought before the split, and what of the rest was new; `None` when either is nothing.
fn query(bought: &[Purchase], split: i64) -> Option<(Vec<Purchase>, HashSet<u32>)> {
    let (before, after): (Vec<Purchase>, Vec<Purchase>) = bought.iter().partition(|purchase| purchase.second < split);
    let owned: HashSet<u32> = before.iter().map(|purchase| purchase.product).collect();
    let new: HashSet<u32> =
        after.iter().map(|purchase| purchase.product).filter(|product| !owned.contains(product)).collect();
    (!before.is_empty() && !new.is_empty()).then_some((before, new))
}

fn top(scores: &[f32], owned: &HashSet<u32>, count: usize) -> Vec<u32> {
    let mut ranked: Vec<u32> = (0..scores.len() as u32).filter(|product| !owned.contains(product)).collect();
    let by_score = |a: &u32, b: &u32| scores[*b as usize].total_cmp(&scores[*a as usize]).then(a.cmp(b));
    if ranked.len() > count {
        ranked.select_nth_unstable_by(count, by_score);
        ranked.truncate(count);
    }
    ranked.sort_unstable_by(by_score);
    ranked
}

/// The rows of the customer-level regression: each product once, with the weight of its latest purchase.
#[must_use]
pub fn customer_rows(history: &OrderedHistory, weight: impl Fn(i64) -> f32) -> Vec<Row> {
    history
        .by_customer()
        .map(|bought| latest_of_each(bought).map(|(product, second)| (product, weight(second))).collect())
        .collect()
}

/// Each product of a customer's purchases once, with the second of its latest purchase.
pub fn latest_of_each(bought: &[Purchase]) -> impl Iterator<Item = (u32, i64)> + '_ {
    bought.chunk_by(|a, b| a.product == b.product).filter_map(|lines| {
        let last = lines.last()?;
        Some((last.product, last.second))
    })
}
