//! Retention by tenure alone: the longer a customer has stayed, the likelier the customer stays.

use std::collections::BTreeMap;

use crate::domain::outlook::StayingOutlook;
use crate::model::staying_outlook::{LabelledSubscriber, learn_staying};

/// Fits the staying outlook without any profile attribute.
pub fn learn(subscribers: &[LabelledSubscriber], window_days: f64) -> Option<StayingOutlook> {
    let without_profile =
        |subscriber: &LabelledSubscriber| LabelledSubscriber { attributes: BTreeMap::new(), ..subscriber.clone() };
    learn_staying(&subscribers.iter().map(without_profile).collect::<Vec<_>>(), window_days)
}
