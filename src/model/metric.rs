//! Figures of quality that a training tells.

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
