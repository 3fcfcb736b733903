//! Calibration of raw scores to probabilities.
//!
//! Scores of the customer-level regression become probabilities by Platt's method on a stretch of history that the
//! scores did not see: `p = 1 / (1 + exp(-(a + b ln(score))))` with `b` above zero, so that the order stays that of the
//! scores. Basket-level scores are used as they are: the regression estimates the probability that the basket holds the
//! product.

use super::logistic::{self, Coefficient, Observation};

/// Scores are taken as at least the square of this.
const SCORE_MIN: f64 = 1e-6;
/// Minimum slope: the order of scores is always preserved.
const SLOPE_MIN: f64 = 0.05;
/// Minimum number of hits to fit a calibration to.
const HITS_MIN: usize = 20;
/// Maximum number of groups of scores that a calibration is fitted to.
const GROUPS_MAX: usize = 500;

/// Monotone map from raw score to probability.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ProbabilityCalibration {
    /// Logit at a score of 1.
    pub intercept: f64,
    /// Slope of the logit over the logarithm of the score; above 0.
    pub slope: f64,
}

impl ProbabilityCalibration {
    /// Calibration where the history is too short to fit one: a score of .1 is a probability of about .02.
    pub const DEFAULT: Self = Self { intercept: -2.0, slope: 0.8 };

    /// Probability at a score, strictly between 0 and 1.
    pub fn probability(self, score: f64) -> f64 {
        let logit = self.intercept + self.slope * soft_positive(score).ln();
        1.0 / (1.0 + (-logit).exp())
    }

    /// Fits a calibration to scores with whether each was a hit, by maximum likelihood with a weak penalty towards the
    /// default; returns the default when there are fewer than 20 hits. Of many scores, adjacent ones are averaged.
    pub fn fit(observed: &[(f64, bool)]) -> Self {
        if observed.iter().filter(|(_, hit)| *hit).count() < HITS_MIN {
            return Self::DEFAULT;
        }
        let mut sorted: Vec<(f64, bool)> =
            observed.iter().map(|&(score, hit)| (soft_positive(score).ln(), hit)).collect();
        sorted.sort_unstable_by(|a, b| a.0.total_cmp(&b.0));
        let groups = sorted.chunks(sorted.len().div_ceil(GROUPS_MAX));
        let observations: Vec<Observation> = groups.flat_map(hits_and_misses).collect();
        let coefficients = [
            Coefficient { prior: Self::DEFAULT.intercept, penalty: 1.0, min: f64::NEG_INFINITY, max: f64::INFINITY },
            Coefficient { prior: Self::DEFAULT.slope, penalty: 1.0, min: SLOPE_MIN, max: f64::INFINITY },
        ];
        match logistic::fit(&observations, &coefficients).as_deref() {
            Some(&[intercept, slope]) => Self { intercept, slope },
            _ => Self::DEFAULT,
        }
    }
}

/// A group of adjacent scores as at most two observations, of its hits and of its misses.
fn hits_and_misses(group: &[(f64, bool)]) -> impl Iterator<Item = Observation> + use<> {
    let mean = group.iter().map(|observed| observed.0).sum::<f64>() / group.len() as f64;
    let hits = group.iter().filter(|observed| observed.1).count();
    let weighted = [(true, hits), (false, group.len() - hits)].into_iter().filter(|(_, count)| *count > 0);
    weighted.map(move |(label, count)| Observation { features: vec![1.0, mean], label, weight: count as f64 })
}

/// Smooth, strictly growing map of any score to above zero that leaves clearly positive scores as they are.
pub fn soft_positive(score: f64) -> f64 {
    const SOFTNESS: f64 = 1e-3;
    // In the form that keeps its precision below zero.
    let root = (score * score + 4.0 * SOFTNESS * SOFTNESS).sqrt();
    let value = if score >= 0.0 { f64::midpoint(score, root) } else { 2.0 * SOFTNESS * SOFTNESS / (root - score) };
    value.max(SCORE_MIN * SCORE_MIN)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn probabilities_grow_with_scores_and_stay_within_bounds() {
        let scores = [-10.0, -1.0, -0.1, 0.0, 1e-9, 0.01, 0.5, 1.0, 100.0];
        let probabilities = scores.map(|score| ProbabilityCalibration::DEFAULT.probability(score));
        assert!(probabilities.is_sorted_by(|a, b| a < b), "{probabilities:?}");
        assert!(probabilities.iter().all(|&probability| probability > 0.0 && probability < 1.0));
    }

    /// Broken by: Newton steps cut short instead of halved, which oscillate for ever on such scores.
    #[test]
    fn a_fit_recovers_the_calibration_of_small_scores() {
        let calibration = ProbabilityCalibration { intercept: 1.0, slope: 1.2 };
        // Each score as often as it takes for the hits to come out even.
        let of_score = |step: i32| {
            let score = (-5.0 + f64::from(step) / 10.0).exp();
            let hits = (calibration.probability(score) * 2_000.0).round() as usize;
            (0..2_000).map(move |number| (score, number < hits))
        };
        let observed: Vec<(f64, bool)> = (0..30).flat_map(of_score).collect();
        let fitted = ProbabilityCalibration::fit(&observed);
        for score in [0.007, 0.03, 0.1] {
            let (predicted, expected) = (fitted.probability(score), calibration.probability(score));
            assert!((predicted / expected - 1.0).abs() < 0.1, "{score}: {predicted} for {expected}, by {fitted:?}");
        }
    }

    #[test]
    fn a_fit_recovers_the_rate_of_hits() {
        let observed: Vec<(f64, bool)> =
            (0..10_000).map(|number| (0.1 + f64::from(number % 9) / 10.0, number % 20 == 0)).collect();
        let calibration = ProbabilityCalibration::fit(&observed);
        let mean: f64 = observed.iter().map(|(score, _)| calibration.probability(*score)).sum::<f64>() / 10_000.0;
        assert!((mean - 0.05).abs() < 0.002, "{mean}");
    }
}
