//! Acceptances of offers by product, which adjust propensities between trainings.
//!
//! Propensities are learned from purchases, which say little of how an offer is received. So offers are counted, with the
//! propensity that the model gave each: a product whose offers are accepted more often than expected from those
//! propensities is lifted, one whose offers are accepted less often is lowered. The expectation is first scaled to the
//! acceptances of all offers: callers that report few acceptances, or late, move nothing.
//!
//! Deliberately not counted: rank and channel of an offer, would-be offers of the control group, offers of customers who
//! object to profiling.

use std::collections::HashMap;
use std::time::Duration;

use crate::domain::event::OutcomeKind;
use crate::domain::ids::ProductId;
use crate::domain::time::DAY;

/// Age beyond which offers are not counted, in days.
pub const LOOKBACK_DAYS: u32 = 180;
/// Age beyond which offers are not counted.
pub const LOOKBACK: Duration = DAY.saturating_mul(LOOKBACK_DAYS);
/// Time after which an offer without an outcome counts as not accepted.
pub const RESPONSE_WINDOW: Duration = DAY.saturating_mul(7);
/// Weight of the prior in a lift, in acceptances.
const PRIOR_ACCEPTANCES: f64 = 10.0;
/// Maximum factor by which a propensity is multiplied or divided.
pub const LIFT_MAX: f64 = 4.0;

/// Offers and acceptances of all products.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Acceptances {
    by_product: HashMap<ProductId, OfferCounts>,
    all: OfferCounts,
}

/// Counts of offers and acceptances.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct OfferCounts {
    pub offered: u32,
    /// Number of accepted offers.
    pub accepted: u32,
    /// Expected number of accepted offers by their propensities, before any lift.
    pub expected: f64,
}

impl OfferCounts {
    fn add(&mut self, propensity: f64, is_accepted: bool) {
        self.offered = self.offered.saturating_add(1);
        self.accepted = self.accepted.saturating_add(u32::from(is_accepted));
        self.expected += propensity;
    }
}

impl Acceptances {
    /// Counts an offer with a final outcome. `propensity` is the model's own, 0 to 1.
    pub fn count(&mut self, product: &ProductId, propensity: f64, is_accepted: bool) {
        let propensity = if propensity.is_finite() { propensity.clamp(0.0, 1.0) } else { 0.0 };
        self.all.add(propensity, is_accepted);
        match self.by_product.get_mut(product) {
            Some(counts) => counts.add(propensity, is_accepted),
            None => self.by_product.entry(product.clone()).or_default().add(propensity, is_accepted),
        }
    }

    /// True when no offer was counted, so that no propensity is adjusted.
    pub fn is_empty(&self) -> bool {
        self.all.offered == 0
    }

    /// Counts that were read back.
    pub fn of_counts(by_product: impl IntoIterator<Item = (ProductId, OfferCounts)>, all: OfferCounts) -> Self {
        Self { by_product: by_product.into_iter().collect(), all }
    }

    /// Counts of all products that were offered.
    pub fn by_product(&self) -> impl Iterator<Item = (&ProductId, &OfferCounts)> {
        self.by_product.iter()
    }

    /// Counts over all products.
    pub fn all(&self) -> OfferCounts {
        self.all
    }

    /// Counts of a product.
    pub fn counts(&self, product: &ProductId) -> OfferCounts {
        self.by_product.get(product).copied().unwrap_or_default()
    }

    /// Factor on the propensity of a product, `1 / LIFT_MAX` to [`LIFT_MAX`]; 1 for a product that is accepted as often as
    /// others of its propensity. `None` without offers. The mean of a gamma posterior over observed by expected counts
    /// (W. `DuMouchel`, "Bayesian data mining in large frequency tables", The American Statistician 53, 1999), with one prior
    /// for all.
    pub fn lift(&self, product: &ProductId) -> Option<f64> {
        let OfferCounts { offered, accepted, expected } = self.counts(product);
        if offered == 0 {
            return None;
        }
        let scale = (f64::from(self.all.accepted) + PRIOR_ACCEPTANCES) / (self.all.expected + PRIOR_ACCEPTANCES);
        let lift = (f64::from(accepted) + PRIOR_ACCEPTANCES) / (expected * scale + PRIOR_ACCEPTANCES);
        Some(lift.clamp(1.0 / LIFT_MAX, LIFT_MAX))
    }
}

/// Acceptance of an offer by its outcome: accepted or not when the outcome is final, `None` when it is not.
pub fn acceptance(kind: OutcomeKind) -> Option<bool> {
    match kind {
        OutcomeKind::Accepted => Some(true),
        OutcomeKind::Rejected | OutcomeKind::Dismissed | OutcomeKind::Complained | OutcomeKind::OptedOut => Some(false),
        OutcomeKind::Shown | OutcomeKind::Clicked | OutcomeKind::NotShown => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn product(name: &str) -> ProductId {
        ProductId::new(name).expect("a valid id")
    }

    fn lift(acceptances: &Acceptances, name: &str) -> f64 {
        acceptances.lift(&product(name)).expect("it was offered")
    }

    fn after(offers: &[(&str, u32, u32)]) -> Acceptances {
        let mut acceptances = Acceptances::default();
        for &(name, offered, accepted) in offers {
            (0..offered).for_each(|number| acceptances.count(&product(name), 0.1, number < accepted));
        }
        acceptances
    }

    #[test]
    fn a_product_is_lifted_by_its_acceptances_relative_to_others() {
        let acceptances = after(&[("liked", 400, 80), ("usual", 400, 40), ("disliked", 400, 0)]);
        let [liked, usual, disliked] = ["liked", "usual", "disliked"].map(|name| lift(&acceptances, name));
        // 120 of 1,200 are accepted, as expected.
        assert!((liked - 90.0 / 50.0).abs() < 1e-9 && (usual - 1.0).abs() < 1e-9, "{liked} {usual}");
        assert!((disliked - 0.25).abs() < 1e-9, "{disliked}");
        assert_eq!(acceptances.lift(&product("new")), None);
        assert_eq!(
            acceptances.counts(&product("liked")),
            OfferCounts { offered: 400, accepted: 80, ..acceptances.counts(&product("usual")) }
        );
    }

    /// Broken by: expected acceptances that are not scaled to those of all offers.
    #[test]
    fn callers_that_never_report_acceptances_hardly_move_propensities() {
        let acceptances = after(&[("a", 5_000, 0), ("b", 5_000, 0), ("c", 5_000, 0)]);
        let lift = lift(&acceptances, "a");
        assert!(lift > 0.7, "{lift}");
    }

    #[test]
    fn a_few_offers_move_little() {
        let acceptances = after(&[("lucky", 3, 3), ("usual", 1_000, 100)]);
        let lift = lift(&acceptances, "lucky");
        assert!((1.0..1.3).contains(&lift), "{lift}");
    }

    #[test]
    fn invalid_propensities_count_as_the_nearest_valid_ones() {
        let mut acceptances = Acceptances::default();
        for propensity in [f64::NAN, f64::INFINITY, -1.0, 7.0] {
            acceptances.count(&product("a"), propensity, true);
        }
        let OfferCounts { expected, .. } = acceptances.counts(&product("a"));
        assert!((expected - 1.0).abs() < f64::EPSILON);
        assert!(lift(&acceptances, "a").is_finite());
    }
}
