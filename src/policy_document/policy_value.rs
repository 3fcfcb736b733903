//! Untyped values of a policy: the common form of TOML values and values of the wire, before their ranges are checked.

use std::collections::BTreeMap;
use std::time::Duration;

/// Value of a policy, not yet checked.
#[derive(Debug, Clone, PartialEq)]
pub enum PolicyValue {
    Number(f64),
    /// Integer of zero or more.
    Count(u64),
    Duration(Duration),
    /// Numbers in the order that the entry documents.
    Numbers(Vec<f64>),
    /// Caps of a band.
    Caps {
        /// Offers of any kind.
        offers: u64,
        /// Up-sell offers among them.
        up_sell: u64,
    },
    /// Component of relationship health.
    Component {
        /// Weight in the geometric mean.
        weight: f64,
        /// Value of the component without evidence.
        prior: f64,
        half_life_days: f64,
    },
    Text(String),
    Names(Vec<String>),
    Texts(BTreeMap<String, String>),
    /// Channels by name.
    Channels(BTreeMap<String, ChannelValue>),
    /// Families of products that share a cap, by name.
    Families(BTreeMap<String, FamilyValue>),
    /// Pairs of product ids.
    Pairs(Vec<(String, String)>),
    /// Pairs of product ids with a duration.
    Sequences(Vec<SequenceValue>),
}

/// Channel through which offers reach customers.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ChannelValue {
    /// Other names of the channel.
    pub aliases: Vec<String>,
    /// Time for which a grant can be released; `None` for `contact.lease`.
    pub lease: Option<Duration>,
    /// Maximum number of offers granted on it within the window of all caps; `None` for none.
    pub cap: Option<u64>,
    /// Basis in consent; `None` for `opt_out`.
    pub basis: Option<String>,
}

/// Family of products that share a cap.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FamilyValue {
    /// Category path of the products; empty when they are listed.
    pub category: Vec<String>,
    /// Ids of further products.
    pub products: Vec<String>,
    /// Maximum number of offers in one slate.
    pub per_slate: u64,
    /// Maximum number of offers within the window of all caps.
    pub per_window: u64,
}

/// Product that is not offered for some time after another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SequenceValue {
    /// Product that was offered.
    pub first: String,
    /// Product that is not offered after it.
    pub then: String,
    /// Length of the pause.
    pub within: Duration,
}
