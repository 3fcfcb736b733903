//! Comparison of the features of two products.
//!
//! Whether more of a feature is better is a property of the feature, which a policy can declare
//! ([`FeatureOrders`]). Where it is not, a higher number is taken as better only when the price agrees: sizes, weights and
//! model numbers are numbers, too.

use crate::domain::candidate::GAINS_MAX;
use crate::domain::feature_order::{FeatureOrder, FeatureOrders};
use crate::domain::offer::FeatureGain;
use crate::domain::product::{FeatureValue, Product};

/// Features of one product against those of another.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct FeatureComparison {
    /// Features that get better, at most [`GAINS_MAX`].
    pub gains: Vec<FeatureGain>,
    /// Number of gains that are better whatever the price: those of a declared order, and flags.
    pub certain_gains: usize,
    /// Number of higher numbers of features without a declared order.
    pub higher_numbers: usize,
    /// Number of features that get worse, or that the other product lacks.
    pub losses: usize,
    /// Number of features that both products have, so that they can be compared.
    pub compared: usize,
}

/// Change of one feature.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum FeatureChange {
    /// Better, whatever the price.
    Better,
    /// A higher number without a declared order.
    Higher,
    /// Only the other product gives a number, which may be missing data of the first.
    OnlyThere,
    Worse,
    Same,
}

impl FeatureComparison {
    /// Compares the features of `offered` with those of `owned`.
    pub fn of(owned: &Product, offered: &Product, orders: &FeatureOrders) -> Self {
        let mut comparison = Self::default();
        for (name, to) in &offered.features {
            let from = owned.features.get(name);
            comparison.compared += usize::from(from.is_some_and(|from| is_comparable(from, to)));
            match change(from, to, orders.of(name)) {
                FeatureChange::Better => comparison.certain_gains += 1,
                FeatureChange::Higher => comparison.higher_numbers += 1,
                FeatureChange::OnlyThere => {}
                FeatureChange::Worse => {
                    comparison.losses += 1;
                    continue;
                }
                FeatureChange::Same => continue,
            }
            comparison.gains.push(FeatureGain { feature: name.clone(), from: from.cloned(), to: to.clone() });
        }
        for (name, from) in owned.features.iter().filter(|(name, _)| !offered.features.contains_key(*name)) {
            match absence(from, orders.of(name)) {
                FeatureChange::Worse => comparison.losses += 1,
                // A gain without a value of its own is not listed.
                FeatureChange::Better => comparison.certain_gains += 1,
                FeatureChange::Higher | FeatureChange::OnlyThere | FeatureChange::Same => {}
            }
        }
        comparison.gains.truncate(GAINS_MAX);
        comparison
    }
}

fn is_comparable(from: &FeatureValue, to: &FeatureValue) -> bool {
    matches!(
        (from, to),
        (FeatureValue::Number(_), FeatureValue::Number(_)) | (FeatureValue::Flag(_), FeatureValue::Flag(_))
    )
}

/// Change from one value to another. A flag that is not given is absent; texts are never better.
fn change(from: Option<&FeatureValue>, to: &FeatureValue, order: Option<FeatureOrder>) -> FeatureChange {
    let more = match (from, to) {
        (Some(FeatureValue::Number(from)), FeatureValue::Number(to)) => to.partial_cmp(from),
        (None, FeatureValue::Flag(to)) => Some(to.cmp(&false)),
        (Some(FeatureValue::Flag(from)), FeatureValue::Flag(to)) => Some(to.cmp(from)),
        (None, FeatureValue::Number(_)) if order != Some(FeatureOrder::NoOrder) => return FeatureChange::OnlyThere,
        (Some(FeatureValue::Number(_) | FeatureValue::Flag(_) | FeatureValue::Text(_)) | None, _) => None,
    };
    let Some(more) = more.filter(|more| more.is_ne() && order != Some(FeatureOrder::NoOrder)) else {
        return FeatureChange::Same;
    };
    let is_better = if order == Some(FeatureOrder::LessIsBetter) { more.is_lt() } else { more.is_gt() };
    match to {
        _ if !is_better => FeatureChange::Worse,
        FeatureValue::Number(_) if order.is_none() => FeatureChange::Higher,
        FeatureValue::Number(_) | FeatureValue::Flag(_) | FeatureValue::Text(_) => FeatureChange::Better,
    }
}

/// Change by a feature that only the owned product has.
fn absence(from: &FeatureValue, order: Option<FeatureOrder>) -> FeatureChange {
    match (from, order) {
        (FeatureValue::Text(_) | FeatureValue::Flag(false), _) | (_, Some(FeatureOrder::NoOrder)) => {
            FeatureChange::Same
        }
        (FeatureValue::Flag(true), Some(FeatureOrder::LessIsBetter)) => FeatureChange::Better,
        (FeatureValue::Flag(true) | FeatureValue::Number(_), _) => FeatureChange::Worse,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::domain::ids::ProductId;

    fn product(features: &[(&str, FeatureValue)]) -> Product {
        let features = features.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
        Product { features, ..Product::new(ProductId::new("p").expect("a valid id"), "") }
    }

    /// Certain gains, higher numbers, losses and compared features.
    type Counts = (usize, usize, usize, usize);

    /// Broken by: numbers without a declared order taken as certain; a declared order that is ignored, or only where both
    /// have a value; text that is better.
    #[test]
    fn features_compare_by_their_order() {
        let number = FeatureValue::Number;
        let flag = FeatureValue::Flag;
        let text = |text: &str| FeatureValue::Text(text.to_owned());
        let orders = FeatureOrders::new(BTreeMap::from([
            ("weight".to_owned(), FeatureOrder::LessIsBetter),
            ("ram".to_owned(), FeatureOrder::MoreIsBetter),
            ("refurbished".to_owned(), FeatureOrder::LessIsBetter),
            ("model".to_owned(), FeatureOrder::NoOrder),
        ]));
        let cases: [(&str, Option<FeatureValue>, Option<FeatureValue>, Counts); 16] = [
            ("ram", Some(number(8.0)), Some(number(16.0)), (1, 0, 0, 1)),
            ("ram", Some(number(16.0)), Some(number(8.0)), (0, 0, 1, 1)),
            ("ram", Some(number(8.0)), Some(number(8.0)), (0, 0, 0, 1)),
            ("slots", Some(number(2.0)), Some(number(4.0)), (0, 1, 0, 1)),
            ("slots", Some(number(4.0)), Some(number(2.0)), (0, 0, 1, 1)),
            ("slots", None, Some(number(2.0)), (0, 0, 0, 0)),
            ("slots", Some(number(2.0)), None, (0, 0, 1, 0)),
            ("weight_kg", Some(number(2.9)), Some(number(1.1)), (1, 0, 0, 1)),
            ("weight_kg", Some(number(1.1)), Some(number(2.9)), (0, 0, 1, 1)),
            ("size", Some(number(42.0)), Some(number(44.0)), (0, 0, 0, 1)),
            ("model", Some(number(7.0)), None, (0, 0, 0, 0)),
            ("bagel", None, Some(flag(true)), (1, 0, 0, 0)),
            ("bagel", Some(flag(true)), None, (0, 0, 1, 0)),
            ("refurbished", Some(flag(true)), None, (1, 0, 0, 0)),
            ("refurbished", None, Some(flag(true)), (0, 0, 1, 0)),
            ("material", Some(text("steel")), Some(text("gold")), (0, 0, 0, 0)),
        ];
        for (name, from, to, expected) in cases {
            let of = |value: Option<FeatureValue>| {
                product(&value.map(|value| (name, value)).into_iter().collect::<Vec<_>>())
            };
            let comparison = FeatureComparison::of(&of(from.clone()), &of(to.clone()), &orders);
            let FeatureComparison { gains: _, certain_gains, higher_numbers, losses, compared } = comparison;
            assert_eq!((certain_gains, higher_numbers, losses, compared), expected, "{name}: {from:?} to {to:?}");
        }
    }
}
