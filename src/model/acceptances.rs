//! What came of offers, product by product: it moves a propensity between trainings and after.
//!
//! Propensities are learned from what customers bought, which tells little of how an offer is received. So offers are
//! counted, with the propensity that the model gave each, and a product whose offers were accepted more often than those
//! propensities promised is lifted; one whose offers were accepted less often is lowered. The promise is first scaled by
//! how all offers fare together: callers who report few acceptances, or late, move nothing.
//!
//! Deliberately not counted: rank and channel of an offer, would-be offers of the control group, offers of customers who
//! object to profiling.

use std::collections::HashMap;
use std::time::Duration;

use crate::domain::event::OutcomeKind;
use crate::domain::ids::ProductId;
use crate::domain::time::DAY;

/// Offers older than this say nothing any more.
pub const LOOKS_BACK_DAYS: u32 = 180;
/// The same.
pub const LOOKS_BACK: Duration = DAY.saturating_mul(LOOKS_BACK_DAYS);
/// An offer of which nothing was heard for so long was not accepted.
pub const ANSWERED_WITHIN: Duration = DAY.saturating_mul(7);
/// The counts of a product weigh against so many acceptances that come as promised.
const PRIOR_ACCEPTANCES: f64 = 10.0;
/// A propensity is multiplied by this at most, and divided by it at most.
pub const LIFT_MAX: f64 = 4.0;

/// What came of the offers of all products.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Acceptances {
    of_product: HashMap<ProductId, Counts>,
    all: Counts,
}

/// What came of some offers.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Counts {
    /// How many were made.
    pub offered: u32,
    /// How many of them were accepted.
    pub accepted: u32,
    /// How many acceptances their propensities promised, before any lift.
    pub promised: f64,
}

impl Counts {
    fn add(&mut self, propensity: f64, is_accepted: bool) {
        self.offered = self.offered.saturating_add(1);
        self.accepted = self.accepted.saturating_add(u32::from(is_accepted));
        self.promised += propensity;
    }
}

impl Acceptances {
    /// Counts an offer of which all is heard. `propensity` is the model's own, 0 to 1.
    pub fn count(&mut self, product: &ProductId, propensity: f64, is_accepted: bool) {
        let propensity = if propensity.is_finite() { propensity.clamp(0.0, 1.0) } else { 0.0 };
        self.all.add(propensity, is_accepted);
        match self.of_product.get_mut(product) {
            Some(counts) => counts.add(propensity, is_accepted),
            None => self.of_product.entry(product.clone()).or_default().add(propensity, is_accepted),
        }
    }

    /// True when nothing was counted: no propensity is moved.
    pub fn is_empty(&self) -> bool {
        self.all.offered == 0
    }

    /// What came of the offers of a product.
    pub fn of(&self, product: &ProductId) -> Counts {
        self.of_product.get(product).copied().unwrap_or_default()
    }

    /// The factor on the propensity of a product, `1 / LIFT_MAX` to [`LIFT_MAX`]; 1 is a product that is accepted as often
    /// as others for its propensity. `None` while nothing is known of its offers. The mean of a gamma posterior over observed
    /// by expected counts (W. `DuMouchel`, "Bayesian data mining in large frequency tables", The American Statistician 53, 1999), with one prior for all.
    pub fn lift(&self, product: &ProductId) -> Option<f64> {
        let Counts { offered, accepted, promised } = self.of(product);
        if offered == 0 {
            return None;
        }
        let kept = (f64::from(self.all.accepted) + PRIOR_ACCEPTANCES) / (self.all.promised + PRIOR_ACCEPTANCES);
        let lift = (f64::from(accepted) + PRIOR_ACCEPTANCES) / (promised * kept + PRIOR_ACCEPTANCES);
        Some(lift.clamp(1.0 / LIFT_MAX, LIFT_MAX))
    }
}

/// Whether an outcome ends the wait for an acceptance, and how; `None` when more may be heard.
pub fn is_acceptance(kind: OutcomeKind) -> Option<bool> {
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
        acceptances.lift(&product(name)).expect("something is known of it")
    }

    fn after(offers: &[(&str, u32, u32)]) -> Acceptances {
        let mut acceptances = Acceptances::default();
        for &(name, offered, accepted) in offers {
            (0..offered).for_each(|number| acceptances.count(&product(name), 0.1, number < accepted));
        }
        acceptances
    }

    #[test]
    fn a_product_is_lifted_by_what_came_of_its_offers_beside_others() {
        let acceptances = after(&[("liked", 400, 80), ("usual", 400, 40), ("disliked", 400, 0)]);
        let [liked, usual, disliked] = ["liked", "usual", "disliked"].map(|name| lift(&acceptances, name));
        // 120 of 1,200 are accepted, as promised.
        assert!((liked - 90.0 / 50.0).abs() < 1e-9 && (usual - 1.0).abs() < 1e-9, "{liked} {usual}");
        assert!((disliked - 0.25).abs() < 1e-9, "{disliked}");
        assert_eq!(acceptances.lift(&product("new")), None);
        assert_eq!(
            acceptances.of(&product("liked")),
            Counts { offered: 400, accepted: 80, ..acceptances.of(&product("usual")) }
        );
    }

    /// Broken by: a promise that is not scaled by how all offers fare.
    #[test]
    fn callers_who_never_report_acceptances_move_nothing() {
        let acceptances = after(&[("a", 5_000, 0), ("b", 5_000, 0), ("c", 5_000, 0)]);
        let lift = lift(&acceptances, "a");
        assert!(lift > 0.7, "{lift}");
    }

    #[test]
    fn a_few_offers_say_little() {
        let acceptances = after(&[("lucky", 3, 3), ("usual", 1_000, 100)]);
        let lift = lift(&acceptances, "lucky");
        assert!((1.0..1.3).contains(&lift), "{lift}");
    }

    #[test]
    fn propensities_that_are_none_count_as_none() {
        let mut acceptances = Acceptances::default();
        for propensity in [f64::NAN, f64::INFINITY, -1.0, 7.0] {
            acceptances.count(&product("a"), propensity, true);
        }
        let Counts { promised, .. } = acceptances.of(&product("a"));
        assert!((promised - 1.0).abs() < f64::EPSILON);
        assert!(lift(&acceptances, "a").is_finite());
    }
}
