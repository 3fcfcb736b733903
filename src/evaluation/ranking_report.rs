//! Result of a ranking task.

use super::method_rankings::MethodRankings;
use super::queries::EvaluationQuery;
use super::ranking_metric::RankingMetric;
use super::task::RankingTask;

/// Name of the evaluated method in the output, beside those of the baselines.
pub(super) const TACTFUL: &str = "tactful";

/// Result of a ranking task.
#[derive(Debug, Clone)]
pub struct RankingReport {
    /// Name of the task in the output.
    pub task: &'static str,
    /// Queries in the order of the file.
    pub queries: Vec<EvaluationQuery>,
    /// Reported metrics; the first one is the deciding one.
    pub metrics: Vec<RankingMetric>,
    /// tactful first, then the baselines.
    pub methods: Vec<MethodRankings>,
    /// Number of products that could be ranked.
    pub candidates: usize,
    /// Whether catalogue coverage is a meaningful metric of the task.
    pub has_coverage: bool,
    /// Notes of the training.
    pub notes: Vec<String>,
}

/// Ranking task with its queries.
pub(super) struct TaskQueries<'a> {
    pub(super) name: &'static str,
    pub(super) task: &'a RankingTask,
    pub(super) queries: Vec<EvaluationQuery>,
}
