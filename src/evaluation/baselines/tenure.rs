//! The longer a customer has been there, the longer the customer stays: nothing but the tenure is looked at.

use std::collections::BTreeMap;

use crate::domain::outlook::StayingOutlook;
use crate::model::staying_outlook::{LabelledSubscriber, learn_staying};

/// Learns from the tenure alone.
pub fn learn(subscribers: &[LabelledSubscriber], window_days: f64) -> Option<StayingOutlook> {
    let without_profile =
        |subscriber: &LabelledSubscriber| LabelledSubscriber { attributes: BTreeMap::new(), ..subscriber.clone() };
    learn_staying(&subscribers.iter().map(without_profile).collect::<Vec<_>>(), window_days)
}
