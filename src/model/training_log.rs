//! Log of a training for its report.

/// Quality metric of a method.
#[derive(Debug, Clone, PartialEq)]
pub struct Metric {
    /// Name, such as `recall@10`.
    pub name: &'static str,
    /// Method: `tactful` or a baseline.
    pub method: &'static str,
    /// Mean over the queries.
    pub value: f64,
    /// Number of queries.
    pub queries: usize,
}

/// Metrics and remarks of a training.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct TrainingLog {
    /// Quality on the latest fold, beside popularity.
    pub metrics: Vec<Metric>,
    /// Hyperparameters that were chosen and why, and other remarks, one sentence each.
    pub notes: Vec<String>,
}
