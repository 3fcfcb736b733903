//! Learning of the buying outlook, see [`outlook`](super::outlook).

use super::feature_scaling::{FeatureScale, intercept, is_thin, monotone};
use super::logistic::{self, Coefficient, Observation};
use super::mbg_nbd;
use super::outlook_history::{CUSTOMERS_MAX, CustomerSnapshot, OutlookHistory};
use super::window::days_before;
use crate::domain::outlook::{
    BuyingFeature, BuyingOutlook, FeatureWeight, MbgNbd, RecencyFrequency, buying_features, rhythm_logit, step,
};
use crate::domain::time::Timestamp;

/// Lengths of the windows that end now, as shares of the longest.
const WINDOWS: [f64; 3] = [1.0, 0.75, 0.5];
/// Penalty that pulls the slope of the rhythm to 1. Between 5 and 100 the area under the curve changes by less than .001 on
/// the sets at hand.
const SLOPE_PENALTY: f64 = 100.0;

/// Learns from everything before `now`, by windows of at most `longest` days; `None` when there are too few customers to fit
/// even a rhythm. Adds remarks to the notes.
pub fn learn_buying(
    history: &OutlookHistory,
    now: Timestamp,
    longest: f64,
    window_days: f64,
    notes: &mut Vec<String>,
) -> Option<BuyingOutlook> {
    let customers_now = recencies(&history.as_of(now, now, CUSTOMERS_MAX), now);
    let rhythm = mbg_nbd::fit(&customers_now)?;
    let typical = typical_customer(&rhythm, &customers_now, longest, window_days)?;
    let buyers: Vec<Buyer> = (0..WINDOWS.len()).flat_map(|window| buyers_of(history, now, window, longest)).collect();
    let in_longest = || buyers.iter().filter(|buyer| buyer.window == 0);
    let repurchased = in_longest().filter(|buyer| buyer.repurchased).count();
    if is_thin(repurchased, in_longest().count()) {
        notes.push("buying outlook: too few customers to fit features; the purchase rhythm is used alone".to_owned());
        return Some(rhythm_alone(rhythm, longest, typical));
    }
    let fitted = fit_buyers(&buyers, rhythm, longest, typical)?;
    notes.push(format!(
        "buying outlook: learned from {} customers as of {longest} days ago, of whom {repurchased} bought again, and two \
         shorter windows; {}",
        in_longest().count(),
        describe_weights(&fitted)
    ));
    Some(fitted)
}

/// Buyer at the start of a window, with the outcome of the window.
struct Buyer {
    /// Index in [`WINDOWS`].
    window: usize,
    /// Logit of the rhythm over that window.
    rhythm_logit: f64,
    features: [f64; BuyingFeature::ALL.len()],
    repurchased: bool,
}

/// Buyers of a window; none when there are too few customers to fit a rhythm at its start.
fn buyers_of(history: &OutlookHistory, now: Timestamp, window: usize, longest: f64) -> Vec<Buyer> {
    let window_days = (longest * WINDOWS[window]).floor();
    let start = days_before(now, window_days);
    let customers = history.as_of(start, now, CUSTOMERS_MAX);
    let Some(rhythm) = mbg_nbd::fit(&recencies(&customers, start)) else { return Vec::new() };
    let buyer = |customer: &CustomerSnapshot<'_>| {
        Some(Buyer {
            window,
            rhythm_logit: rhythm_logit(&rhythm, RecencyFrequency::of(&customer.state, start)?, window_days),
            features: buying_features(&customer.state, &rhythm, start)?,
            repurchased: customer.repurchased,
        })
    };
    customers.iter().filter_map(buyer).collect()
}

fn recencies(customers: &[CustomerSnapshot<'_>], at: Timestamp) -> Vec<RecencyFrequency> {
    customers.iter().filter_map(|customer| RecencyFrequency::of(&customer.state, at)).collect()
}

/// Customer whose step from the learned window to the wanted one is closest to the mean step.
fn typical_customer(
    rhythm: &MbgNbd,
    customers: &[RecencyFrequency],
    learned_days: f64,
    window_days: f64,
) -> Option<RecencyFrequency> {
    let steps = || customers.iter().map(|&customer| (step(rhythm, customer, learned_days, window_days), customer));
    let mean = steps().map(|(step, _)| step).sum::<f64>() / customers.len() as f64;
    steps().min_by(|a, b| (a.0 - mean).abs().total_cmp(&(b.0 - mean).abs())).map(|(_, customer)| customer)
}

fn rhythm_alone(rhythm: MbgNbd, learned_days: f64, typical: RecencyFrequency) -> BuyingOutlook {
    let no_weight = FeatureWeight { mean: 0.0, deviation: 1.0, weight: 0.0 };
    let weights = [no_weight; BuyingFeature::ALL.len()];
    BuyingOutlook { rhythm, learned_days, intercept: 0.0, slope: 1.0, typical, weights }
}

fn fit_buyers(buyers: &[Buyer], rhythm: MbgNbd, longest: f64, typical: RecencyFrequency) -> Option<BuyingOutlook> {
    let mut windows: Vec<usize> = buyers.iter().map(|buyer| buyer.window).collect();
    windows.sort_unstable();
    windows.dedup();
    let scale = |index: usize| FeatureScale::of(buyers.iter().map(|buyer| buyer.features[index]));
    let scales: Vec<FeatureScale> = (0..BuyingFeature::ALL.len()).map(scale).collect();
    let observations: Vec<Observation> = buyers
        .iter()
        .map(|buyer| {
            let mut features: Vec<f64> =
                windows.iter().map(|&window| f64::from(u8::from(window == buyer.window))).collect();
            features.push(buyer.rhythm_logit);
            features.extend(scales.iter().zip(buyer.features).map(|(scale, value)| scale.standardize(value)));
            Observation { features, label: buyer.repurchased, weight: 1.0 / windows.len() as f64 }
        })
        .collect();
    let mut coefficients = vec![intercept(); windows.len()];
    coefficients.push(Coefficient { prior: 1.0, penalty: SLOPE_PENALTY, min: 0.0, max: 1.0 });
    coefficients.extend(BuyingFeature::ALL.map(|feature| monotone(feature.monotonicity())));
    let fitted = logistic::fit(&observations, &coefficients)?;
    let of_features = &fitted[windows.len() + 1..];
    let mut weights = scales.iter().zip(of_features).map(|(scale, &weight)| scale.weight(weight));
    Some(BuyingOutlook {
        rhythm,
        learned_days: longest,
        intercept: fitted[0],
        slope: fitted[windows.len()],
        typical,
        weights: std::array::from_fn(|_| weights.next().expect("one for each feature")),
    })
}

fn describe_weights(fitted: &BuyingOutlook) -> String {
    let weights = BuyingFeature::ALL.iter().zip(fitted.weights).filter(|(_, weight)| weight.weight.abs() >= 0.005);
    let weights: Vec<String> =
        weights.map(|(feature, weight)| format!("{} {:+.2}", feature.as_str(), weight.weight)).collect();
    format!("weights: rhythm {:.2}, {}", fitted.slope, weights.join(", "))
}
