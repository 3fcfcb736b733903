//! Means over markets with confidence intervals.

use crate::measurement::interval::{Sample, Z_95};

/// Mean over markets with its 95 % confidence interval.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct MeanEstimate {
    /// Mean over the markets.
    pub value: f64,
    /// Lower and upper bound of the interval, by Student's t distribution over the markets.
    pub interval: [f64; 2],
}

impl MeanEstimate {
    /// Computes the mean of one number for each market.
    pub fn of(numbers: &[f64]) -> Self {
        let mut sample = Sample::default();
        for &number in numbers {
            sample.add(number);
        }
        let value = sample.mean();
        if sample.count < 2 {
            return Self { value, interval: [f64::NEG_INFINITY, f64::INFINITY] };
        }
        let half = student(sample.count as f64 - 1.0) * sample.variance_of_mean().sqrt();
        Self { value, interval: [value - half, value + half] }
    }

    /// Whether the whole interval is above 0.
    pub fn is_above_zero(&self) -> bool {
        self.interval[0] > 0.0
    }

    /// Whether the whole interval is below 0.
    pub fn is_below_zero(&self) -> bool {
        self.interval[1] < 0.0
    }
}

/// 97.5 % quantile of Student's t distribution (Abramowitz and Stegun, Handbook of Mathematical Functions,
/// 26.7.5); off by less than 0.02 from 3 degrees of freedom on.
fn student(freedom: f64) -> f64 {
    let z = Z_95;
    let first = (z.powi(3) + z) / 4.0;
    let second = (5.0 * z.powi(5) + 16.0 * z.powi(3) + 3.0 * z) / 96.0;
    let third = (3.0 * z.powi(7) + 19.0 * z.powi(5) + 17.0 * z.powi(3) - 15.0 * z) / 384.0;
    z + first / freedom + second / freedom.powi(2) + third / freedom.powi(3)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn intervals_are_students() {
        for (freedom, table) in [(3.0, 3.182), (7.0, 2.365), (19.0, 2.093), (100.0, 1.984)] {
            assert!((student(freedom) - table).abs() < 0.03, "{freedom}");
        }
        let mean = MeanEstimate::of(&[1.0, 2.0, 3.0, 4.0]);
        assert!((mean.value - 2.5).abs() < 1e-12 && (mean.interval[1] - (2.5 + 3.182 * 0.645_497)).abs() < 0.02);
        assert!(!MeanEstimate::of(&[1.0]).is_above_zero());
    }
}
