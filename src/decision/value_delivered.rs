//! Value delivered: offers that the customer accepted and kept, less those that were regretted.
//!
//! An acceptance may be reported twice, as an outcome and as a purchase, and a product may be given up in several steps. Both
//! are stored as they were reported, and clustered when they are read: of the acceptances of a product that are no further
//! apart than the regret window one counts, and likewise of its regrets. From the latest backwards, this is the choice with
//! the greatest sum, so one more acceptance never lowers the gain and one more regret never lowers the loss, in any order.
//!
//! A return or parting is a regret when an acceptance came at most the regret window before it. Where acceptances or returns
//! are no longer stored, the worse of the two possibilities is assumed.

use std::collections::BTreeMap;
use std::time::Duration;

use super::subscriptions::PartingMeaning;
use crate::domain::decayed_sum::HalfLife;
use crate::domain::event::PlanDirection;
use crate::domain::ids::ProductId;
use crate::domain::policy::RelationshipPolicy;
use crate::domain::relationship::{AcceptedOffer, Parting, ProductReturn, RelationshipState};
use crate::domain::state_bounds::StateBounds;
use crate::domain::time::Timestamp;

/// Accepted and regretted offers, clustered.
pub(super) struct AcceptancesInEffect {
    /// Times of the acceptances that count.
    pub accepted_at: Vec<Timestamp>,
    /// Times of the regrets that count.
    pub regretted_at: Vec<Timestamp>,
}

impl AcceptancesInEffect {
    /// Reads acceptances and regrets. `meanings` are those of the partings.
    pub fn of(state: &RelationshipState, meanings: &[PartingMeaning], policy: &RelationshipPolicy) -> Self {
        let accepted = state.accepted_offers.iter().map(|offer| (&offer.product, offer.at));
        let regretted = regrets(state, meanings);
        let window = policy.regret_window;
        Self {
            accepted_at: one_of_each_cluster(accepted, window),
            regretted_at: one_of_each_cluster(regretted, window),
        }
    }

    /// Gain and loss at `now`, each entry decayed from its own day.
    pub fn value(&self, policy: &RelationshipPolicy, half_life: HalfLife, now: Timestamp) -> f64 {
        let decayed =
            |times: &[Timestamp]| -> f64 { times.iter().map(|at| half_life.decay(now.days_since(*at))).sum() };
        policy.accepted_weight * decayed(&self.accepted_at) - policy.regretted_weight * decayed(&self.regretted_at)
    }
}

/// Product and time of each return and parting that is a regret. `meanings` are those of the partings.
pub(super) fn regrets<'a>(
    state: &'a RelationshipState,
    meanings: &[PartingMeaning],
) -> impl Iterator<Item = (&'a ProductId, Timestamp)> {
    let returned = state.returns.iter().filter(|it| it.follows_acceptance).map(|it| (&it.product, it.at));
    let parted = state.partings.iter().zip(meanings);
    let parted = parted.filter(|(parting, meaning)| parting.follows_acceptance && gives_up(meaning));
    returned.chain(parted.map(|(parting, _)| (&parting.product, parting.at)))
}

/// Whether the customer gave the product up for nothing or for a lesser one.
fn gives_up(meaning: &PartingMeaning) -> bool {
    match meaning {
        PartingMeaning::Renewal => false,
        PartingMeaning::End => true,
        PartingMeaning::InferredChange { direction, .. } | PartingMeaning::ReportedChange { direction, .. } => {
            *direction == PlanDirection::Down
        }
    }
}

/// Of the times of each product those that are further apart than `window`, from the latest backwards.
fn one_of_each_cluster<'a>(
    dated: impl Iterator<Item = (&'a ProductId, Timestamp)>,
    window: Duration,
) -> Vec<Timestamp> {
    let mut by_product: BTreeMap<&ProductId, Vec<Timestamp>> = BTreeMap::new();
    for (product, at) in dated {
        by_product.entry(product).or_default().push(at);
    }
    let mut chosen = Vec::new();
    for times in by_product.values_mut() {
        times.sort_unstable();
        let mut latest: Option<Timestamp> = None;
        for &at in times.iter().rev() {
            if latest.is_none_or(|latest| latest.since(at) > window) {
                latest = Some(at);
                chosen.push(at);
            }
        }
    }
    chosen
}

/// Records an acceptance.
pub(super) fn record_acceptance(
    state: &mut RelationshipState,
    product: &ProductId,
    at: Timestamp,
    policy: &RelationshipPolicy,
    bounds: &StateBounds,
) {
    let window = policy.regret_window;
    let position = state.accepted_offers.binary_search_by_key(&(at, product), |offer| (offer.at, &offer.product));
    let Err(index) = position else { return };
    state.accepted_offers.insert(index, AcceptedOffer { at, product: product.clone(), since: at });
    let is_regret =
        |of: &ProductId, given_up_at: Timestamp| of == product && given_up_at > at && given_up_at <= at + window;
    for it in &mut state.returns {
        it.follows_acceptance |= is_regret(&it.product, it.at);
    }
    for it in &mut state.partings {
        it.follows_acceptance |= is_regret(&it.product, it.at);
    }
    let dropped_through = state.returns_dropped_through.max(state.partings_dropped_through);
    if let Some(dropped_through) = dropped_through.filter(|&dropped_through| dropped_through > at) {
        state.folded_value.add(dropped_through.min(at + window), -policy.regretted_weight);
    }
    while state.accepted_offers.len() > bounds.accepted_offers {
        drop_an_acceptance(state, window);
    }
}

/// Drops an acceptance: one that does not count if there is one, merged into the next of its product, else the oldest.
fn drop_an_acceptance(state: &mut RelationshipState, window: Duration) {
    let offers = &mut state.accepted_offers;
    let mut counted: BTreeMap<&ProductId, Timestamp> = BTreeMap::new();
    let mut redundant = None;
    for (index, offer) in offers.iter().enumerate().rev() {
        if counted.get(&offer.product).is_some_and(|counted| counted.since(offer.at) <= window) {
            redundant = Some(index);
        } else {
            counted.insert(&offer.product, offer.at);
        }
    }
    if let Some(index) = redundant {
        let dropped = offers.remove(index);
        let next = offers[index..].iter_mut().find(|offer| offer.product == dropped.product);
        if let Some(next) = next {
            next.since = next.since.min(dropped.since);
        }
    } else if !offers.is_empty() {
        let dropped = offers.remove(0);
        state.acceptances_dropped_through = state.acceptances_dropped_through.max(Some(dropped.at));
    }
}

/// Whether a return or parting at this moment is a regret, as far as acceptances are known.
fn follows_acceptance(state: &RelationshipState, product: &ProductId, at: Timestamp, window: Duration) -> bool {
    let is_recent = |offer: &AcceptedOffer| offer.product == *product && at > offer.since && at <= offer.at + window;
    let may_have_been_dropped = state.acceptances_dropped_through.is_some_and(|through| at <= through + window);
    may_have_been_dropped || state.accepted_offers.iter().any(is_recent)
}

/// Records a return.
pub(super) fn record_return(
    state: &mut RelationshipState,
    product: &ProductId,
    at: Timestamp,
    policy: &RelationshipPolicy,
    bounds: &StateBounds,
) {
    let position = state.returns.binary_search_by_key(&(at, product), |it| (it.at, &it.product));
    let Err(index) = position else { return };
    let follows_acceptance = follows_acceptance(state, product, at, policy.regret_window);
    state.returns.insert(index, ProductReturn { at, product: product.clone(), follows_acceptance });
    while state.returns.len() > bounds.returns {
        let dropped = state.returns.remove(0);
        state.returns_dropped_through = state.returns_dropped_through.max(Some(dropped.at));
        if dropped.follows_acceptance {
            state.folded_value.add(dropped.at, -policy.regretted_weight);
        }
    }
}

/// Records a parting, and returns the partings that are no longer stored one by one.
pub(super) fn record_parting(
    state: &mut RelationshipState,
    mut parting: Parting,
    policy: &RelationshipPolicy,
    bounds: &StateBounds,
) -> Vec<Parting> {
    let key = (parting.at, &parting.product, &parting.kind);
    let Err(index) = state.partings.binary_search_by_key(&key, |it| (it.at, &it.product, &it.kind)) else {
        return Vec::new();
    };
    parting.follows_acceptance |= follows_acceptance(state, &parting.product, parting.at, policy.regret_window);
    state.partings.insert(index, parting);
    let beyond = state.partings.len().saturating_sub(bounds.partings);
    let dropped: Vec<Parting> = state.partings.drain(..beyond).collect();
    for parting in &dropped {
        state.partings_dropped_through = state.partings_dropped_through.max(Some(parting.at));
        if parting.follows_acceptance {
            state.folded_value.add(parting.at, -policy.regretted_weight);
        }
    }
    dropped
}
