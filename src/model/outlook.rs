//! Learning of the retention outlook: which customers buy again within a window, and which subscribers stay.
//!
//! **Buying.** Training asks the past what serving asks about the future: of all customers as of a moment, who bought within
//! the days after it? Three such windows end now; the longest is as long as the window wanted, or shorter where the
//! history is short. Each window has an intercept of its own, so that a good or bad season is not taken for a property
//! of customers, and that of the latest, longest window is served. The rhythm (MBG/NBD) enters as an offset with a slope
//! near 1; where history is thin the rhythm alone is served, and where it is thinner, nothing.
//!
//! **Staying.** Of customers with a subscription at the start of the longest window, who still had one at its end? Learned
//! from tenure, usage and profile.
//!
//! Monotone features have bounds on their coefficients ([`logistic`](super::logistic)); the strength of the penalties is
//! fixed. What is learned here is served by `domain::outlook`.

use std::time::Duration;

use super::buying_outlook::learn_buying;
use super::feature_scaling::CUSTOMERS_MIN;
use super::outlook_history::{CUSTOMERS_MAX, OutlookHistory};
use super::probability_quality::{PredictedOutcome, ProbabilityQuality};
use super::staying_outlook::{Profiles, learn_staying_from};
use super::window::{days_before, in_days};
use crate::domain::outlook::{Outlook, RecencyFrequency};
use crate::domain::time::{DAY, Timestamp};

/// Maximum length of a window as a share of the history: what comes before it must distinguish customers.
const HISTORY_SHARE: f64 = 0.45;
/// Minimum length of a window.
const WINDOW_DAYS_MIN: f64 = 7.0;

/// Outlook that was learned, with remarks.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct LearnedOutlook {
    /// Outlook to serve.
    pub outlook: Outlook,
    /// Remarks for the training report, one sentence each.
    pub notes: Vec<String>,
}

/// Learns the outlook of the next `window` from everything before `now`.
pub fn learn_outlook(
    history: &OutlookHistory,
    profiles: &Profiles<'_>,
    now: Timestamp,
    window: Duration,
) -> LearnedOutlook {
    let Some(longest) = longest_window(history, now, window) else {
        let notes = vec!["retention outlook: the history is too short to learn it".to_owned()];
        return LearnedOutlook { outlook: Outlook::default(), notes };
    };
    let mut notes = Vec::new();
    let buying = learn_buying(history, now, longest, in_days(window), &mut notes);
    let staying = learn_staying_from(history, profiles, now, longest, &mut notes);
    LearnedOutlook { outlook: Outlook { buying, staying }, notes }
}

/// Evaluates a buying outlook learned before the last window on that window, beside the rhythm alone; `None` when there are
/// too few customers.
pub fn evaluate_outlook(
    history: &OutlookHistory,
    now: Timestamp,
    window: Duration,
) -> Option<[(&'static str, ProbabilityQuality); 2]> {
    let longest = longest_window(history, now, window)?;
    let (cutoff, window) = (days_before(now, longest), DAY.mul_f64(longest));
    let buying = learn_buying(history, cutoff, longest_window(history, cutoff, window)?, longest, &mut Vec::new())?;
    let (mut predictions, mut by_rhythm) = (Vec::new(), Vec::new());
    for customer in history.as_of(cutoff, now, CUSTOMERS_MAX) {
        let Some(probability) = buying.probability(&customer.state, cutoff, window) else { continue };
        let recency = RecencyFrequency::of(&customer.state, cutoff).expect("a customer with a probability has bought");
        let rhythm_probability = buying.rhythm.purchase_probability(recency, longest / 7.0);
        predictions.push(PredictedOutcome { probability, hit: customer.repurchased });
        by_rhythm.push(PredictedOutcome { probability: rhythm_probability, hit: customer.repurchased });
    }
    if predictions.len() < CUSTOMERS_MIN {
        return None;
    }
    Some([("tactful", ProbabilityQuality::of(&predictions)?), ("mbg_nbd", ProbabilityQuality::of(&by_rhythm)?)])
}

/// Length of the longest window in days; `None` when the history is too short for any.
fn longest_window(history: &OutlookHistory, now: Timestamp, window: Duration) -> Option<f64> {
    let length = now.days_since(history.starts_at()?);
    let longest = (length * HISTORY_SHARE).floor().min(in_days(window));
    (longest >= WINDOW_DAYS_MIN).then_some(longest)
}
