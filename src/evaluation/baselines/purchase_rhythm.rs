//! MBG/NBD as published: the probability of a purchase in the window, and `P(alive)`, which is often mistaken for it.

use std::time::Duration;

use crate::domain::outlook::{MbgNbd, RecencyFrequency};
use crate::domain::time::DAY;
use crate::domain::time::Timestamp;
use crate::model::mbg_nbd;
use crate::model::outlook_history::CustomerSnapshot;

/// Fits the model to these customers as of a time; `None` when they are too few.
pub fn rhythm_of(customers: &[CustomerSnapshot<'_>], at: Timestamp) -> Option<MbgNbd> {
    let recencies: Vec<RecencyFrequency> =
        customers.iter().filter_map(|customer| RecencyFrequency::of(&customer.state, at)).collect();
    mbg_nbd::fit(&recencies)
}

/// Returns the probability of a purchase within the window.
pub fn buys_within(rhythm: &MbgNbd, recency: RecencyFrequency, window: Duration) -> f64 {
    rhythm.purchase_probability(recency, window.as_secs_f64() / DAY.as_secs_f64() / 7.0)
}

/// Returns the probability that the customer has not left.
pub fn alive(rhythm: &MbgNbd, recency: RecencyFrequency) -> f64 {
    rhythm.probability_active(recency)
}
