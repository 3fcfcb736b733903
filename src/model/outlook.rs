//! Learns the retention outlook: who comes back within the window, and who stays.
//!
//! **Buying.** The past is asked what the future will be asked: of all customers as of a moment in the past, who bought
//! within the days after it? Three such windows end now; the longest is as long as the window wanted, or less where the
//! history is short. Each window has an intercept of its own, so that a good or bad season is not taken for a property
//! of customers, and the latest, longest one is served. The rhythm (MBG/NBD) enters as an offset with a slope near 1;
//! where history is thin the rhythm alone is served, and where it is thinner, nothing.
//!
//! **Staying.** Of customers whose subscription ran at the beginning of the longest window, who was still there at its
//! end? Learned from tenure, use and profile.
//!
//! Directions are bounds of the fit ([`logistic`](super::logistic)); how strongly coefficients are pulled is fixed. What
//! is learned is served by `domain::outlook`.

use std::collections::BTreeMap;
use std::time::Duration;

use super::buying_outlook::learn_buying;
use super::calibration::{ProbabilityQuality, Told};
use super::outlook_history::{OutlookHistory, PastCustomer};
use super::signal_fit::CUSTOMERS_MIN;
use super::staying_outlook::learn_staying_from;
use crate::domain::outlook::{Outlook, RecencyFrequency};
use crate::domain::time::{DAY, Timestamp};

/// The longest window is at most this share of the history: what comes before it must tell customers apart.
const HISTORY_SHARE: f64 = 0.45;
/// Shorter windows tell nothing.
const WINDOW_DAYS_MIN: f64 = 7.0;
/// The most customers learned from.
pub const CUSTOMERS_MAX: usize = 100_000;

/// The profiles of customers: attributes by the customer's id.
pub type Profiles<'a> = dyn Fn(&PastCustomer<'_>) -> Option<&'a BTreeMap<String, String>> + 'a;

/// What was learned, and from how much.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct LearnedOutlook {
    /// What is served.
    pub outlook: Outlook,
    /// For the report, one sentence each.
    pub notes: Vec<String>,
}

/// Learns from everything before `now` what the next `window` will bring.
pub fn learn(history: &OutlookHistory, profiles: &Profiles<'_>, now: Timestamp, window: Duration) -> LearnedOutlook {
    let Some(longest) = longest_window(history, now, window) else {
        let notes = vec!["the history is too short to learn who comes back".to_owned()];
        return LearnedOutlook { outlook: Outlook::default(), notes };
    };
    let mut notes = Vec::new();
    let buying = learn_buying(history, now, longest, in_days(window), &mut notes);
    let staying = learn_staying_from(history, profiles, now, longest, &mut notes);
    LearnedOutlook { outlook: Outlook { buying, staying }, notes }
}

/// What was learned before the last window, judged on it: `None` where there are too few customers to tell.
pub fn judge(
    history: &OutlookHistory,
    now: Timestamp,
    window: Duration,
) -> Option<[(&'static str, ProbabilityQuality); 2]> {
    let longest = longest_window(history, now, window)?;
    let (split, asked) = (back(now, longest), days(longest));
    let buying = learn_buying(history, split, longest_window(history, split, asked)?, longest, &mut Vec::new())?;
    let (mut told, mut by_rhythm) = (Vec::new(), Vec::new());
    for customer in history.as_of(split, now, CUSTOMERS_MAX) {
        let Some(probability) = buying.probability(&customer.state, split, asked) else { continue };
        let recency = RecencyFrequency::of(&customer.state, split).expect("a probability was told");
        told.push(Told { probability, hit: customer.came_back });
        by_rhythm.push(Told {
            probability: buying.rhythm.purchase_probability(recency, longest / 7.0),
            hit: customer.came_back,
        });
    }
    let is_enough = told.len() >= CUSTOMERS_MIN;
    let quality = |told: &[Told]| ProbabilityQuality::of(told).filter(|_| is_enough);
    Some([("tactful", quality(&told)?), ("mbg_nbd", quality(&by_rhythm)?)])
}

fn longest_window(history: &OutlookHistory, now: Timestamp, window: Duration) -> Option<f64> {
    let known = now.days_since(history.begins()?);
    let longest = (known * HISTORY_SHARE).floor().min(in_days(window));
    (longest >= WINDOW_DAYS_MIN).then_some(longest)
}

fn in_days(span: Duration) -> f64 {
    span.as_secs_f64() / DAY.as_secs_f64()
}

fn days(days: f64) -> Duration {
    DAY.mul_f64(days)
}

/// The moment some days before another.
pub fn back(now: Timestamp, days: f64) -> Timestamp {
    let ms = (days * DAY.as_millis() as f64) as i64;
    Timestamp::from_unix_ms(now.unix_ms().saturating_sub(ms)).unwrap_or(Timestamp::MIN)
}
