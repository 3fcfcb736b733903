//! From a score to a probability.
//!
//! Scores of the customer-level regression become probabilities by Platt's method on a stretch of history that the
//! scores did not see: `p = 1 / (1 + exp(-(a + b ln(score))))` with `b` above zero, so that the order stays that of the
//! scores. Basket-level scores are used as they are: the regression estimates the probability that the basket holds the
//! product.

/// Below this a score carries no information.
const SCORE_MIN: f64 = 1e-6;
/// The gentlest slope: the order of scores is always kept.
const SLOPE_MIN: f64 = 0.05;

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
    #[must_use]
    pub fn probability(self, score: f64) -> f64 {
        let logit = self.intercept + self.slope * positive(score).ln();
        1.0 / (1.0 + (-logit).exp())
    }

    /// Fits the curve to scores and what came of them, by Newton's method on the likelihood with a weak pull to the
    /// default; the default when there are fewer than 20 hits.
    #[must_use]
    pub fn fit(observed: &[(f64, bool)]) -> Self {
        if observed.iter().filter(|(_, hit)| *hit).count() < 20 {
            return Self::DEFAULT;
        }
        let Self { mut intercept, mut slope } = Self::DEFAULT;
        for _ in 0..50 {
            let (mut gradient, mut hessian) = ([0.0; 2], [[1.0, 0.0], [0.0, 1.0]]);
            gradient[0] -= intercept - Self::DEFAULT.intercept;
            gradient[1] -= slope - Self::DEFAULT.slope;
            for &(score, hit) in observed {
                let x = positive(score).ln();
                let probability = 1.0 / (1.0 + (-(intercept + slope * x)).exp());
                let residual = f64::from(u8::from(hit)) - probability;
                let weight = (probability * (1.0 - probability)).max(1e-12);
                gradient[0] += residual;
                gradient[1] += residual * x;
                hessian[0][0] += weight;
                hessian[0][1] += weight * x;
                hessian[1][1] += weight * x * x;
            }
            let determinant = hessian[0][0] * hessian[1][1] - hessian[0][1] * hessian[0][1];
            let step = [
                (hessian[1][1] * gradient[0] - hessian[0][1] * gradient[1]) / determinant,
                (hessian[0][0] * gradient[1] - hessian[0][1] * gradient[0]) / determinant,
            ];
            intercept += step[0].clamp(-2.0, 2.0);
            slope = (slope + step[1].clamp(-1.0, 1.0)).max(SLOPE_MIN);
            if step[0].abs() + step[1].abs() < 1e-9 {
                break;
            }
        }
        if intercept.is_finite() && slope.is_finite() { Self { intercept, slope } } else { Self::DEFAULT }
    }
}

/// A smooth, strictly growing map of any score to above zero that leaves clear scores as they are.
#[must_use]
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

    #[test]
    fn a_fit_recovers_the_rate_of_hits() {
        let observed: Vec<(f64, bool)> =
            (0..10_000).map(|number| (0.1 + f64::from(number % 9) / 10.0, number % 20 == 0)).collect();
        let curve = Curve::fit(&observed);
        let mean: f64 = observed.iter().map(|(score, _)| curve.probability(*score)).sum::<f64>() / 10_000.0;
        assert!((mean - 0.05).abs() < 0.002, "{mean}");
    }
}
