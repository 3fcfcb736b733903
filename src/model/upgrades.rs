//! Which products are steps up from which.
//!
//! An upgrade needs evidence of being better: a higher tier on the same ladder; or, within the same category, better
//! features; or, where neither product has features, moves to something moderately dearer that customers were seen to
//! make clearly more often than the way back. A higher price alone is never enough, nor is being bought: things that go
//! together are bought in either order. A better thing may cost the same or less.

use crate::domain::candidate::{Evidence, GAINS_MAX};
use crate::domain::offer::FeatureGain;
use crate::domain::product::{FeatureValue, Product};

/// The dearest step that still counts as the same kind of thing, as a multiple of the owned product's price.
const PRICE_RATIO_MAX: f64 = 3.0;
/// Moves worth telling.
const MOVES_MIN: u32 = 2;
/// How many standard errors the moves must outnumber the moves back by to be no accident (a one-sided sign test at 5 %).
const SIGN_TEST_ERRORS: f64 = 1.645;

/// What the model knows of a step.
#[derive(Debug, Clone, Copy, Default)]
pub struct Seen {
    /// Customers who made the same move.
    pub moves: u32,
    /// Customers who made the opposite move.
    pub moves_back: u32,
    /// Recent buyers of the better product.
    pub recent_buyers: u32,
}

/// A step up from an owned product.
#[derive(Debug, Clone, PartialEq)]
pub struct Step {
    /// What gets better.
    pub gains: Vec<FeatureGain>,
    /// How close the step is, 0 to 1: the next tier, or a little dearer.
    pub closeness: f64,
    /// What speaks for it.
    pub evidence: Vec<Evidence>,
}

/// The step from `owned` to `offered`; `None` when it is not one up.
pub fn step(owned: &Product, offered: &Product, seen: Seen) -> Option<Step> {
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
        let is_better_thing = !gains.is_empty() && losses == 0;
        let is_seen_as_better = !has_features && !goes_with(owned, offered) && seen.is_mostly_up();
        if !(is_better_thing || is_seen_as_better) {
            return None;
        }
        price_closeness(owned, offered, !gains.is_empty())?
    };
    if seen.moves >= MOVES_MIN {
        evidence.push(Evidence::MovedUp { customers: seen.moves });
    }
    if seen.recent_buyers > 0 {
        evidence.push(Evidence::Popular { buyers: seen.recent_buyers, days: super::offer_model::RECENT_DAYS });
    }
    Some(Step { gains, closeness, evidence })
}

impl Seen {
    /// True when customers clearly prefer the move to its opposite.
    fn is_mostly_up(self) -> bool {
        let (up, back) = (f64::from(self.moves), f64::from(self.moves_back));
        self.moves >= MOVES_MIN && up - back >= SIGN_TEST_ERRORS * (up + back).sqrt()
    }
}

/// True when the catalogue says that one complements the other: it is then no replacement.
fn goes_with(one: &Product, other: &Product) -> bool {
    let names = |a: &Product, b: &Product| a.compatible_with.contains(&b.id) || a.requires.contains(&b.id);
    names(one, other) || names(other, one)
}

/// 1 for a small step in price, less for a larger one; `None` when it is no step up or too large. Cheaper is a step up
/// only for a thing with better features.
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

/// The features of `offered` that are better than those of `owned`, and how many are worse.
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

/// Numbers: more is better. Flags: present is better. Texts differ only.
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
