//! Fit of the purchase rhythm of a population: MBG/NBD by maximum likelihood.
//!
//! Source: Batislam, Denizel and Filiztekin (2007), equation 5. With `x` repeat purchases, the last at `t`, and an age of
//! `T` (weeks), the likelihood of a customer is
//!
//! ```text
//! G(r+x)/G(r) alpha^r [ B(a, b+x+1)/B(a, b) (alpha+T)^-(r+x)  +  B(a+1, b+x)/B(a, b) (alpha+t)^-(r+x) ]
//! ```
//!
//! still active, or inactive right after the last purchase. `x` is whole, so that gamma and beta functions are products.
//! A weak penalty (`.05 ln^2` of each parameter) keeps the parameters finite where the data do not.

use super::nelder_mead::minimize;
use crate::domain::outlook::{MbgNbd, RecencyFrequency};

/// Minimum number of customers with a repeat purchase: with fewer, the rate at which customers leave would be a guess.
pub const REPEATERS_MIN: usize = 20;
/// Maximum number of customers to fit; more do not change four parameters.
const CUSTOMERS_MAX: usize = 20_000;
/// Weight of the penalty on parameters other than 1.
const PENALTY: f64 = 0.05;
/// Parameters are within e^-7 to e^7.
const LOG_PARAMETER_MAX: f64 = 7.0;
/// Starts of the search, as logarithms: customers who stay, and customers who leave at once.
const STARTS: [[f64; 4]; 2] = [[-0.5, 1.0, -1.0, 1.0], [0.0, 3.0, 0.0, 1.0]];
const START_STEP: f64 = 0.7;
const COST_TOLERANCE: f64 = 1e-7;
const ITERATIONS_MAX: usize = 600;

/// Fits the rhythm of these customers; `None` when they are too few.
pub fn fit(customers: &[RecencyFrequency]) -> Option<MbgNbd> {
    if customers.iter().filter(|customer| customer.repeat_purchases > 0.0).count() < REPEATERS_MIN {
        return None;
    }
    let stride = customers.len().div_ceil(CUSTOMERS_MAX);
    let sample: Vec<RecencyFrequency> = customers.iter().step_by(stride).copied().collect();
    let cost = |logarithms: &[f64; 4]| cost(&sample, logarithms);
    let found = STARTS
        .into_iter()
        .filter_map(|start| minimize(cost, start, START_STEP, COST_TOLERANCE, ITERATIONS_MAX))
        .min_by(|a, b| a.1.total_cmp(&b.1));
    found.map(|(logarithms, _)| rhythm(&logarithms))
}

fn rhythm(logarithms: &[f64; 4]) -> MbgNbd {
    let [r, alpha, a, b] = logarithms.map(|it| it.clamp(-LOG_PARAMETER_MAX, LOG_PARAMETER_MAX).exp());
    MbgNbd { r, alpha, a, b }
}

/// Mean negative logarithm of the likelihood, with the penalty.
fn cost(customers: &[RecencyFrequency], logarithms: &[f64; 4]) -> f64 {
    let MbgNbd { r, alpha, a, b } = rhythm(logarithms);
    let repeats_max = customers.iter().map(|customer| customer.repeat_purchases as usize).max().unwrap_or(0);
    // ln G(r+x)/G(r), and ln B(a, b+x+1)/B(a, b).
    let (mut rising, mut staying) = (vec![0.0; repeats_max + 1], vec![0.0; repeats_max + 1]);
    let (mut purchases, mut stays) = (0.0, (b / (a + b)).ln());
    for x in 0..=repeats_max {
        (rising[x], staying[x]) = (purchases, stays);
        purchases += (r + x as f64).ln();
        stays += ((b + 1.0 + x as f64) / (a + b + 1.0 + x as f64)).ln();
    }
    let mut sum = 0.0;
    for customer in customers {
        let x = customer.repeat_purchases as usize;
        let shape = r + customer.repeat_purchases;
        let active = staying[x] - shape * (alpha + customer.age_weeks).ln();
        // B(a+1, b+x) = B(a, b+x+1) a / (b+x).
        let inactive =
            staying[x] + (a / (b + customer.repeat_purchases)).ln() - shape * (alpha + customer.recency_weeks).ln();
        let larger = active.max(inactive);
        sum += rising[x] + r * alpha.ln() + larger + (-(active - inactive).abs()).exp().ln_1p();
    }
    let outside: f64 = logarithms.iter().map(|it| (it.abs() - LOG_PARAMETER_MAX).max(0.0).powi(2)).sum();
    let penalty: f64 = logarithms.iter().map(|it| it * it).sum::<f64>() * PENALTY;
    (penalty - sum) / customers.len() as f64 + outside
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Customers who buy about every fourth week, of whom one in five leaves after each purchase.
    #[test]
    fn a_fit_separates_active_from_inactive_customers() {
        let mut customers = Vec::new();
        for number in 0..400_u32 {
            let repeat_purchases = f64::from(number % 5);
            let age_weeks = 40.0 + f64::from(number % 7);
            customers.push(RecencyFrequency { repeat_purchases, recency_weeks: repeat_purchases * 4.0, age_weeks });
        }
        let rhythm = fit(&customers).expect("enough customers");
        let recent = RecencyFrequency { repeat_purchases: 9.0, recency_weeks: 39.0, age_weeks: 40.0 };
        let silent = RecencyFrequency { repeat_purchases: 9.0, recency_weeks: 10.0, age_weeks: 40.0 };
        assert!(rhythm.probability_active(recent) > 0.5, "{rhythm:?}");
        assert!(rhythm.probability_active(silent) < 0.1, "{rhythm:?}");
        assert!(rhythm.purchase_probability(recent, 13.0) > rhythm.purchase_probability(silent, 13.0));
        assert_eq!(fit(&customers[..REPEATERS_MIN]), None, "a fifth of them have no repeat purchase");
    }
}
