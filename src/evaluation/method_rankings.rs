//! Rankings of one method over all queries, with its metrics and their standard errors.

use std::collections::BTreeSet;

use super::estimate::Estimate;
use super::paired_difference::PairedDifference;
use super::queries::EvaluationQuery;
use super::ranking_metric::{RankingMetric, TOP};
use crate::domain::ids::ProductId;

/// Maximum length of a stored ranking; metrics look at fewer ranks.
pub(super) const RANKING_LEN_MAX: usize = 100;

/// A method and its rankings.
#[derive(Debug, Clone)]
pub struct MethodRankings {
    /// Name in the output.
    pub method: &'static str,
    /// One ranking for each query, best first, at most [`RANKING_LEN_MAX`] long.
    pub lists: Vec<Vec<ProductId>>,
}

impl MethodRankings {
    /// Computes a metric for each query.
    fn per_query(&self, metric: RankingMetric, queries: &[EvaluationQuery]) -> Vec<f64> {
        self.lists.iter().zip(queries).map(|(ranked, query)| metric.compute(ranked, &query.truth)).collect()
    }

    /// Computes the mean of a metric over the queries, with its standard error.
    pub fn mean(&self, metric: RankingMetric, queries: &[EvaluationQuery]) -> Estimate {
        let values = self.per_query(metric, queries);
        let count = values.len().max(1) as f64;
        let mean = values.iter().sum::<f64>() / count;
        let spread = values.iter().map(|value| (value - mean).powi(2)).sum::<f64>();
        Estimate { value: mean, standard_error: (spread / (count - 1.0).max(1.0) / count).sqrt() }
    }

    /// Share of the candidates that rank among the first ten of any query.
    pub fn coverage(&self, candidates: usize) -> f64 {
        let shown: BTreeSet<&ProductId> = self.lists.iter().flat_map(|ranked| ranked.iter().take(TOP)).collect();
        shown.len() as f64 / candidates.max(1) as f64
    }

    /// Computes by how much this method exceeds another on the same queries.
    pub fn difference_from(
        &self,
        other: &Self,
        metric: RankingMetric,
        queries: &[EvaluationQuery],
    ) -> PairedDifference {
        let pairs = self.per_query(metric, queries).into_iter().zip(other.per_query(metric, queries));
        PairedDifference::bootstrap(&pairs.map(|(a, b)| a - b).collect::<Vec<_>>())
    }
}
