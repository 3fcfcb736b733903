//! Paired bootstrap of the difference between two methods.
//!
//! Both methods answered the same queries, so the differences of single queries are resampled (B. Efron, "Bootstrap methods:
//! another look at the jackknife", Annals of Statistics 7, 1979).

use super::split_mix64::SplitMix64;

/// Number of bootstrap resamples.
const RESAMPLES: usize = 2000;

/// Mean difference between two methods with its 95 % bootstrap interval.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PairedDifference {
    /// Mean difference; positive when the first method is better.
    pub value: f64,
    /// Lower bound of the interval.
    pub low: f64,
    /// Upper bound of the interval.
    pub high: f64,
}

impl PairedDifference {
    /// Computes the mean of the differences and its percentile interval. The resamples are the same in every run.
    pub(super) fn bootstrap(differences: &[f64]) -> Self {
        let count = differences.len().max(1);
        let mut random = SplitMix64(0x7461_6374_6675_6c00);
        let mut means: Vec<f64> = (0..RESAMPLES)
            .map(|_| {
                let drawn = (0..differences.len()).map(|_| differences[random.index_below(count)]);
                drawn.sum::<f64>() / count as f64
            })
            .collect();
        means.sort_unstable_by(f64::total_cmp);
        let tail = RESAMPLES / 40;
        Self {
            value: differences.iter().sum::<f64>() / count as f64,
            low: means[tail],
            high: means[RESAMPLES - 1 - tail],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_interval_is_about_as_wide_as_the_normal_one() {
        let differences: Vec<f64> = (0..400).map(|number| f64::from(number % 4) - 1.0).collect();
        let PairedDifference { value, low, high } = PairedDifference::bootstrap(&differences);
        let half = 1.96 * (1.25_f64 / 400.0).sqrt();
        assert!((value - 0.5).abs() < 1e-12);
        assert!(((high - low) / 2.0 / half - 1.0).abs() < 0.1, "{low} to {high}");
    }
}
