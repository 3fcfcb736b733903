//! A value of a policy apart from where it stands: what TOML and the wire have in common.

use std::collections::BTreeMap;
use std::time::Duration;

/// A value of a policy.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// A number with a fraction.
    Number(f64),
    /// A whole number.
    Count(u64),
    /// A span of time.
    Span(Duration),
    /// Several numbers, in the order that the setting says.
    Numbers(Vec<f64>),
    /// The caps of a band.
    Caps {
        /// Offers of any kind.
        offers: u64,
        /// Of them up-sell.
        up_sell: u64,
    },
    /// A component of relationship health.
    Component {
        /// The weight in the geometric mean.
        weight: f64,
        /// The value when nothing is known.
        prior: f64,
        /// The half-life, in days.
        half_life_days: f64,
    },
    /// A text.
    Text(String),
    /// Names.
    Names(Vec<String>),
    /// Texts by name.
    Texts(BTreeMap<String, String>),
    /// Spans by name.
    Spans(BTreeMap<String, Duration>),
    /// Whole numbers by name.
    Counts(BTreeMap<String, u64>),
    /// Products that share a cap, by name.
    Families(BTreeMap<String, FamilyValue>),
    /// Pairs of products.
    Pairs(Vec<(String, String)>),
    /// Pairs of products and a span.
    Sequences(Vec<SequenceValue>),
}

/// Products that share a cap.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FamilyValue {
    /// A category path.
    pub category: Vec<String>,
    /// Products.
    pub products: Vec<String>,
    /// The most in one slate.
    pub per_slate: u64,
    /// The most within the window of all caps.
    pub per_window: u64,
}

/// One product, another, and for how long.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SequenceValue {
    /// What was offered.
    pub first: String,
    /// What is then not offered.
    pub then: String,
    /// For how long.
    pub within: Duration,
}
