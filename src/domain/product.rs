//! Products of the catalogue.

use std::collections::{BTreeMap, BTreeSet};

use super::ids::{ItemGroupId, LadderId, ProductId};
use super::money::Money;
use super::time::Timestamp;

/// Maximum length of a title, in bytes.
pub const TITLE_BYTES_MAX: usize = 512;
/// Maximum number of levels of a category path.
pub const CATEGORY_LEVELS_MAX: usize = 8;
/// Maximum number of features, and of free attributes, of one product.
pub const FEATURES_MAX: usize = 64;
/// Maximum number of products that a product requires, excludes or is compatible with, each.
pub const RELATED_PRODUCTS_MAX: usize = 64;
/// Maximum length of a feature, category level or attribute, in bytes.
pub const TEXT_BYTES_MAX: usize = 256;

/// A product of the catalogue.
#[derive(Debug, Clone, PartialEq)]
pub struct Product {
    /// Id of the product.
    pub id: ProductId,
    /// Title for people.
    pub title: String,
    /// Category path, from the widest class to the narrowest; empty when unknown.
    pub category: Vec<String>,
    /// Price of one item; `None` when unknown.
    pub price: Option<Money>,
    /// Seller's margin on one item, in the currency of the price; may be negative.
    pub margin: Option<Money>,
    /// Position on a ladder, a series of better and better versions.
    pub ladder_position: Option<LadderPosition>,
    /// Item group that it is a variant of.
    pub item_group: Option<ItemGroupId>,
    /// Properties that customers compare.
    pub features: BTreeMap<String, FeatureValue>,
    /// Products that the customer must own, all of them.
    pub requires: BTreeSet<ProductId>,
    /// Products that the customer must not own, any of them.
    pub excludes: BTreeSet<ProductId>,
    /// Products that it goes with, even before any customer has bought both: a cold-start hint.
    pub compatible_with: BTreeSet<ProductId>,
    /// Whether a customer who owns one may want another.
    pub repeatable: bool,
    /// Whether it can be sold at all, whatever its dates say.
    pub available: bool,
    /// Start of sale.
    pub available_from: Option<Timestamp>,
    /// End of sale, exclusive.
    pub available_until: Option<Timestamp>,
    /// Further attributes, stored but not interpreted.
    pub attributes: BTreeMap<String, String>,
}

impl Product {
    /// Creates a product with nothing but an id and a title.
    pub fn new(id: ProductId, title: impl Into<String>) -> Self {
        Self {
            id,
            title: title.into(),
            category: Vec::new(),
            price: None,
            margin: None,
            ladder_position: None,
            item_group: None,
            features: BTreeMap::new(),
            requires: BTreeSet::new(),
            excludes: BTreeSet::new(),
            compatible_with: BTreeSet::new(),
            repeatable: false,
            available: true,
            available_from: None,
            available_until: None,
            attributes: BTreeMap::new(),
        }
    }

    /// Whether it can be sold at a moment.
    pub fn is_on_sale(&self, now: Timestamp) -> bool {
        self.available
            && self.available_from.is_none_or(|from| from <= now)
            && self.available_until.is_none_or(|until| now < until)
    }
}

/// Position on a ladder. A higher tier is a better version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LadderPosition {
    /// The ladder.
    pub ladder: LadderId,
    /// Height on the ladder.
    pub tier: u32,
}

/// The value of a feature.
#[derive(Debug, Clone, PartialEq)]
pub enum FeatureValue {
    /// A finite number; more is better.
    Number(f64),
    /// Present or absent; present is better.
    Flag(bool),
    /// A text; texts differ, but none is better.
    Text(String),
}

impl std::fmt::Display for FeatureValue {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Number(number) => write!(f, "{number}"),
            Self::Flag(true) => write!(f, "yes"),
            Self::Flag(false) => write!(f, "no"),
            Self::Text(text) => write!(f, "{text}"),
        }
    }
}
