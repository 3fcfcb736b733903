//! Quality metrics of rankings against holdout queries.

use super::holdout_queries::HoldoutQuery;

/// Number of ranks that the metrics look at.
pub const TOP: usize = 10;

/// NDCG, recall and hit rate of the first ten of one ranking.
pub type QueryQuality = [f64; 3];

/// Names of the metrics in [`QueryQuality`].
pub const METRIC_NAMES: [&str; 3] = ["ndcg@10", "recall@10", "hit@10"];

/// Evaluates a ranking of at most ten items.
pub fn query_quality(ranked: &[u32], holdout: &HoldoutQuery) -> QueryQuality {
    let hits = ranked.iter().filter(|item| holdout.is_relevant(**item)).count();
    [ndcg(ranked, holdout), hits as f64 / holdout.relevant.len() as f64, f64::from(u8::from(hits > 0))]
}

/// Normalized discounted cumulative gain of the first ten, 0 to 1.
pub fn ndcg(ranked: &[u32], holdout: &HoldoutQuery) -> f64 {
    let gain = |rank: usize| 1.0 / ((rank + 2) as f64).log2();
    let hits = ranked.iter().take(TOP).enumerate().filter(|(_, item)| holdout.is_relevant(**item));
    let best: f64 = (0..holdout.relevant.len().min(TOP)).map(gain).sum();
    hits.map(|(rank, _)| gain(rank)).sum::<f64>() / best.max(f64::MIN_POSITIVE)
}

/// Mean of values; 0 of none.
pub fn mean(values: impl ExactSizeIterator<Item = f64>) -> f64 {
    let count = values.len().max(1) as f64;
    values.sum::<f64>() / count
}

/// Mean of each metric over queries.
pub fn mean_quality(queries: &[QueryQuality]) -> QueryQuality {
    [0, 1, 2].map(|metric| mean(queries.iter().map(|quality| quality[metric])))
}

/// Mean gain in NDCG over a baseline on the same queries, and its standard error.
pub fn ndcg_gain(queries: &[QueryQuality], baseline: &[QueryQuality]) -> (f64, f64) {
    let gains: Vec<f64> = queries.iter().zip(baseline).map(|(one, other)| one[0] - other[0]).collect();
    let gain = mean(gains.iter().copied());
    let variance = mean(gains.iter().map(|it| (it - gain).powi(2)));
    (gain, (variance / gains.len().max(1) as f64).sqrt())
}
