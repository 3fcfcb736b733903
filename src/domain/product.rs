//! What is sold.

use std::collections::{BTreeMap, BTreeSet};

use super::ids::{LadderId, ProductId};
use super::money::Money;
use super::time::Timestamp;

/// The longest title, in bytes.
pub const TITLE_BYTES_MAX: usize = 512;
/// The deepest category path.
pub const CATEGORY_LEVELS_MAX: usize = 8;
/// The most features, and the most free attributes, of one product.
pub const FEATURES_MAX: usize = 64;
/// The most products one product may require, exclude or be compatible with, each.
pub const RELATED_PRODUCTS_MAX: usize = 64;
/// The longest name or text value of a feature, category level or attribute, in bytes.
pub const TEXT_BYTES_MAX: usize = 256;

/// A product of the catalogue.
#[derive(Debug, Clone, PartialEq)]
pub struct Product {
    /// The product's name for machines.
    pub id: ProductId,
    /// The product's name for people.
    pub title: String,
    /// From the widest class to the narrowest; empty when unknown.
    pub category: Vec<String>,
    /// What one costs; `None` when unknown.
    pub price: Option<Money>,
    /// What the seller earns on one, in the currency of the price; may be negative.
    pub margin: Option<Money>,
    /// The product's place in a line of better and better versions.
    pub rung: Option<LadderPosition>,
    /// Named properties that customers compare.
    pub features: BTreeMap<String, FeatureValue>,
    /// The customer must own all of these.
    pub requires: BTreeSet<ProductId>,
    /// The customer must own none of these.
    pub excludes: BTreeSet<ProductId>,
    /// Goes with these even when nobody bought them together yet: a cold-start hint.
    pub compatible_with: BTreeSet<ProductId>,
    /// True when a customer who owns one may want another.
    pub repeatable: bool,
    /// False while the product is not to be had, whatever its dates say.
    pub available: bool,
    /// Sold from this moment on.
    pub available_from: Option<Timestamp>,
    /// Sold until just before this moment.
    pub available_until: Option<Timestamp>,
    /// Anything else the owner of the catalogue wants to keep with the product.
    pub attributes: BTreeMap<String, String>,
}

impl Product {
    /// A product with an id and a title and nothing else known.
    pub fn new(id: ProductId, title: impl Into<String>) -> Self {
        Self {
            id,
            title: title.into(),
            category: Vec::new(),
            price: None,
            margin: None,
            rung: None,
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
}

/// A place on a ladder. A higher tier is a better version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LadderPosition {
    /// The ladder.
    pub ladder: LadderId,
    /// The height on it.
    pub tier: u32,
}

/// The value of a feature.
#[derive(Debug, Clone, PartialEq)]
pub enum FeatureValue {
    /// A finite number; more is better.
    Number(f64),
    /// Present or absent; present is better.
    Flag(bool),
    /// A text; different, never better.
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
