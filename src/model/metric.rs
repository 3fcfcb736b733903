//! What a training tells of itself.

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

/// What a training tells: figures, and what it chose and noticed.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Told {
    /// Quality on the newest past, beside popularity.
    pub metrics: Vec<Metric>,
    /// What was chosen, and why.
    pub notes: Vec<String>,
}
