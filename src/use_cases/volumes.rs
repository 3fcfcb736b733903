//! Volumes of explicit offers: what a decision takes of them and a release returns, as part of a commit. The store keeps the
//! caps, the only limits that hold across customers.

use super::app::App;
use super::snapshot::Snapshot;
use crate::domain::decision::Decision;
use crate::domain::ids::OfferId;
use crate::domain::ledger::{Grant, GrantLease, Ledger};
use crate::store::contract::change::VolumeUnit;
use crate::store::contract::error::StoreError;

/// Returns the explicit offers that a decision newly grants, and of whose volume its commit takes a unit. Offers without a cap
/// count as well, so that a cap that is set later includes them, and a release finds the unit that it releases.
pub(super) fn taken_volumes(decision: &Decision, snapshot: &Snapshot) -> Vec<OfferId> {
    new_explicit_grants(decision, snapshot).map(|(offer, _)| offer.clone()).collect()
}

/// Returns the explicit offers that a decision newly grants, each with the cap of its volume.
fn new_explicit_grants<'d>(
    decision: &'d Decision,
    snapshot: &'d Snapshot,
) -> impl Iterator<Item = (&'d OfferId, Option<u64>)> {
    let new = decision.slate.iter().filter(|offer| !offer.is_already_granted);
    new.filter_map(|offer| Some((&offer.id, snapshot.offers.get(&offer.product, &offer.id)?.volume_cap)))
}

/// Returns the first offer of a decision whose volume is exhausted. Reserves nothing.
pub(super) async fn find_exhausted_offer(
    app: &App,
    snapshot: &Snapshot,
    decision: &Decision,
) -> Result<Option<OfferId>, StoreError> {
    for (offer, cap) in new_explicit_grants(decision, snapshot).filter_map(|(offer, cap)| Some((offer, cap?))) {
        if app.store.used_volume(offer).await? >= cap {
            return Ok(Some(offer.clone()));
        }
    }
    Ok(None)
}

/// Returns the grants that hold a unit of a volume: those of explicit offers, usually none.
pub(super) fn explicit_grants(ledger: &Ledger) -> Vec<Grant> {
    ledger.grants.iter().filter(|grant| !grant.offer.is_implicit()).cloned().collect()
}

/// Returns the units of grants that a change has released.
pub(super) fn released_units(before: Vec<Grant>, after: &Ledger) -> Vec<VolumeUnit> {
    let is_released = |grant: &Grant| {
        let is_within_lease = |lease: &GrantLease| after.clock.is_none_or(|now| now < lease.ends_at);
        // A grant that merely aged out of the ledger was past its lease.
        grant.lease.as_ref().is_some_and(is_within_lease) && !after.grants.iter().any(|it| it.id == grant.id)
    };
    let released = before.into_iter().filter(is_released);
    // The first decision that served a grant is the one that made it.
    let unit =
        |grant: Grant| Some(VolumeUnit { decision: grant.lease?.servings.first()?.decision, offer: grant.offer });
    released.filter_map(unit).collect()
}

/// Has the store recover the units that interrupted commits left reserved. Returns their number.
pub async fn recover_expired_reservations(app: &App) -> Result<usize, StoreError> {
    let recovered = app.store.recover_expired_reservations(app.now()).await?;
    if recovered > 0 {
        app.store.durable().await?;
        tracing::info!(reservations = recovered, "expired volume reservations recovered");
    }
    // Exhaustion is checked again: one that was found while a release ran may have been added to the cache after it.
    app.exhausted_offers.clear();
    Ok(recovered)
}
