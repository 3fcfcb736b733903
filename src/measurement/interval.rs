//! Confidence intervals of differences between two groups of customers.

/// Number of standard deviations around the mean within which 95 % of a normal distribution lie.
pub const Z_95: f64 = 1.959_964;
/// Number of standard errors that a true difference must have for a test at the 5 % level to find it with a power of 80 %:
/// 1.96 + 0.84.
const DETECTABLE_STANDARD_ERRORS: f64 = 2.801_585;

/// Estimate of a difference between two groups.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct EstimatedDifference {
    /// Mean of the second group minus mean of the first.
    pub value: f64,
    /// 95 % confidence interval.
    pub interval: [f64; 2],
    /// Smallest true difference that groups of this size would show in four of five experiments.
    pub detectable: f64,
}

/// Moments of one measure over a group of customers.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Sample {
    pub count: usize,
    sum: f64,
    /// Sum of squared deviations from the mean (Welford, Technometrics 4, 1962).
    squared_deviations: f64,
}

impl Sample {
    /// Adds one customer's value, which must be finite.
    pub fn add(&mut self, value: f64) {
        let before = self.mean();
        self.count += 1;
        self.sum += value;
        self.squared_deviations += (value - before) * (value - self.mean());
    }

    /// Returns the mean; 0 for an empty sample.
    pub fn mean(&self) -> f64 {
        if self.count == 0 { 0.0 } else { self.sum / self.count as f64 }
    }

    /// Returns the variance of the mean; infinite for fewer than two customers.
    pub fn variance_of_mean(&self) -> f64 {
        let count = self.count as f64;
        if self.count < 2 { f64::INFINITY } else { self.squared_deviations.max(0.0) / (count - 1.0) / count }
    }
}

/// Estimates the difference of two means, `second - first`, by the normal approximation with unequal variances (Welch, Biometrika
/// 34, 1947).
pub fn difference_of_means(first: &Sample, second: &Sample) -> EstimatedDifference {
    let error = (first.variance_of_mean() + second.variance_of_mean()).sqrt();
    estimate_around(second.mean() - first.mean(), second.mean() - first.mean(), error)
}

/// Estimates the difference of two shares, `second - first`. One success and one failure are added to each group before
/// its error is estimated (Agresti and Caffo, The American Statistician 54, 2000): a share of 0 is not certain.
pub fn difference_of_shares(first: &Sample, second: &Sample) -> EstimatedDifference {
    let adjusted = |sample: &Sample| {
        let count = sample.count as f64 + 2.0;
        let share = (sample.sum + 1.0) / count;
        (share, share * (1.0 - share) / count)
    };
    let ((first_share, first_variance), (second_share, second_variance)) = (adjusted(first), adjusted(second));
    let error = (first_variance + second_variance).sqrt();
    let difference = estimate_around(second.mean() - first.mean(), second_share - first_share, error);
    EstimatedDifference { interval: difference.interval.map(|bound| bound.clamp(-1.0, 1.0)), ..difference }
}

/// Estimates the mean of one difference per customer; `None` for fewer than two customers.
pub fn mean_difference(differences: &Sample) -> Option<EstimatedDifference> {
    let error = differences.variance_of_mean().sqrt();
    (differences.count >= 2).then(|| estimate_around(differences.mean(), differences.mean(), error))
}

fn estimate_around(value: f64, middle: f64, error: f64) -> EstimatedDifference {
    let half = Z_95 * error;
    EstimatedDifference {
        value,
        interval: [middle - half, middle + half],
        detectable: DETECTABLE_STANDARD_ERRORS * error,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shares(hits: usize, count: usize) -> Sample {
        let mut sample = Sample::default();
        for number in 0..count {
            sample.add(if number < hits { 1.0 } else { 0.0 });
        }
        sample
    }

    /// Computed by hand: shares 8/42 and 3/42 after one success and one failure are added to each.
    #[test]
    fn shares_follow_agresti_and_caffo() {
        let difference = difference_of_shares(&shares(2, 40), &shares(7, 40));
        assert!((difference.value - 0.125).abs() < 1e-12);
        let (a, b) = (3.0_f64 / 42.0, 8.0_f64 / 42.0);
        let error = ((a * (1.0 - a) + b * (1.0 - b)) / 42.0).sqrt();
        assert!((difference.interval[0] - (b - a - 1.959_964 * error)).abs() < 1e-12);
        assert!((difference.interval[1] - (b - a + 1.959_964 * error)).abs() < 1e-12);
    }

    #[test]
    fn a_share_of_zero_is_not_certain() {
        let [low, high] = difference_of_shares(&shares(0, 50), &shares(0, 50)).interval;
        assert!(low < -0.01 && high > 0.01, "{low} {high}");
    }

    /// Samples 1..=5 and 2, 4, .., 10: means 3 and 6, variances of the means 0.5 and 2.
    #[test]
    fn means_follow_welch() {
        let (mut first, mut second) = (Sample::default(), Sample::default());
        for number in 1..=5 {
            first.add(f64::from(number));
            second.add(f64::from(2 * number));
        }
        let difference = difference_of_means(&first, &second);
        assert!((difference.value - 3.0).abs() < 1e-12);
        assert!((difference.interval[1] - (3.0 + 1.959_964 * 2.5_f64.sqrt())).abs() < 1e-9);
    }
}
