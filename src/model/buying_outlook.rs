//! Learns who comes back: see [`outlook`](super::outlook).

use super::logistic::{self, Coefficient, Observation};
use super::outlook::{CUSTOMERS_MAX, back};
use super::outlook_history::{OutlookHistory, PastCustomer};
use super::rhythm;
use super::signal_fit::{Scale, directed, intercept, is_thin};
use crate::domain::outlook::{
    BuyingFeature, BuyingOutlook, FeatureWeight, MbgNbd, RecencyFrequency, buying_features, rhythm_logit, step,
};
use crate::domain::time::Timestamp;

/// The windows that end now, as shares of the longest.
const WINDOWS: [f64; 3] = [1.0, 0.75, 0.5];
/// The pull of the rhythm's slope to 1. Between 5 and 100 the area under the curve changes by less than .001 on the sets at
/// hand.
const SLOPE_PULL: f64 = 100.0;

/// Learns from everything before `now`, by windows of at most `longest` days; `None` when not even a rhythm can be told.
/// What was learned from is noted.
pub fn learn_buying(
    history: &OutlookHistory,
    now: Timestamp,
    longest: f64,
    asked_days: f64,
    notes: &mut Vec<String>,
) -> Option<BuyingOutlook> {
    let recencies = |customers: &[PastCustomer<'_>], at: Timestamp| -> Vec<RecencyFrequency> {
        customers.iter().filter_map(|customer| RecencyFrequency::of(&customer.state, at)).collect()
    };
    let customers_now = recencies(&history.as_of(now, now, CUSTOMERS_MAX), now);
    let rhythm = rhythm::fit(&customers_now)?;
    let typical = typical(&rhythm, &customers_now, longest, asked_days)?;
    let mut buyers = Vec::new();
    for (window, share) in WINDOWS.into_iter().enumerate() {
        let window_days = (longest * share).floor();
        let from = back(now, window_days);
        let customers = history.as_of(from, now, CUSTOMERS_MAX);
        let Some(rhythm_then) = rhythm::fit(&recencies(&customers, from)) else { continue };
        let asked = |customer: &PastCustomer<'_>| {
            Some(Buyer {
                window,
                rhythm_logit: rhythm_logit(&rhythm_then, RecencyFrequency::of(&customer.state, from)?, window_days),
                signals: buying_features(&customer.state, &rhythm_then, from)?,
                came_back: customer.came_back,
            })
        };
        buyers.extend(customers.iter().filter_map(asked));
    }
    let in_longest = || buyers.iter().filter(|buyer| buyer.window == 0);
    let came_back = in_longest().filter(|buyer| buyer.came_back).count();
    if is_thin(came_back, in_longest().count()) {
        notes.push("too few customers to learn who comes back; the rhythm of all purchases tells it".to_owned());
        return Some(rhythm_alone(rhythm, longest, typical));
    }
    let fitted = fit_buyers(&buyers, rhythm, longest, typical)?;
    notes.push(format!(
        "who comes back was learned from {} customers {longest} days ago, of whom {came_back} did, and two shorter \
         windows; {}",
        in_longest().count(),
        told_weights(&fitted)
    ));
    Some(fitted)
}

/// A buyer as of the beginning of a window, with what came of it.
struct Buyer {
    /// Which of [`WINDOWS`].
    window: usize,
    /// The logit of the rhythm over that window.
    rhythm_logit: f64,
    signals: [f64; BuyingFeature::ALL.len()],
    came_back: bool,
}

/// The customer whose step from the window learned to the window asked is closest to the mean step.
fn typical(
    rhythm: &MbgNbd,
    customers: &[RecencyFrequency],
    learned_days: f64,
    asked_days: f64,
) -> Option<RecencyFrequency> {
    let steps = || customers.iter().map(|&customer| (step(rhythm, customer, learned_days, asked_days), customer));
    let mean = steps().map(|(step, _)| step).sum::<f64>() / customers.len() as f64;
    steps().min_by(|a, b| (a.0 - mean).abs().total_cmp(&(b.0 - mean).abs())).map(|(_, customer)| customer)
}

fn rhythm_alone(rhythm: MbgNbd, learned_days: f64, typical: RecencyFrequency) -> BuyingOutlook {
    let nothing = FeatureWeight { mean: 0.0, deviation: 1.0, weight: 0.0 };
    let weights = [nothing; BuyingFeature::ALL.len()];
    BuyingOutlook { rhythm, learned_days, intercept: 0.0, slope: 1.0, typical, weights }
}

fn fit_buyers(buyers: &[Buyer], rhythm: MbgNbd, longest: f64, typical: RecencyFrequency) -> Option<BuyingOutlook> {
    let mut windows: Vec<usize> = buyers.iter().map(|buyer| buyer.window).collect();
    windows.sort_unstable();
    windows.dedup();
    let scales: Vec<Scale> =
        (0..BuyingFeature::ALL.len()).map(|place| Scale::of(buyers.iter().map(|buyer| buyer.signals[place]))).collect();
    let observations: Vec<Observation> = buyers
        .iter()
        .map(|buyer| {
            let mut features: Vec<f64> =
                windows.iter().map(|&window| f64::from(u8::from(window == buyer.window))).collect();
            features.push(buyer.rhythm_logit);
            features.extend(scales.iter().zip(buyer.signals).map(|(scale, signal)| scale.scaled(signal)));
            Observation { features, hit: buyer.came_back, weight: 1.0 / windows.len() as f64 }
        })
        .collect();
    let mut coefficients = vec![intercept(); windows.len()];
    coefficients.push(Coefficient { prior: 1.0, pull: SLOPE_PULL, least: 0.0, most: 1.0 });
    coefficients.extend(BuyingFeature::ALL.map(|signal| directed(signal.monotonicity())));
    let fitted = logistic::fit(&observations, &coefficients)?;
    let own = &fitted[windows.len() + 1..];
    let mut weights = scales.iter().zip(own).map(|(scale, &weight)| scale.weight(weight));
    Some(BuyingOutlook {
        rhythm,
        learned_days: longest,
        intercept: fitted[0],
        slope: fitted[windows.len()],
        typical,
        weights: std::array::from_fn(|_| weights.next().expect("one for each signal")),
    })
}

fn told_weights(fitted: &BuyingOutlook) -> String {
    let told = BuyingFeature::ALL.iter().zip(fitted.weights).filter(|(_, weight)| weight.weight.abs() >= 0.005);
    let told: Vec<String> = told.map(|(signal, weight)| format!("{} {:+.2}", signal.as_str(), weight.weight)).collect();
    format!("weights: rhythm {:.2}, {}", fitted.slope, told.join(", "))
}
