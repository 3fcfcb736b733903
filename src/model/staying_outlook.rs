//! Learning of the staying outlook, see [`outlook`](super::outlook).

use std::collections::BTreeMap;

use super::feature_scaling::{FeatureScale, intercept, is_thin, monotone, unconstrained};
use super::logistic::{self, Coefficient, Observation};
use super::outlook_history::{CUSTOMERS_MAX, CustomerSnapshot, OutlookHistory};
use super::window::days_before;
use crate::domain::outlook::{
    AttributeWeight, FeatureWeight, StayingFeature, StayingFeatures, StayingOutlook, attribute_number, staying_features,
};
use crate::domain::time::Timestamp;

/// Minimum number of customers of a category of a profile that is learned.
const CATEGORY_CUSTOMERS_MIN: usize = 20;
/// Maximum number of categories of one attribute.
const CATEGORIES_MAX: usize = 24;
/// Maximum number of categories of all attributes.
const ALL_CATEGORIES_MAX: usize = 120;
/// Maximum number of numeric attributes.
const NUMBERS_MAX: usize = 24;
/// An attribute with more distinct numbers than this is numeric, one with fewer is categorical.
const DISTINCT_NUMBERS_MIN: usize = 10;

/// Lookup of the profile of a customer.
pub type Profiles<'a> = dyn Fn(&CustomerSnapshot<'_>) -> Option<&'a BTreeMap<String, String>> + 'a;

/// Subscriber at the start of a window, with the outcome of the window.
#[derive(Debug, Clone, PartialEq)]
pub struct LabelledSubscriber {
    /// Features in the order of [`StayingFeature::ALL`].
    pub features: StayingFeatures,
    /// Profile of the subscriber.
    pub attributes: BTreeMap<String, String>,
    /// True when the customer was still subscribed at the end.
    pub retained: bool,
}

/// Learns from the subscribers of a history, by one window of `longest` days. Adds remarks to the notes.
pub fn learn_staying_from(
    history: &OutlookHistory,
    profiles: &Profiles<'_>,
    now: Timestamp,
    longest: f64,
    notes: &mut Vec<String>,
) -> Option<StayingOutlook> {
    let start = days_before(now, longest);
    let customers = history.as_of(start, now, CUSTOMERS_MAX);
    let subscribers: Vec<LabelledSubscriber> = customers
        .iter()
        .filter_map(|customer| {
            let (running, tenure) = customer.subscribed?;
            Some(LabelledSubscriber {
                features: staying_features(&customer.state, running, tenure, start),
                attributes: profiles(customer).cloned().unwrap_or_default(),
                retained: customer.retained,
            })
        })
        .collect();
    let learned = learn_staying(&subscribers, longest);
    if learned.is_some() {
        let retained = subscribers.iter().filter(|subscriber| subscriber.retained).count();
        notes.push(format!(
            "staying outlook: learned from {} subscribers as of {longest} days ago, of whom {retained} stayed",
            subscribers.len()
        ));
    } else if !subscribers.is_empty() {
        notes.push("staying outlook: too few subscribers left or stayed; the policy's estimate is used".to_owned());
    }
    learned
}

/// Learns which subscribers stay through a window of `learned_days`; `None` when there are too few of either class.
pub fn learn_staying(subscribers: &[LabelledSubscriber], learned_days: f64) -> Option<StayingOutlook> {
    let retained = subscribers.iter().filter(|subscriber| subscriber.retained).count();
    if is_thin(retained, subscribers.len()) {
        return None;
    }
    let features = select_features(subscribers);
    let scales: Vec<FeatureScale> = features.iter().map(|feature| feature.scale(subscribers)).collect();
    let observations: Vec<Observation> = subscribers
        .iter()
        .map(|subscriber| {
            let standardized = features.iter().zip(&scales).map(|(feature, scale)| {
                // An unknown value counts as the mean.
                feature.read(subscriber).map_or(0.0, |value| scale.standardize(value))
            });
            let features = std::iter::once(1.0).chain(standardized).collect();
            Observation { features, label: subscriber.retained, weight: 1.0 }
        })
        .collect();
    let mut coefficients = vec![intercept()];
    coefficients.extend(features.iter().map(SubscriberFeature::coefficient));
    let fitted = logistic::fit(&observations, &coefficients)?;
    let mut weights = scales.iter().zip(&fitted[1..]).map(|(scale, &weight)| scale.weight(weight));
    let behavioural = std::array::from_fn(|_| weights.next().expect("the behavioural features come first"));
    let profile = features[StayingFeature::ALL.len()..].iter().zip(weights).collect();
    Some(StayingOutlook {
        learned_days,
        intercept: fitted[0],
        weights: behavioural,
        attributes: attribute_weights(profile),
    })
}

/// Feature of a subscriber.
#[derive(Debug, Clone)]
enum SubscriberFeature {
    /// Index in [`StayingFeature::ALL`].
    Behavioural(usize),
    /// Numeric attribute of the profile.
    Number(String),
    /// Category of an attribute of the profile.
    Category(String, String),
}

impl SubscriberFeature {
    fn read(&self, subscriber: &LabelledSubscriber) -> Option<f64> {
        match self {
            Self::Behavioural(index) => Some(subscriber.features[*index]),
            Self::Number(name) => attribute_number(subscriber.attributes.get(name)?),
            Self::Category(name, category) => {
                Some(f64::from(u8::from(subscriber.attributes.get(name) == Some(category))))
            }
        }
    }

    fn scale(&self, subscribers: &[LabelledSubscriber]) -> FeatureScale {
        FeatureScale::of(subscribers.iter().filter_map(|subscriber| self.read(subscriber)))
    }

    fn coefficient(&self) -> Coefficient {
        match self {
            Self::Behavioural(index) => monotone(StayingFeature::ALL[*index].monotonicity()),
            Self::Number(_) | Self::Category(..) => unconstrained(),
        }
    }
}

/// Behavioural features, then the attributes that enough customers have: numbers as they are, categories one-hot.
fn select_features(subscribers: &[LabelledSubscriber]) -> Vec<SubscriberFeature> {
    let mut values: BTreeMap<&str, BTreeMap<&str, usize>> = BTreeMap::new();
    for (name, text) in subscribers.iter().flat_map(|subscriber| &subscriber.attributes) {
        if !text.is_empty() {
            *values.entry(name).or_default().entry(text).or_default() += 1;
        }
    }
    let mut features: Vec<SubscriberFeature> =
        (0..StayingFeature::ALL.len()).map(SubscriberFeature::Behavioural).collect();
    let (mut categories_left, mut numbers_left) = (ALL_CATEGORIES_MAX, NUMBERS_MAX);
    for (name, customers) in values {
        let is_number = customers.keys().all(|text| attribute_number(text).is_some());
        if is_number && customers.len() > DISTINCT_NUMBERS_MIN {
            if numbers_left > 0 {
                numbers_left -= 1;
                features.push(SubscriberFeature::Number(name.to_owned()));
            }
            continue;
        }
        let counted = customers.into_iter().map(|(category, count)| (count, category));
        let mut frequent: Vec<(usize, &str)> = counted.filter(|it| it.0 >= CATEGORY_CUSTOMERS_MIN).collect();
        frequent.sort_unstable_by(|a, b| b.0.cmp(&a.0).then(a.1.cmp(b.1)));
        frequent.truncate(CATEGORIES_MAX.min(categories_left));
        categories_left -= frequent.len();
        let category = |(_, category): (usize, &str)| SubscriberFeature::Category(name.to_owned(), category.to_owned());
        features.extend(frequent.into_iter().map(category));
    }
    features
}

/// Weights of each attribute. A category adds its own weight less what the mean customer has of all categories, so that an
/// unknown category or profile adds nothing.
fn attribute_weights(profile: Vec<(&SubscriberFeature, FeatureWeight)>) -> BTreeMap<String, AttributeWeight> {
    let mut weights = BTreeMap::new();
    let mut categories: BTreeMap<&str, Vec<(&str, FeatureWeight)>> = BTreeMap::new();
    for (feature, weight) in profile {
        match feature {
            SubscriberFeature::Behavioural(_) => {}
            SubscriberFeature::Number(name) => drop(weights.insert(name.clone(), AttributeWeight::Number(weight))),
            SubscriberFeature::Category(name, category) => {
                categories.entry(name).or_default().push((category, weight));
            }
        }
    }
    let categorical = categories.into_iter().map(|(name, categories)| {
        let mean: f64 = categories.iter().map(|(_, weight)| weight.logit(0.0)).sum();
        let share = |weight: &FeatureWeight| mean + weight.weight / weight.deviation;
        let shares = categories.iter().map(|(category, weight)| ((*category).to_owned(), share(weight))).collect();
        (name.to_owned(), AttributeWeight::Categories(shares))
    });
    weights.extend(categorical);
    weights
}
