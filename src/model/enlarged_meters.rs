//! Use of the meters whose allowance an upgrade enlarges, and the need that follows from it.
//!
//! A meter is named like the feature that says how much of it is included. A meter without a name, or named like no feature of
//! either product, counts as enlarged by every upgrade: nothing says that it is not.

use crate::domain::candidate::AllowanceUse;
use crate::domain::offer::FeatureGain;
use crate::domain::product::{FeatureValue, Product};
use crate::domain::usage::{MeterUsage, NEAR_ALLOWANCE};

/// Use of the meters that an upgrade enlarges.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct EnlargedMeters {
    /// Highest share in the latest reported period of each.
    latest: Option<f64>,
    /// Highest share in the latest whole periods of each; `None` when those of some meter are unknown.
    settled: Option<f64>,
    /// Whether larger allowances are all that the upgrade brings.
    is_only_gain: bool,
}

impl EnlargedMeters {
    /// Meters of `owned` that `offered` enlarges, with these gains.
    pub fn of(usage: &[MeterUsage], owned: &Product, offered: &Product, gains: &[FeatureGain]) -> Self {
        let feature_of = |meter: &MeterUsage| {
            let name = meter.meter.as_ref()?.as_str();
            owned.features.keys().chain(offered.features.keys()).find(|feature| is_named(feature, name))
        };
        let is_enlarged = |meter: &&MeterUsage| {
            feature_of(meter).is_none_or(|feature| gains.iter().any(|gain| gain.feature == *feature))
        };
        let enlarged: Vec<&MeterUsage> = usage.iter().filter(is_enlarged).collect();
        let has_meter_of_anything = enlarged.iter().any(|meter| feature_of(meter).is_none());
        let is_metered = |gain: &FeatureGain| {
            let is_amount = matches!(gain.to, FeatureValue::Number(_));
            let has_meter = || enlarged.iter().any(|meter| feature_of(meter).is_some_and(|name| *name == gain.feature));
            is_amount && (has_meter_of_anything || has_meter())
        };
        let settled: Option<Vec<f64>> = enlarged.iter().map(|meter| meter.settled).collect();
        Self {
            latest: enlarged.iter().map(|meter| meter.latest).reduce(f64::max),
            settled: settled.and_then(|settled| settled.into_iter().reduce(f64::max)),
            is_only_gain: gains.iter().all(is_metered),
        }
    }

    /// Use of the allowances; `None` when too little of it is known.
    pub fn allowance_use(&self) -> Option<AllowanceUse> {
        Some(AllowanceUse { share: self.settled_or_running()?, is_only_gain: self.is_only_gain })
    }

    /// Share of the latest period, where it is near the allowance.
    pub fn near_allowance(&self) -> Option<f64> {
        self.latest.filter(|&share| share >= NEAR_ALLOWANCE)
    }

    /// Need, 0 to 2: 1 when nothing is known, up to 2 as usage passes its allowance, and below 1 in proportion to usage when
    /// that is low.
    pub fn need(&self, low_usage_share: f64) -> f64 {
        if let Some(share) = self.near_allowance() {
            return 1.0 + ((share - NEAR_ALLOWANCE) / (1.0 - NEAR_ALLOWANCE)).clamp(0.0, 1.0);
        }
        match self.settled_or_running().filter(|&share| share < low_usage_share) {
            Some(share) => (share / low_usage_share).clamp(0.0, 1.0),
            None => 1.0,
        }
    }

    /// Highest share of the whole periods, or of the running one when that is higher already.
    fn settled_or_running(&self) -> Option<f64> {
        self.settled.map(|settled| self.latest.map_or(settled, |latest| latest.max(settled)))
    }
}

/// True when a feature has the name of a meter, without regard to case, `_`, `-` and spaces.
fn is_named(feature: &str, meter: &str) -> bool {
    let letters = |name: &str| -> String {
        name.chars().filter(|letter| letter.is_alphanumeric()).flat_map(char::to_lowercase).collect()
    };
    letters(feature) == letters(meter)
}

#[cfg(test)]
mod tests {
    use super::super::feature_comparison::FeatureComparison;
    use super::*;
    use crate::domain::feature_order::FeatureOrders;
    use crate::domain::ids::{Meter, ProductId};

    fn plan(features: &[(&str, FeatureValue)]) -> Product {
        let features = features.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
        Product { features, ..Product::new(ProductId::new("plan").expect("a valid id"), "Plan") }
    }

    fn used(meter: &str, latest: f64, settled: Option<f64>) -> MeterUsage {
        MeterUsage {
            meter: Some(meter).filter(|name| !name.is_empty()).map(|name| Meter::new(name).expect("a name")),
            latest,
            settled,
        }
    }

    /// Broken by: the lowest of several meters; a meter that is not enlarged; a meter whose usage is unknown left out; a flag
    /// taken for an allowance; need that only grows.
    #[test]
    fn need_follows_the_meter_used_most_of_those_that_are_enlarged() {
        let number = FeatureValue::Number;
        let gigabytes = |amount| ("gigabytes", number(amount));
        let minutes = |amount| ("minutes", number(amount));
        let small = plan(&[gigabytes(2.0), minutes(300.0)]);
        let more_data = plan(&[gigabytes(5.0), minutes(300.0)]);
        let more_of_both = plan(&[gigabytes(5.0), minutes(1000.0)]);
        let with_hotspot = plan(&[gigabytes(5.0), minutes(300.0), ("hotspot", FeatureValue::Flag(true))]);
        let plain = || plan(&[]);
        // Usage, the offer, its need, and the use when the offer brings nothing else.
        let cases = [
            ("nothing known", vec![], &small, &more_data, 1.0, None),
            ("low", vec![used("", 0.01, Some(0.05))], &small, &more_data, 0.1, Some(0.05)),
            ("low, a plan without features", vec![used("", 0.01, Some(0.05))], &plain(), &plain(), 0.1, Some(0.05)),
            ("low so far, and no whole periods", vec![used("", 0.01, None)], &small, &more_data, 1.0, None),
            ("neither low nor near", vec![used("", 0.6, Some(0.6))], &small, &more_data, 1.0, Some(0.6)),
            ("low until this period", vec![used("", 0.6, Some(0.1))], &small, &more_data, 1.0, Some(0.6)),
            ("near", vec![used("", 0.9, None)], &small, &more_data, 1.5, None),
            ("beyond", vec![used("", 3.0, Some(0.1))], &small, &more_data, 2.0, Some(3.0)),
            (
                "low on the meter that is enlarged",
                vec![used("Gigabytes", 0.1, Some(0.1)), used("minutes", 0.9, Some(0.9))],
                &small,
                &more_data,
                0.2,
                Some(0.1),
            ),
            (
                "near on one of two that are enlarged",
                vec![used("gigabytes", 0.1, Some(0.1)), used("minutes", 0.9, Some(0.9))],
                &small,
                &more_of_both,
                1.5,
                Some(0.9),
            ),
            (
                "unknown on one of two",
                vec![used("gigabytes", 0.1, Some(0.1)), used("minutes", 0.1, None)],
                &small,
                &more_of_both,
                1.0,
                None,
            ),
            ("a gain without a meter", vec![used("gigabytes", 0.1, Some(0.1))], &small, &more_of_both, 0.2, None),
            ("a flag beside it", vec![used("", 0.1, Some(0.1))], &small, &with_hotspot, 0.2, None),
        ];
        for (name, usage, owned, offered, need, only_gain_at) in cases {
            let gains = FeatureComparison::of(owned, offered, &FeatureOrders::default()).gains;
            let meters = EnlargedMeters::of(&usage, owned, offered, &gains);
            assert!((meters.need(0.5) - need).abs() < 1e-9, "{name}: need {}", meters.need(0.5));
            let only_gain = meters.allowance_use().filter(|it| it.is_only_gain).map(|it| it.share);
            assert_eq!(only_gain, only_gain_at, "{name}");
        }
        assert!(
            (EnlargedMeters::of(&[used("", 0.0, Some(0.0))], &small, &more_data, &[]).need(0.0) - 1.0).abs() < 1e-9
        );
    }
}
