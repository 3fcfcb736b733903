//! Rules for which products are upgrades of which.
//!
//! An upgrade needs evidence of being better: a higher tier on the same ladder; or, within the same category, better
//! features; or, where neither product has features, transitions to something moderately dearer that customers make
//! clearly more often than the way back. A higher price alone is never enough, nor is being bought: products that go
//! together are bought in either order. A better product may cost the same or less.

use crate::domain::candidate::GAINS_MAX;
use crate::domain::evidence::Evidence;
use crate::domain::offer::FeatureGain;
use crate::domain::product::{FeatureValue, Product};

use super::learned_product::RECENT_DAYS;

/// Maximum price of an upgrade, as a multiple of the owned product's price; beyond it is another kind of product.
const PRICE_RATIO_MAX: f64 = 3.0;
/// Minimum number of transitions that count as evidence.
const TRANSITIONS_MIN: u32 = 2;
/// Number of standard errors by which transitions must outnumber those back to be no accident (a one-sided sign test at
/// 5 %).
const SIGN_TEST_ERRORS: f64 = 1.645;

/// Learned statistics of a transition.
#[derive(Debug, Clone, Copy, Default)]
pub struct TransitionStatistics {
    /// Customers who bought the offered product after the owned one.
    pub up: u32,
    /// Customers who bought them in the opposite order.
    pub down: u32,
    /// Recent buyers of the offered product.
    pub recent_buyers: u32,
}

/// Upgrade from an owned product.
#[derive(Debug, Clone, PartialEq)]
pub struct UpgradePath {
    /// Features that get better.
    pub gains: Vec<FeatureGain>,
    /// Closeness, 0 to 1: highest for the next tier, or for a slightly higher price.
    pub closeness: f64,
    pub evidence: Vec<Evidence>,
}

/// Upgrade from `owned` to `offered`; `None` when it is none.
pub fn upgrade_path(owned: &Product, offered: &Product, statistics: TransitionStatistics) -> Option<UpgradePath> {
    let by_ladder = match (&owned.ladder_position, &offered.ladder_position) {
        (Some(from), Some(to)) if from.ladder == to.ladder => {
            let tiers = to.tier.checked_sub(from.tier).filter(|&tiers| tiers > 0)?;
            Some((from.tier, to.tier, 1.0 / f64::from(tiers)))
        }
        (Some(_), Some(_)) => return None,
        (Some(_) | None, None) | (None, Some(_)) => None,
    };
    let (gains, losses) = compare(owned, offered);
    let mut evidence = Vec::new();
    let closeness = if let Some((from, to, closeness)) = by_ladder {
        evidence.push(Evidence::HigherTier { from, to });
        closeness
    } else {
        let has_features = !owned.features.is_empty() || !offered.features.is_empty();
        let has_better_features = !gains.is_empty() && losses == 0;
        let is_preferred = !has_features && !goes_with(owned, offered) && statistics.is_mostly_up();
        if !(has_better_features || is_preferred) {
            return None;
        }
        price_closeness(owned, offered, !gains.is_empty())?
    };
    if statistics.up >= TRANSITIONS_MIN {
        evidence.push(Evidence::MovedUp { customers: statistics.up });
    }
    if statistics.recent_buyers > 0 {
        evidence.push(Evidence::Popular { buyers: statistics.recent_buyers, days: RECENT_DAYS });
    }
    Some(UpgradePath { gains, closeness, evidence })
}

impl TransitionStatistics {
    /// True when customers clearly prefer the transition to its opposite.
    fn is_mostly_up(self) -> bool {
        let (up, down) = (f64::from(self.up), f64::from(self.down));
        self.up >= TRANSITIONS_MIN && up - down >= SIGN_TEST_ERRORS * (up + down).sqrt()
    }
}

/// True when the catalogue names one as a complement of the other, which then is no replacement.
fn goes_with(one: &Product, other: &Product) -> bool {
    let names = |a: &Product, b: &Product| a.compatible_with.contains(&b.id) || a.requires.contains(&b.id);
    names(one, other) || names(other, one)
}

/// Closeness by price: 1 for the same price, less for a higher one; `None` beyond the maximum, or when the product is not
/// dearer and has no better features.
fn price_closeness(owned: &Product, offered: &Product, has_gains: bool) -> Option<f64> {
    let (from, to) = owned.price.zip(offered.price)?;
    if from.currency() != to.currency() || from.approximate() <= 0.0 {
        return None;
    }
    let ratio = to.approximate() / from.approximate();
    if ratio > PRICE_RATIO_MAX || (ratio <= 1.0 && !has_gains) {
        return None;
    }
    Some(1.0 / ratio.max(1.0))
}

/// Features of `offered` that are better than those of `owned`, and the number of worse ones.
pub fn compare(owned: &Product, offered: &Product) -> (Vec<FeatureGain>, usize) {
    let mut gains = Vec::new();
    let mut losses = 0;
    for (name, to) in &offered.features {
        let from = owned.features.get(name);
        match is_better(from, to) {
            Some(true) => gains.push(FeatureGain { feature: name.clone(), from: from.cloned(), to: to.clone() }),
            Some(false) => losses += 1,
            None => {}
        }
    }
    let is_lost = |name: &String, value: &FeatureValue| {
        !offered.features.contains_key(name) && !matches!(value, FeatureValue::Text(_) | FeatureValue::Flag(false))
    };
    losses += owned.features.iter().filter(|(name, value)| is_lost(name, value)).count();
    gains.truncate(GAINS_MAX);
    (gains, losses)
}

/// Whether a feature is better (`true`), worse (`false`) or neither: a higher number and a present flag are better, texts
/// are neither.
fn is_better(from: Option<&FeatureValue>, to: &FeatureValue) -> Option<bool> {
    match (from, to) {
        (Some(FeatureValue::Number(from)), FeatureValue::Number(to)) if to > from => Some(true),
        (Some(FeatureValue::Number(from)), FeatureValue::Number(to)) if to < from => Some(false),
        (None | Some(FeatureValue::Flag(false)), FeatureValue::Flag(true)) | (None, FeatureValue::Number(_)) => {
            Some(true)
        }
        (Some(FeatureValue::Flag(true)), FeatureValue::Flag(false)) => Some(false),
        (Some(FeatureValue::Number(_) | FeatureValue::Flag(_) | FeatureValue::Text(_)) | None, _) => None,
    }
}
