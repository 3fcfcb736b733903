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
    /// Spans by name.
    Spans(BTreeMap<String, Duration>),
}
