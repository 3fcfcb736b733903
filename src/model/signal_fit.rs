//! What the fits of the outlook have in common: signals on one scale, directions as bounds, and how strong pulls are.

use super::logistic::Coefficient;
use crate::domain::outlook::{FeatureWeight, Monotonicity};

/// The pull of every signal to 0, per standard deviation. Between 1 and 30 the area under the curve changes by less than
/// .001 on the sets at hand.
const SIGNAL_PULL: f64 = 10.0;
/// Intercepts are free but for this.
const INTERCEPT_PULL: f64 = 1e-6;
/// With fewer customers, or fewer of either kind, nothing is fitted.
pub const CUSTOMERS_MIN: usize = 200;
const OF_EITHER_KIND_MIN: usize = 20;

/// True when there are too few observations, or too few of either kind, to tell them apart.
pub fn is_thin(hits: usize, count: usize) -> bool {
    count < CUSTOMERS_MIN || hits < OF_EITHER_KIND_MIN || count - hits < OF_EITHER_KIND_MIN
}

/// A coefficient without direction and without pull.
pub fn intercept() -> Coefficient {
    Coefficient { prior: 0.0, pull: INTERCEPT_PULL, least: f64::NEG_INFINITY, most: f64::INFINITY }
}

/// The coefficient of a signal: pulled to nothing, and never turned round.
pub fn directed(direction: Monotonicity) -> Coefficient {
    let (least, most) = match direction {
        Monotonicity::Increasing => (0.0, f64::INFINITY),
        Monotonicity::Decreasing => (f64::NEG_INFINITY, 0.0),
    };
    Coefficient { prior: 0.0, pull: SIGNAL_PULL, least, most }
}

/// The coefficient of something that has no direction.
pub fn undirected() -> Coefficient {
    Coefficient { pull: SIGNAL_PULL, ..intercept() }
}

/// Mean and standard deviation of a signal.
#[derive(Debug, Clone, Copy)]
pub struct Scale {
    mean: f64,
    deviation: f64,
}

impl Scale {
    /// Of these values.
    pub fn of(values: impl Iterator<Item = f64> + Clone) -> Self {
        let count = values.clone().count().max(1) as f64;
        let mean = values.clone().sum::<f64>() / count;
        let variance = values.map(|value| (value - mean).powi(2)).sum::<f64>() / count;
        // A signal that never changes says nothing, whatever its unit.
        let deviation = if variance > 1e-18 { variance.sqrt() } else { 1.0 };
        Self { mean, deviation }
    }

    /// How many deviations from the mean.
    pub fn scaled(self, value: f64) -> f64 {
        (value - self.mean) / self.deviation
    }

    /// The weight of a signal on this scale.
    pub fn weight(self, weight: f64) -> FeatureWeight {
        FeatureWeight { mean: self.mean, deviation: self.deviation, weight }
    }
}
