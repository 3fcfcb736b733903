//! Logistic regression with a quadratic penalty on every coefficient, and monotone where a coefficient has bounds.
//!
//! Minimises `sum of weight x loss + 1/2 sum of penalty x (coefficient - prior)^2` within the bounds, by Newton steps whose
//! quadratic problem is solved by coordinate descent (the bounds are then a clamp), halved until the loss falls. The
//! problem is convex and small: a Hessian of a hundred coefficients.

/// Prior and bounds of one coefficient.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Coefficient {
    /// Value that the penalty pulls to, and the start of the search; within the bounds.
    pub prior: f64,
    /// Strength of the penalty; 0 and more.
    pub penalty: f64,
    pub min: f64,
    pub max: f64,
}

/// Labelled and weighted observation.
#[derive(Debug, Clone, PartialEq)]
pub struct Observation {
    /// One number for each coefficient.
    pub features: Vec<f64>,
    /// True for a positive.
    pub label: bool,
    /// Weight of the loss; above 0.
    pub weight: f64,
}

const STEPS_MAX: usize = 60;
const SWEEPS_MAX: usize = 2000;
const HALVINGS_MAX: usize = 30;
const CLOSE_ENOUGH: f64 = 1e-8;

/// Fits the coefficients; `None` when numbers do not stay finite.
pub fn fit(observations: &[Observation], coefficients: &[Coefficient]) -> Option<Vec<f64>> {
    let mut now: Vec<f64> = coefficients.iter().map(|it| it.prior.clamp(it.min, it.max)).collect();
    let mut loss = loss_at(observations, coefficients, &now);
    for _ in 0..STEPS_MAX {
        let step = newton_step(observations, coefficients, &now);
        let mut share = 1.0;
        let taken = (0..HALVINGS_MAX).find_map(|_| {
            let tried: Vec<f64> = now.iter().zip(&step).map(|(at, step)| at + share * step).collect();
            let tried_loss = loss_at(observations, coefficients, &tried);
            share /= 2.0;
            (tried_loss < loss).then_some((tried, tried_loss))
        });
        let Some((next, next_loss)) = taken else { break };
        let gained = loss - next_loss;
        (now, loss) = (next, next_loss);
        if gained < CLOSE_ENOUGH * (1.0 + loss.abs()) {
            break;
        }
    }
    (loss.is_finite() && now.iter().all(|at| at.is_finite())).then_some(now)
}

/// Scalar product of features and coefficients.
pub fn logit(features: &[f64], coefficients: &[f64]) -> f64 {
    features.iter().zip(coefficients).map(|(feature, coefficient)| feature * coefficient).sum()
}

fn loss_at(observations: &[Observation], coefficients: &[Coefficient], at: &[f64]) -> f64 {
    let lost = observations.iter().map(|observation| {
        let logit = logit(&observation.features, at);
        // ln(1 + e^logit) - label x logit, without overflow.
        let softplus = logit.max(0.0) + (-logit.abs()).exp().ln_1p();
        observation.weight * (softplus - if observation.label { logit } else { 0.0 })
    });
    let penalty = coefficients.iter().zip(at).map(|(it, at)| 0.5 * it.penalty * (at - it.prior).powi(2));
    lost.sum::<f64>() + penalty.sum::<f64>()
}

fn newton_step(observations: &[Observation], coefficients: &[Coefficient], at: &[f64]) -> Vec<f64> {
    let count = coefficients.len();
    let mut gradient: Vec<f64> = coefficients.iter().zip(at).map(|(it, at)| it.penalty * (at - it.prior)).collect();
    // The lower triangle, row by row.
    let mut hessian = vec![0.0; count * count];
    for observation in observations {
        let probability = 1.0 / (1.0 + (-logit(&observation.features, at)).exp());
        let residual = observation.weight * (probability - f64::from(u8::from(observation.label)));
        let curvature = observation.weight * (probability * (1.0 - probability)).max(1e-9);
        for (row, &feature) in observation.features.iter().enumerate().filter(|(_, feature)| **feature != 0.0) {
            gradient[row] += residual * feature;
            let scaled = curvature * feature;
            let cells = &mut hessian[row * count..=row * count + row];
            for (cell, other) in cells.iter_mut().zip(&observation.features) {
                *cell += scaled * other;
            }
        }
    }
    for row in 0..count {
        // A little curvature keeps a coefficient at its prior when no observation has its feature.
        hessian[row * count + row] += coefficients[row].penalty + 1e-9;
        for column in 0..row {
            hessian[column * count + row] = hessian[row * count + column];
        }
    }
    bounded_minimum(&gradient, &hessian, coefficients, at)
}

/// Step that minimises `gradient . step + 1/2 step . hessian . step` within the bounds.
fn bounded_minimum(gradient: &[f64], hessian: &[f64], coefficients: &[Coefficient], at: &[f64]) -> Vec<f64> {
    let count = gradient.len();
    let mut step = vec![0.0; count];
    let mut slope = gradient.to_vec();
    for _ in 0..SWEEPS_MAX {
        let mut moved = 0.0_f64;
        for index in 0..count {
            let Coefficient { min, max, .. } = coefficients[index];
            let row = &hessian[index * count..(index + 1) * count];
            let wanted = (at[index] + step[index] - slope[index] / row[index]).clamp(min, max) - at[index];
            let change = wanted - step[index];
            if change != 0.0 {
                step[index] = wanted;
                slope.iter_mut().zip(row).for_each(|(slope, cell)| *slope += cell * change);
                moved = moved.max(change.abs());
            }
        }
        if moved < 1e-10 {
            break;
        }
    }
    step
}

#[cfg(test)]
mod tests {
    use super::*;

    const FREE: Coefficient = Coefficient { prior: 0.0, penalty: 1e-6, min: f64::NEG_INFINITY, max: f64::INFINITY };

    fn observations() -> Vec<Observation> {
        // Logit -1 + 2 x: hits at the rate of the model, by counting.
        let mut observations = Vec::new();
        for x in [-1.0, -0.5, 0.0, 0.5, 1.0] {
            let probability = 1.0 / (1.0 + f64::exp(-(-1.0 + 2.0 * x)));
            for (label, weight) in [(true, probability), (false, 1.0 - probability)] {
                observations.push(Observation { features: vec![1.0, x], label, weight: weight * 1000.0 });
            }
        }
        observations
    }

    #[test]
    fn a_fit_recovers_the_coefficients() {
        let fitted = fit(&observations(), &[FREE, FREE]).expect("finite");
        assert!((fitted[0] + 1.0).abs() < 1e-4 && (fitted[1] - 2.0).abs() < 1e-4, "{fitted:?}");
    }

    /// Broken by: the clamp left out.
    #[test]
    fn a_bounded_coefficient_never_changes_its_sign() {
        let bad = Coefficient { max: 0.0, ..FREE };
        let fitted = fit(&observations(), &[FREE, bad]).expect("finite");
        assert!(fitted[1] == 0.0, "{fitted:?}");
        // The mean hit rate is 1 in 3 whatever x is.
        assert!((1.0 / (1.0 + (-fitted[0]).exp()) - 1.0 / 3.0).abs() < 0.001, "{fitted:?}");
    }

    #[test]
    fn a_strong_penalty_wins() {
        let held = Coefficient { prior: 0.5, penalty: 1e9, ..FREE };
        let fitted = fit(&observations(), &[FREE, held]).expect("finite");
        assert!((fitted[1] - 0.5).abs() < 1e-3, "{fitted:?}");
    }

    #[test]
    fn separable_labels_give_finite_coefficients() {
        let sure = |x: f64| Observation { features: vec![1.0, x], label: x > 0.0, weight: 1.0 };
        let fitted = fit(&[sure(-1.0), sure(1.0)], &[FREE, Coefficient { penalty: 0.1, ..FREE }]).expect("finite");
        assert!(fitted[1] > 0.5 && fitted[1] < 10.0, "{fitted:?}");
    }
}
