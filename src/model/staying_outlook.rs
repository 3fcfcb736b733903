//! Learns who stays: see [`outlook`](super::outlook).

use std::collections::BTreeMap;

use super::logistic::{self, Coefficient, Observation};
use super::outlook::{CUSTOMERS_MAX, Profiles, back};
use super::outlook_history::OutlookHistory;
use super::signal_fit::{Scale, directed, intercept, is_thin, undirected};
use crate::domain::outlook::{
    AttributeWeight, FeatureWeight, StayingFeature, StayingFeatures, StayingOutlook, attribute_number, staying_features,
};
use crate::domain::time::Timestamp;

/// A word of a profile is learned when this many customers have it.
const WORD_CUSTOMERS_MIN: usize = 20;
/// The most words of one attribute, and of all.
const WORDS_MAX: usize = 24;
const ALL_WORDS_MAX: usize = 120;
/// The most attributes that are numbers.
const NUMBERS_MAX: usize = 24;
/// An attribute with more distinct numbers than this is a number, one with fewer is words.
const DISTINCT_NUMBERS_MIN: usize = 10;

/// A subscriber at the beginning of a window, with what came of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Subscriber {
    /// In the order of [`StayingFeature::ALL`].
    pub signals: StayingFeatures,
    /// The profile.
    pub attributes: BTreeMap<String, String>,
    /// Whether the customer was still there at the end.
    pub stayed: bool,
}

/// Learns from the subscribers of a history, by one window of `longest` days. What was learned from is noted.
pub fn learn_staying_from(
    history: &OutlookHistory,
    profiles: &Profiles<'_>,
    now: Timestamp,
    longest: f64,
    notes: &mut Vec<String>,
) -> Option<StayingOutlook> {
    let from = back(now, longest);
    let customers = history.as_of(from, now, CUSTOMERS_MAX);
    let subscribers: Vec<Subscriber> = customers
        .iter()
        .filter_map(|customer| {
            let (running, tenure) = customer.subscribed?;
            Some(Subscriber {
                signals: staying_features(&customer.state, running, tenure, from),
                attributes: profiles(customer).cloned().unwrap_or_default(),
                stayed: customer.stayed,
            })
        })
        .collect();
    let learned = learn_staying(&subscribers, longest);
    if learned.is_some() {
        let stayed = subscribers.iter().filter(|subscriber| subscriber.stayed).count();
        let count = subscribers.len();
        notes.push(format!("who stays was learned from {count} subscribers {longest} days ago, of whom {stayed} did"));
    } else if !subscribers.is_empty() {
        notes.push("too few subscribers left or stayed to learn who stays; the policy's estimate tells it".to_owned());
    }
    learned
}

/// Learns who stays through a window of `learned_days`; `None` when there are too few customers of either kind.
pub fn learn_staying(subscribers: &[Subscriber], learned_days: f64) -> Option<StayingOutlook> {
    let stayed = subscribers.iter().filter(|subscriber| subscriber.stayed).count();
    if is_thin(stayed, subscribers.len()) {
        return None;
    }
    let columns = columns(subscribers);
    let scales: Vec<Scale> = columns.iter().map(|column| column.scale(subscribers)).collect();
    let observations: Vec<Observation> = subscribers
        .iter()
        .map(|subscriber| {
            let own = columns.iter().zip(&scales).map(|(column, scale)| {
                // What is not known is as usual.
                column.read(subscriber).map_or(0.0, |value| scale.scaled(value))
            });
            let features = std::iter::once(1.0).chain(own).collect();
            Observation { features, hit: subscriber.stayed, weight: 1.0 }
        })
        .collect();
    let mut coefficients = vec![intercept()];
    coefficients.extend(columns.iter().map(Column::coefficient));
    let fitted = logistic::fit(&observations, &coefficients)?;
    let mut weights = scales.iter().zip(&fitted[1..]).map(|(scale, &weight)| scale.weight(weight));
    let signals = std::array::from_fn(|_| weights.next().expect("the signals come first"));
    let profile = columns[StayingFeature::ALL.len()..].iter().zip(weights).collect();
    Some(StayingOutlook {
        learned_days,
        intercept: fitted[0],
        weights: signals,
        attributes: attribute_weights(profile),
    })
}

/// One number that is read of a subscriber.
#[derive(Debug, Clone)]
enum Column {
    Signal(usize),
    Number(String),
    Word(String, String),
}

impl Column {
    fn read(&self, subscriber: &Subscriber) -> Option<f64> {
        match self {
            Self::Signal(place) => Some(subscriber.signals[*place]),
            Self::Number(name) => attribute_number(subscriber.attributes.get(name)?),
            Self::Word(name, word) => Some(f64::from(u8::from(subscriber.attributes.get(name) == Some(word)))),
        }
    }

    fn scale(&self, subscribers: &[Subscriber]) -> Scale {
        Scale::of(subscribers.iter().filter_map(|subscriber| self.read(subscriber)))
    }

    fn coefficient(&self) -> Coefficient {
        match self {
            Self::Signal(place) => directed(StayingFeature::ALL[*place].monotonicity()),
            Self::Number(_) | Self::Word(..) => undirected(),
        }
    }
}

/// The signals, then the attributes that enough customers have: numbers as they are, words one by one.
fn columns(subscribers: &[Subscriber]) -> Vec<Column> {
    let mut texts: BTreeMap<&str, BTreeMap<&str, usize>> = BTreeMap::new();
    for (name, text) in subscribers.iter().flat_map(|subscriber| &subscriber.attributes) {
        if !text.is_empty() {
            *texts.entry(name).or_default().entry(text).or_default() += 1;
        }
    }
    let mut columns: Vec<Column> = (0..StayingFeature::ALL.len()).map(Column::Signal).collect();
    let (mut words_left, mut numbers_left) = (ALL_WORDS_MAX, NUMBERS_MAX);
    for (name, words) in texts {
        let is_number = words.keys().all(|word| attribute_number(word).is_some());
        if is_number && words.len() > DISTINCT_NUMBERS_MIN {
            if numbers_left > 0 {
                numbers_left -= 1;
                columns.push(Column::Number(name.to_owned()));
            }
            continue;
        }
        let mut frequent: Vec<(usize, &str)> =
            words.into_iter().map(|(word, count)| (count, word)).filter(|it| it.0 >= WORD_CUSTOMERS_MIN).collect();
        frequent.sort_unstable_by(|a, b| b.0.cmp(&a.0).then(a.1.cmp(b.1)));
        frequent.truncate(WORDS_MAX.min(words_left));
        words_left -= frequent.len();
        columns.extend(frequent.into_iter().map(|(_, word)| Column::Word(name.to_owned(), word.to_owned())));
    }
    columns
}

/// What each attribute adds. A word adds its own share and takes back what the mean customer has of all words, so that
/// an unknown word or profile adds nothing.
fn attribute_weights(profile: Vec<(&Column, FeatureWeight)>) -> BTreeMap<String, AttributeWeight> {
    let mut numbers = BTreeMap::new();
    let mut words: BTreeMap<&str, Vec<(&str, FeatureWeight)>> = BTreeMap::new();
    for (column, weight) in profile {
        match column {
            Column::Signal(_) => {}
            Column::Number(name) => drop(numbers.insert(name.clone(), AttributeWeight::Number(weight))),
            Column::Word(name, word) => words.entry(name).or_default().push((word, weight)),
        }
    }
    let told = words.into_iter().map(|(name, words)| {
        let usual: f64 = words.iter().map(|(_, weight)| weight.logit(0.0)).sum();
        let share = |weight: &FeatureWeight| usual + weight.weight / weight.deviation;
        let shares = words.iter().map(|(word, weight)| ((*word).to_owned(), share(weight))).collect();
        (name.to_owned(), AttributeWeight::Categories(shares))
    });
    numbers.extend(told);
    numbers
}
