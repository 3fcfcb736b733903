//! Reservations against volume caps, the only limits that hold across customers.
//!
//! A decision reserves a unit of each volume, commits the customer, then settles the reservation; a release commits the
//! customer first. A decision that is interrupted in between leaves a reservation behind, which
//! [`recover_expired_reservations`] settles or abandons after its lease, depending on whether the decision was committed.
//! It first commits the customer unchanged: this fence makes a later commit of the interrupted decision fail.

use std::time::Duration;

use super::app::App;
use super::change_customer::{ChangeError, ChangeRejection, CustomerChange, change_customer};
use super::snapshot::Snapshot;
use crate::domain::customer::Customer;
use crate::domain::decision::Decision;
use crate::domain::explicit_offer::VolumeToken;
use crate::domain::ids::OfferId;
use crate::domain::ledger::{Grant, Ledger};
use crate::store::contract::change::Appended;
use crate::store::contract::error::StoreError;
use crate::store::contract::versioned::Versioned;

/// Lease of a reservation. A decision that takes longer from its reservation to its commit may lose it.
const LEASE: Duration = Duration::from_secs(60);

/// Reserved units of the volumes that one decision needs.
pub(super) struct Reservation(Vec<VolumeToken>);

/// Outcome of an attempt to reserve the volumes of a decision.
pub(super) enum ReservationOutcome {
    Reserved(Reservation),
    /// The volume of this offer is exhausted, and nothing is reserved.
    Exhausted(OfferId),
}

/// Returns the explicit offers that a decision newly grants, each with the cap of its volume. Offers without a cap count
/// as well, so that a cap that is set later includes them, and a release finds the unit that it releases.
fn new_explicit_grants<'d>(
    decision: &'d Decision,
    snapshot: &'d Snapshot,
) -> impl Iterator<Item = (&'d OfferId, Option<u64>)> {
    let new = decision.slate.iter().filter(|offer| !offer.is_already_granted);
    new.filter_map(|offer| Some((&offer.id, snapshot.offers.get(&offer.product, &offer.id)?.volume_cap)))
}

/// Reserves a unit for each explicit offer that the decision newly grants: all of them or none.
pub(super) async fn reserve_volumes(
    app: &App,
    snapshot: &Snapshot,
    decision: &Decision,
) -> Result<ReservationOutcome, StoreError> {
    let mut reservation = Reservation(Vec::new());
    for (offer, cap) in new_explicit_grants(decision, snapshot) {
        let token = VolumeToken {
            offer: offer.clone(),
            decision: decision.id,
            customer: decision.customer.clone(),
            lease_ends_at: app.now() + LEASE,
        };
        if !app.store.take_volume(&token, cap.unwrap_or(u64::MAX)).await? {
            reservation.abandon(app).await?;
            app.exhausted_offers.add(offer);
            return Ok(ReservationOutcome::Exhausted(offer.clone()));
        }
        reservation.0.push(token);
    }
    Ok(ReservationOutcome::Reserved(reservation))
}

/// Returns the first offer of a decision whose volume is exhausted. Reserves nothing.
pub(super) async fn find_exhausted_offer(
    app: &App,
    snapshot: &Snapshot,
    decision: &Decision,
) -> Result<Option<OfferId>, StoreError> {
    for (offer, cap) in new_explicit_grants(decision, snapshot).filter_map(|(offer, cap)| Some((offer, cap?))) {
        if app.store.load_volume(offer).await?.used() >= cap {
            return Ok(Some(offer.clone()));
        }
    }
    Ok(None)
}

impl Reservation {
    /// Makes the units of a committed decision final.
    pub(super) async fn settle(self, app: &App) -> Result<(), StoreError> {
        for VolumeToken { offer, decision, .. } in &self.0 {
            app.store.settle_volume(offer, *decision).await?;
        }
        Ok(())
    }

    /// Returns the units of a decision that was not and will not be committed.
    pub(super) async fn abandon(self, app: &App) -> Result<(), StoreError> {
        for VolumeToken { offer, decision, .. } in &self.0 {
            app.store.abandon_volume(offer, *decision).await?;
            app.exhausted_offers.remove(offer);
        }
        Ok(())
    }
}

/// Returns the grants that hold a unit of a volume: those of explicit offers, usually none.
pub(super) fn explicit_grants(ledger: &Ledger) -> Vec<Grant> {
    ledger.grants.iter().filter(|grant| !grant.offer.is_implicit()).cloned().collect()
}

/// Releases the units of grants that a commit has released.
pub(super) async fn release_volumes(app: &App, before: Vec<Grant>, after: &Ledger) -> Result<(), StoreError> {
    for grant in before {
        let is_there = after.grants.iter().any(|it| it.offer == grant.offer && it.granted_at == grant.granted_at);
        // A grant that merely aged out of the ledger was past its lease.
        let is_released = !is_there && after.clock.is_none_or(|now| now < grant.lease_ends_at);
        // The first decision that served a grant is the one that made it.
        if let Some(first) = grant.servings.first().filter(|_| is_released) {
            app.store.release_volume(&grant.offer, first.decision).await?;
            app.exhausted_offers.remove(&grant.offer);
        }
    }
    Ok(())
}

/// Settles or abandons every reservation whose lease has expired. Returns their number.
pub async fn recover_expired_reservations(app: &App) -> Result<usize, StoreError> {
    let now = app.now();
    let volumes = app.store.load_volumes().await?;
    let expired = volumes.into_iter().flat_map(|(_, volume)| volume.pending).filter(|token| now >= token.lease_ends_at);
    let expired: Vec<VolumeToken> = expired.collect();
    for token in &expired {
        if !fence(app, token).await? {
            continue;
        }
        let decision = app.store.load_decision(&token.customer, token.decision).await?;
        if decision.is_some_and(|decision| decision.slate.iter().any(|offer| offer.id == token.offer)) {
            app.store.settle_volume(&token.offer, token.decision).await?;
        } else {
            app.store.abandon_volume(&token.offer, token.decision).await?;
        }
    }
    if !expired.is_empty() {
        app.store.durable().await?;
        tracing::info!(reservations = expired.len(), "expired volume reservations recovered");
    }
    // Exhaustion is checked again: one that was found while a release ran may have been added to the cache after it.
    app.exhausted_offers.clear();
    Ok(expired.len())
}

/// Commits the customer unchanged. Returns false when other calls kept changing it; the next sweep tries again.
async fn fence(app: &App, token: &VolumeToken) -> Result<bool, StoreError> {
    let unchanged = |loaded: Versioned<Customer>| async move {
        Ok(CustomerChange::Commit { customer: loaded.value, appended: Appended::default(), result: () })
    };
    match change_customer(app, &token.customer, unchanged).await {
        // An erasure is a fence as well: nothing read before it can be committed after it.
        Ok(_) | Err(ChangeError::Rejected(ChangeRejection::CustomerErased)) => Ok(true),
        Err(ChangeError::Rejected(ChangeRejection::Contended | ChangeRejection::CustomerFull)) => Ok(false),
        Err(ChangeError::Store(error)) => Err(error),
    }
}
