//! Shared parts of the outlook's fits: standardized features, monotone coefficients and the strength of penalties.

use super::logistic::Coefficient;
use crate::domain::outlook::{FeatureWeight, Monotonicity};

/// Penalty of every feature, per standard deviation. Between 1 and 30 the area under the curve changes by less than .001
/// on the sets at hand.
const FEATURE_PENALTY: f64 = 10.0;
/// Penalty of intercepts, which are free but for this.
const INTERCEPT_PENALTY: f64 = 1e-6;
/// Minimum number of customers of a fit.
pub const CUSTOMERS_MIN: usize = 200;
/// Minimum number of customers of either class.
const CLASS_MIN: usize = 20;

/// True when there are too few observations, or too few of either class, to fit anything.
pub fn is_thin(positives: usize, count: usize) -> bool {
    count < CUSTOMERS_MIN || positives < CLASS_MIN || count - positives < CLASS_MIN
}

/// Coefficient of an intercept.
pub fn intercept() -> Coefficient {
    Coefficient { prior: 0.0, penalty: INTERCEPT_PENALTY, min: f64::NEG_INFINITY, max: f64::INFINITY }
}

/// Coefficient of a monotone feature: penalized, and never of the other sign.
pub fn monotone(monotonicity: Monotonicity) -> Coefficient {
    let (min, max) = match monotonicity {
        Monotonicity::Increasing => (0.0, f64::INFINITY),
        Monotonicity::Decreasing => (f64::NEG_INFINITY, 0.0),
    };
    Coefficient { prior: 0.0, penalty: FEATURE_PENALTY, min, max }
}

/// Coefficient of a feature that may have either sign.
pub fn unconstrained() -> Coefficient {
    Coefficient { penalty: FEATURE_PENALTY, ..intercept() }
}

/// Mean and standard deviation of a feature.
#[derive(Debug, Clone, Copy)]
pub struct FeatureScale {
    mean: f64,
    deviation: f64,
}

impl FeatureScale {
    /// Scale of these values.
    pub fn of(values: impl Iterator<Item = f64> + Clone) -> Self {
        let count = values.clone().count().max(1) as f64;
        let mean = values.clone().sum::<f64>() / count;
        let variance = values.map(|value| (value - mean).powi(2)).sum::<f64>() / count;
        // A constant feature carries no information, whatever its unit.
        let deviation = if variance > 1e-18 { variance.sqrt() } else { 1.0 };
        Self { mean, deviation }
    }

    /// Value in standard deviations from the mean.
    pub fn standardize(self, value: f64) -> f64 {
        (value - self.mean) / self.deviation
    }

    /// Weight of the feature on this scale.
    pub fn weight(self, weight: f64) -> FeatureWeight {
        FeatureWeight { mean: self.mean, deviation: self.deviation, weight }
    }
}
