//! MBG/NBD as the literature has it: the probability of a purchase in the window, and `P(alive)`, which is often taken
//! for it and is not.

use std::time::Duration;

use crate::domain::outlook::{Recency, Rhythm};
use crate::domain::time::DAY;
use crate::domain::time::Timestamp;
use crate::model::outlook_history::PastCustomer;
use crate::model::rhythm;

/// The rhythm of these customers as of a moment; `None` when they are too few.
pub fn rhythm_of(customers: &[PastCustomer<'_>], at: Timestamp) -> Option<Rhythm> {
    let recencies: Vec<Recency> = customers.iter().filter_map(|customer| Recency::of(&customer.state, at)).collect();
    rhythm::fit(&recencies)
}

/// The probability of a purchase within the window.
pub fn buys_within(rhythm: &Rhythm, recency: Recency, window: Duration) -> f64 {
    rhythm.buys_within(recency, window.as_secs_f64() / DAY.as_secs_f64() / 7.0)
}

/// The probability that the customer has not left.
pub fn alive(rhythm: &Rhythm, recency: Recency) -> f64 {
    rhythm.alive(recency)
}
