//! A metric with its standard error.

/// Estimate of a metric with its standard error.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Estimate {
    /// Value of the metric.
    pub value: f64,
    /// Standard error of the value.
    pub standard_error: f64,
}
