//! Rules for which products are upgrades of which.
//!
//! An upgrade needs evidence of being better: a higher tier on the same ladder; or, within the same category, better
//! features; or, where neither product has features, customers who replaced one by the other. A higher price alone is never
//! enough, nor is being bought afterwards: what goes with a product is bought after it, too. Variants of one product differ,
//! but none is better, unless a ladder says so.

use crate::domain::candidate::SUPPORT_MIN;
use crate::domain::evidence::Evidence;
use crate::domain::feature_order::FeatureOrders;
use crate::domain::offer::FeatureGain;
use crate::domain::product::Product;

use super::feature_comparison::FeatureComparison;
use super::learned_product::RECENT_DAYS;
use super::title_similarity;

/// Maximum price of an upgrade, as a multiple of the owned product's price; beyond it is another kind of product.
const PRICE_RATIO_MAX: f64 = 3.0;
/// Minimum price of a product that is known to be better only because customers replaced the owned one by it: a design that
/// costs some pence more is another one, not a better one.
const REPLACEMENT_PRICE_RATIO_MIN: f64 = 1.1;
/// Standard errors of a bound on a share or count: one-sided, 2.5 % are beyond it.
const STANDARD_ERRORS: f64 = 2.0;
/// Minimum number of compared features of products whose titles are not alike, so that watts alone do not make a toaster an
/// upgrade of a kettle.
const COMPARED_FEATURES_MIN: usize = 2;

/// Learned statistics of a transition.
#[derive(Debug, Clone, Copy, Default)]
pub struct TransitionStatistics {
    /// Customers who bought the offered product after the owned one, and never the owned one again.
    pub replaced: u32,
    /// Customers who bought the offered product after the owned one, and later the owned one again.
    pub bought_again: u32,
    /// Customers who bought them in the opposite order.
    pub back: u32,
    /// Orders that held both.
    pub together: u32,
    /// Orders that would hold both by chance.
    pub together_by_chance: f64,
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

/// Upgrade from `owned` to `offered`; `None` when it is none. `are_variants` is true for variants of one item group.
pub fn upgrade_path(
    owned: &Product,
    offered: &Product,
    are_variants: bool,
    orders: &FeatureOrders,
    statistics: TransitionStatistics,
) -> Option<UpgradePath> {
    let comparison = FeatureComparison::of(owned, offered, orders);
    let mut evidence = Vec::new();
    let closeness = match (&owned.ladder_position, &offered.ladder_position) {
        (Some(from), Some(to)) if from.ladder == to.ladder => {
            let tiers = to.tier.checked_sub(from.tier).filter(|&tiers| tiers > 0)?;
            evidence.push(Evidence::HigherTier { from: from.tier, to: to.tier });
            1.0 / f64::from(tiers)
        }
        // A product on a ladder moves within its ladder only.
        (Some(_), _) | (_, Some(_)) => return None,
        (None, None) if are_variants || goes_with(owned, offered) => return None,
        (None, None) => {
            let price_ratio = price_ratio(owned, offered)?;
            let has_features = !owned.features.is_empty() || !offered.features.is_empty();
            let is_better = if has_features {
                has_better_features(owned, offered, &comparison, price_ratio)
            } else {
                is_replacement(owned, offered, price_ratio, statistics)
            };
            if !is_better || price_ratio > PRICE_RATIO_MAX {
                return None;
            }
            1.0 / price_ratio.max(1.0)
        }
    };
    if statistics.replaced >= SUPPORT_MIN {
        evidence.push(Evidence::MovedUp { customers: statistics.replaced });
    }
    if statistics.recent_buyers >= SUPPORT_MIN {
        evidence.push(Evidence::Popular { buyers: statistics.recent_buyers, days: RECENT_DAYS });
    }
    Some(UpgradePath { gains: comparison.gains, closeness, evidence })
}

/// True when the offered product is better in some feature and worse in none, and both are of one kind. Higher numbers of
/// features without a declared order count only when the product is dearer.
fn has_better_features(owned: &Product, offered: &Product, comparison: &FeatureComparison, price_ratio: f64) -> bool {
    let FeatureComparison { gains: _, certain_gains, higher_numbers, losses, compared } = *comparison;
    let is_better = certain_gains > 0 || (higher_numbers > 0 && price_ratio > 1.0);
    let is_one_kind = compared >= COMPARED_FEATURES_MIN
        || (compared > 0 && title_similarity::are_alike(&owned.title, &offered.title));
    is_better && losses == 0 && is_one_kind
}

/// True when customers replaced the owned product by the offered one: the two stand for each other.
fn is_replacement(owned: &Product, offered: &Product, price_ratio: f64, statistics: TransitionStatistics) -> bool {
    price_ratio >= REPLACEMENT_PRICE_RATIO_MIN
        && title_similarity::are_alike(&owned.title, &offered.title)
        && statistics.is_mostly_replaced()
        && !statistics.is_bought_together()
}

impl TransitionStatistics {
    /// True when clearly more customers replaced the owned product than moved back, bought it again, or bought both at once:
    /// the lower bound of their share (E. B. Wilson, "Probable inference, the law of succession, and statistical inference",
    /// Journal of the American Statistical Association 22, 1927) is above one half.
    fn is_mostly_replaced(self) -> bool {
        let Self { replaced, bought_again, back, together, .. } = self;
        let count = f64::from(replaced) + f64::from(bought_again) + f64::from(back) + f64::from(together);
        if replaced < SUPPORT_MIN {
            return false;
        }
        let share = f64::from(replaced) / count;
        let spread = STANDARD_ERRORS * STANDARD_ERRORS / count;
        let error = STANDARD_ERRORS * (share * (1.0 - share) / count + spread / (4.0 * count)).sqrt();
        (share + spread / 2.0 - error) / (1.0 + spread) > 0.5
    }

    /// True when more orders held both than chance explains: what is bought at once is used at once.
    fn is_bought_together(self) -> bool {
        let together = f64::from(self.together);
        together - STANDARD_ERRORS * self.together_by_chance.max(0.0).sqrt() > self.together_by_chance
            && self.together > 1
    }
}

/// True when the catalogue names one as a complement of the other, which then is no replacement.
fn goes_with(one: &Product, other: &Product) -> bool {
    let names = |a: &Product, b: &Product| a.compatible_with.contains(&b.id) || a.requires.contains(&b.id);
    names(one, other) || names(other, one)
}

/// Price of the offered product as a multiple of the owned product's; `None` when they cannot be compared.
fn price_ratio(owned: &Product, offered: &Product) -> Option<f64> {
    let (from, to) = owned.price.zip(offered.price)?;
    if from.currency() != to.currency() || from.approximate() <= 0.0 {
        return None;
    }
    Some(to.approximate() / from.approximate())
}
