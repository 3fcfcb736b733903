//! Means over markets, and differences between arms, with intervals.

use crate::measurement::interval::{Sample, Z_95};

/// A mean over markets and its 95 % interval.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Mean {
    /// The mean.
    pub value: f64,
    /// The interval, by Student's distribution over the markets.
    pub interval: [f64; 2],
}

impl Mean {
    /// Of one number for each market.
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

    /// True when the whole interval is above 0.
    pub fn is_above_zero(&self) -> bool {
        self.interval[0] > 0.0
    }

    /// True when the whole interval is below 0.
    pub fn is_below_zero(&self) -> bool {
        self.interval[1] < 0.0
    }
}

/// How many errors 95 % of Student's distribution lie within (Abramowitz and Stegun, Handbook of Mathematical Functions,
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
        let mean = Mean::of(&[1.0, 2.0, 3.0, 4.0]);
        assert!((mean.value - 2.5).abs() < 1e-12 && (mean.interval[1] - (2.5 + 3.182 * 0.645_497)).abs() < 0.02);
        assert!(!Mean::of(&[1.0]).is_above_zero());
    }
}
