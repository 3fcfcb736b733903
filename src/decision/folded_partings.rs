//! Starts and partings of a product beyond the bounds of a customer's state, and the end of its holding that follows from
//! those that are stored.
//!
//! Called whenever starts, partings or purchases of a product were added, by an event or by a merge.

use super::subscriptions::EndInEffect;
use crate::domain::customer::Customer;
use crate::domain::event::PlanDirection;
use crate::domain::ids::ProductId;
use crate::domain::policy::RelationshipPolicy;
use crate::domain::relationship::{Parting, PartingKind};
use crate::domain::state_bounds::StateBounds;
use crate::domain::time::Timestamp;

/// Drops the starts of a product that can be spared.
pub(super) fn drop_old_starts(
    customer: &mut Customer,
    product: &ProductId,
    policy: &RelationshipPolicy,
    bounds: &StateBounds,
) {
    let Customer { holdings, relationship, .. } = customer;
    let Some(holding) = holdings.latest.get_mut(product) else { return };
    let window = policy.plan_change_window;
    let is_near = |start: Timestamp| relationship.partings.iter().any(|it| it.at.distance(start) <= window);
    holding.drop_old_starts(bounds, is_near);
}

/// Updates the end of a holding, which depends on the starts and purchases around the partings of the product.
pub(super) fn update_end(customer: &mut Customer, product: &ProductId, policy: &RelationshipPolicy) {
    let Some(holding) = customer.holdings.latest.get_mut(product) else { return };
    let partings = customer.relationship.partings.iter().filter(|parting| parting.product == *product);
    let partings: Vec<&Parting> = partings.collect();
    let end = EndInEffect::of(holding, &partings, policy.plan_change_window);
    (holding.ended_at, holding.possibly_ended_at) = (end.certain, end.possible);
}

/// Folds a parting that is no longer stored one by one.
pub(super) fn fold_parting(customer: &mut Customer, parting: &Parting, policy: &RelationshipPolicy) {
    customer.relationship.folded_friction.add(parting.at, parting_weight(&parting.kind, policy));
    let folded_end_at = match customer.holdings.latest.get_mut(&parting.product) {
        Some(holding) => &mut holding.folded_end_at,
        None => &mut customer.holdings.evicted_end_at,
    };
    *folded_end_at = (*folded_end_at).max(Some(parting.at));
    update_end(customer, &parting.product, policy);
}

/// Friction of a parting that is no longer stored one by one: as if it had not been part of a renewal or of a change.
fn parting_weight(kind: &PartingKind, policy: &RelationshipPolicy) -> f64 {
    let [cancellation, downgrade, end] = policy.parting_weights;
    match kind {
        PartingKind::Cancellation => cancellation,
        PartingKind::SubscriptionEnd => end,
        PartingKind::Downgrade { .. } | PartingKind::PlanChange { direction: None | Some(PlanDirection::Down), .. } => {
            downgrade
        }
        PartingKind::PlanChange {
            direction: Some(PlanDirection::Up | PlanDirection::Sideways | PlanDirection::RightSized),
            ..
        } => 0.0,
    }
}
