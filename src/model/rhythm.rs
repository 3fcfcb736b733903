//! Fits the rhythm of purchases in a population: MBG/NBD by maximum likelihood.
//!
//! Source: Batislam, Denizel and Filiztekin (2007), equation 5. With `x` repeat_purchases, the last at `t` and an age of `T`
//! (weeks), a customer's likelihood is
//!
//! ```text
//! G(r+x)/G(r) alpha^r [ B(a, b+x+1)/B(a, b) (alpha+T)^-(r+x)  +  B(a+1, b+x)/B(a, b) (alpha+t)^-(r+x) ]
//! ```
//!
//! still there, or gone right after the last purchase. `x` is whole, so that gamma and beta functions are products.
//! A weak pull to 1 (`.05 ln^2` of each parameter) keeps the parameters finite where the data do not.

use argmin::core::{CostFunction, Error, Executor, State};
use argmin::solver::neldermead::NelderMead;

use crate::domain::outlook::{MbgNbd, RecencyFrequency};

/// Fewer customers who came back at least once tell no rhythm: the rate at which customers leave would be a guess.
pub const REPEATERS_MIN: usize = 20;
/// The most customers looked at; more tell four parameters nothing new.
const CUSTOMERS_MAX: usize = 20_000;
/// How strongly parameters are pulled to 1.
const PULL: f64 = 0.05;
/// Parameters stay within e^-7 to e^7.
const LOG_PARAMETER_MAX: f64 = 7.0;
const ITERATIONS_MAX: u64 = 600;

/// The rhythm of these customers; `None` when they are too few.
pub fn fit(customers: &[RecencyFrequency]) -> Option<MbgNbd> {
    if customers.iter().filter(|customer| customer.repeat_purchases > 0.0).count() < REPEATERS_MIN {
        return None;
    }
    let stride = customers.len().div_ceil(CUSTOMERS_MAX);
    let seen: Vec<RecencyFrequency> = customers.iter().step_by(stride).copied().collect();
    // From two sides: customers who stay, and customers who leave at once.
    let starts = [[-0.5, 1.0, -1.0, 1.0], [0.0, 3.0, 0.0, 1.0]];
    let found = starts.iter().filter_map(|start| descend(&seen, start));
    found.min_by(|a, b| a.0.total_cmp(&b.0)).map(|(_, logarithms)| rhythm(&logarithms))
}

fn rhythm(logarithms: &[f64]) -> MbgNbd {
    let of = |place: usize| logarithms[place].clamp(-LOG_PARAMETER_MAX, LOG_PARAMETER_MAX).exp();
    MbgNbd { r: of(0), alpha: of(1), a: of(2), b: of(3) }
}

fn descend(customers: &[RecencyFrequency], start: &[f64; 4]) -> Option<(f64, Vec<f64>)> {
    let mut simplex = vec![start.to_vec()];
    simplex.extend((0..start.len()).map(|place| {
        let mut corner = start.to_vec();
        corner[place] += 0.7;
        corner
    }));
    let solver = NelderMead::new(simplex).with_sd_tolerance(1e-7).ok()?;
    let run = Executor::new(Likelihood { customers }, solver).configure(|state| state.max_iters(ITERATIONS_MAX));
    let ended = run.run().ok()?;
    let best = ended.state.get_best_param()?.clone();
    let cost = ended.state.get_best_cost();
    (cost.is_finite() && best.iter().all(|logarithm| logarithm.is_finite())).then_some((cost, best))
}

struct Likelihood<'a> {
    customers: &'a [RecencyFrequency],
}

impl CostFunction for Likelihood<'_> {
    type Param = Vec<f64>;
    type Output = f64;

    /// The mean negative logarithm of the likelihood.
    fn cost(&self, logarithms: &Vec<f64>) -> Result<f64, Error> {
        let rhythm = rhythm(logarithms);
        let MbgNbd { r, alpha, a, b } = rhythm;
        let repeats_max = self.customers.iter().map(|customer| customer.repeat_purchases as usize).max().unwrap_or(0);
        // ln G(r+x)/G(r), and ln B(a, b+x+1)/B(a, b).
        let (mut rising, mut staying) = (vec![0.0; repeats_max + 1], vec![0.0; repeats_max + 1]);
        let (mut purchases, mut stays) = (0.0, (b / (a + b)).ln());
        for x in 0..=repeats_max {
            (rising[x], staying[x]) = (purchases, stays);
            purchases += (r + x as f64).ln();
            stays += ((b + 1.0 + x as f64) / (a + b + 1.0 + x as f64)).ln();
        }
        let mut sum = 0.0;
        for customer in self.customers {
            let x = customer.repeat_purchases as usize;
            let shape = r + customer.repeat_purchases;
            let there = staying[x] - shape * (alpha + customer.age_weeks).ln();
            // B(a+1, b+x) = B(a, b+x+1) a / (b+x).
            let gone =
                staying[x] + (a / (b + customer.repeat_purchases)).ln() - shape * (alpha + customer.recency_weeks).ln();
            let larger = there.max(gone);
            sum += rising[x] + r * alpha.ln() + larger + (-(there - gone).abs()).exp().ln_1p();
        }
        let outside: f64 = logarithms.iter().map(|it| (it.abs() - LOG_PARAMETER_MAX).max(0.0).powi(2)).sum();
        let pull: f64 = logarithms.iter().map(|it| it * it).sum::<f64>() * PULL;
        Ok((pull - sum) / self.customers.len() as f64 + outside)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Customers who buy about every fourth week, and of whom one in five leaves after each purchase.
    #[test]
    fn a_fit_tells_who_is_gone_from_who_is_not() {
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
        assert_eq!(fit(&customers[..REPEATERS_MIN]), None, "a fifth of them never came back");
    }
}
