//! From a score to a probability.
//!
//! Scores of the customer-level regression become probabilities by Platt's method on a stretch of history that the
//! scores did not see: `p = 1 / (1 + exp(-(a + b ln(score))))` with `b` above zero, so that the order stays that of the
//! scores. Basket-level scores are used as they are: the regression estimates the probability that the basket holds the
//! product.

use super::logistic::{self, Coefficient, Observation};

/// Below this a score carries no information.
const SCORE_MIN: f64 = 1e-6;
/// The gentlest slope: the order of scores is always kept.
const SLOPE_MIN: f64 = 0.05;
/// Fewer hits tell nothing.
const HITS_MIN: usize = 20;
/// The most groups of scores that a curve is fitted to.
const GROUPS_MAX: usize = 500;

/// A monotone map from score to probability.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Curve {
    /// The logit at a score of 1.
    pub intercept: f64,
    /// How fast the logit grows with the logarithm of the score; above 0.
    pub slope: f64,
}

impl Curve {
    /// The curve that is used when the history is too thin to fit one: a score of .1 is a probability of about .02.
    pub const DEFAULT: Self = Self { intercept: -2.0, slope: 0.8 };

    /// The probability at a score, strictly between 0 and 1.
    pub fn probability(self, score: f64) -> f64 {
        let logit = self.intercept + self.slope * positive(score).ln();
        1.0 / (1.0 + (-logit).exp())
    }

    /// Fits the curve to scores and what came of them, by the likelihood with a weak pull to the default; the default when
    /// there are fewer than 20 hits. Of many scores those that are next to each other count as one, their mean.
    pub fn fit(observed: &[(f64, bool)]) -> Self {
        if observed.iter().filter(|(_, hit)| *hit).count() < HITS_MIN {
            return Self::DEFAULT;
        }
        let mut sorted: Vec<(f64, bool)> = observed.iter().map(|&(score, hit)| (positive(score).ln(), hit)).collect();
        sorted.sort_unstable_by(|a, b| a.0.total_cmp(&b.0));
        let groups = sorted.chunks(sorted.len().div_ceil(GROUPS_MAX));
        let observations: Vec<Observation> = groups.flat_map(hits_and_misses).collect();
        let coefficients = [
            Coefficient { prior: Self::DEFAULT.intercept, pull: 1.0, least: f64::NEG_INFINITY, most: f64::INFINITY },
            Coefficient { prior: Self::DEFAULT.slope, pull: 1.0, least: SLOPE_MIN, most: f64::INFINITY },
        ];
        match logistic::fit(&observations, &coefficients).as_deref() {
            Some(&[intercept, slope]) => Self { intercept, slope },
            _ => Self::DEFAULT,
        }
    }
}

/// A group as at most two observations, of the hits and of the misses.
fn hits_and_misses(group: &[(f64, bool)]) -> impl Iterator<Item = Observation> + use<> {
    let mean = group.iter().map(|of_one| of_one.0).sum::<f64>() / group.len() as f64;
    let hits = group.iter().filter(|of_one| of_one.1).count();
    let weighed = [(true, hits), (false, group.len() - hits)].into_iter().filter(|(_, count)| *count > 0);
    weighed.map(move |(hit, count)| Observation { features: vec![1.0, mean], hit, weight: count as f64 })
}

/// A smooth, strictly growing map of any score to above zero that leaves clear scores as they are.
pub fn positive(score: f64) -> f64 {
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
        let probabilities = scores.map(|score| Curve::DEFAULT.probability(score));
        assert!(probabilities.is_sorted_by(|a, b| a < b), "{probabilities:?}");
        assert!(probabilities.iter().all(|&probability| probability > 0.0 && probability < 1.0));
    }

    /// Broken by: Newton steps cut short instead of halved, which go to and fro for ever on such scores.
    #[test]
    fn a_fit_recovers_the_curve_of_small_scores() {
        let curve = Curve { intercept: 1.0, slope: 1.2 };
        // Each score as often as it takes for the hits to come out even.
        let of_score = |step: i32| {
            let score = (-5.0 + f64::from(step) / 10.0).exp();
            let hits = (curve.probability(score) * 2_000.0).round() as usize;
            (0..2_000).map(move |number| (score, number < hits))
        };
        let observed: Vec<(f64, bool)> = (0..30).flat_map(of_score).collect();
        let fitted = Curve::fit(&observed);
        for score in [0.007, 0.03, 0.1] {
            let (told, came) = (fitted.probability(score), curve.probability(score));
            assert!((told / came - 1.0).abs() < 0.1, "{score}: {told} of {came}, by {fitted:?}");
        }
    }

    #[test]
    fn a_fit_recovers_the_rate_of_hits() {
        let observed: Vec<(f64, bool)> =
            (0..10_000).map(|number| (0.1 + f64::from(number % 9) / 10.0, number % 20 == 0)).collect();
        let curve = Curve::fit(&observed);
        let mean: f64 = observed.iter().map(|(score, _)| curve.probability(*score)).sum::<f64>() / 10_000.0;
        assert!((mean - 0.05).abs() < 0.002, "{mean}");
    }
}
