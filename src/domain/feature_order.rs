//! Order of the values of a feature: which of two values is the better one.
//!
//! The order is a property of the feature, not of one product, so it is declared once for the whole catalogue.

use std::collections::BTreeMap;

/// Maximum number of features with a declared order.
pub const FEATURE_ORDERS_MAX: usize = 200;

/// Features without an order unless one is declared: in most catalogues a larger one is another one, not a better one.
/// Each covers the names that add to it, such as `weight_kg`.
const UNORDERED_BY_NAME: [&str; 11] =
    ["size", "shoe size", "colour", "color", "weight", "length", "width", "height", "depth", "diameter", "year"];

/// Order of the values of one feature.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FeatureOrder {
    /// A higher number, or a present flag, is better.
    MoreIsBetter,
    /// A lower number, or an absent flag, is better.
    LessIsBetter,
    /// Values differ, but none is better.
    NoOrder,
}

impl FeatureOrder {
    /// Every order.
    pub const ALL: [Self; 3] = [Self::MoreIsBetter, Self::LessIsBetter, Self::NoOrder];

    /// Name in a policy.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::MoreIsBetter => "more_is_better",
            Self::LessIsBetter => "less_is_better",
            Self::NoOrder => "no_order",
        }
    }
}

/// Declared orders of features by name. Names are compared without case, and `_`, `-` and spaces are the same.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct FeatureOrders {
    /// As declared.
    declared: BTreeMap<String, FeatureOrder>,
    by_normalized_name: BTreeMap<String, FeatureOrder>,
}

impl FeatureOrders {
    /// Indexes declared orders. Of two spellings of one name, the last one in order wins.
    pub fn new(declared: BTreeMap<String, FeatureOrder>) -> Self {
        let by_normalized_name = declared.iter().map(|(name, &order)| (normalized(name), order)).collect();
        Self { declared, by_normalized_name }
    }

    /// Orders as they were declared.
    pub fn declared(&self) -> &BTreeMap<String, FeatureOrder> {
        &self.declared
    }

    /// Order of a feature: the declared one of its name, or of the longest name that it adds to (`weight` covers
    /// `weight_kg`), else [`FeatureOrder::NoOrder`] for sizes, weights, dimensions and colours. `None` when nothing is known.
    pub fn of(&self, feature: &str) -> Option<FeatureOrder> {
        let name = normalized(feature);
        let covering: Vec<&str> = name.match_indices(' ').map(|(end, _)| &name[..end]).chain([name.as_str()]).collect();
        let declared = covering.iter().rev().find_map(|covering| self.by_normalized_name.get(*covering));
        let is_unordered = || covering.iter().any(|covering| UNORDERED_BY_NAME.contains(covering));
        declared.copied().or_else(|| is_unordered().then_some(FeatureOrder::NoOrder))
    }
}

fn normalized(name: &str) -> String {
    name.trim().replace(['_', '-'], " ").to_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Broken by: names compared with their case; a declared order that hides the more exact one; defaults that take
    /// precedence over declared orders.
    #[test]
    fn the_most_exact_declaration_counts() {
        let declare = |names: &[(&str, FeatureOrder)]| {
            FeatureOrders::new(names.iter().map(|&(name, order)| (name.to_owned(), order)).collect())
        };
        let orders = declare(&[
            ("Weight", FeatureOrder::LessIsBetter),
            ("weight-lifted", FeatureOrder::MoreIsBetter),
            ("size", FeatureOrder::MoreIsBetter),
        ]);
        for (feature, expected) in [
            ("weight", Some(FeatureOrder::LessIsBetter)),
            ("weight_kg", Some(FeatureOrder::LessIsBetter)),
            ("WEIGHT-KG", Some(FeatureOrder::LessIsBetter)),
            ("weight_lifted_kg", Some(FeatureOrder::MoreIsBetter)),
            ("weighted_keys", None),
            ("size", Some(FeatureOrder::MoreIsBetter)),
            ("screen_size", None),
            ("Colour", Some(FeatureOrder::NoOrder)),
            ("length_cm", Some(FeatureOrder::NoOrder)),
            ("slots", None),
            ("", None),
        ] {
            assert_eq!(orders.of(feature), expected, "{feature}");
        }
        assert_eq!(FeatureOrders::default().of("size"), Some(FeatureOrder::NoOrder));
    }
}
