//! Volume caps: the only limits that hold over all customers.
//!
//! A token is taken on the offer's own value first, then the customer is committed, then the token is settled; a release
//! goes the other way round. A decision that is stopped in between leaves a token behind, and
//! [`recover_expired_reservations`] asks, once its lease has ended, whether the decision was committed. Before it asks it commits
//! the customer unchanged, so that a decision which read the customer before can not be committed any more.

use std::time::Duration;

use super::app::App;
use super::change_customer::{ChangeError, ChangeRejection, CustomerChange, change_customer};
use super::snapshot::Snapshot;
use crate::domain::customer::Customer;
use crate::domain::decision::Decision;
use crate::domain::explicit_offer::VolumeToken;
use crate::domain::ids::OfferId;
use crate::domain::ledger::{Grant, Ledger};
use crate::store::contract::{Appended, StoreError, Versioned};

/// A decision that takes longer than this from its token to its commit may lose the token.
const LEASE: Duration = Duration::from_secs(60);

/// The tokens of one decision.
pub(super) struct Reservation(Vec<VolumeToken>);

/// Whether a decision got what it needs.
pub(super) enum ReservationOutcome {
    /// It did.
    Reserved(Reservation),
    /// The volume of this offer is gone, and nothing was taken.
    Exhausted(OfferId),
}

/// The new grants of a decision whose offers are explicit, each with the cap of its volume. Those without a cap are counted
/// too, so that one that is set later counts all, and a release finds what it gives back.
fn explicit<'d>(decision: &'d Decision, snapshot: &'d Snapshot) -> impl Iterator<Item = (&'d OfferId, Option<u64>)> {
    let new = decision.slate.iter().filter(|offer| !offer.is_repeat);
    new.filter_map(|offer| Some((&offer.id, snapshot.offers.get(&offer.product, &offer.id)?.volume_cap)))
}

/// Takes a token for each new grant that needs one.
pub(super) async fn reserve_volumes(
    app: &App,
    snapshot: &Snapshot,
    decision: &Decision,
) -> Result<ReservationOutcome, StoreError> {
    let mut reservation = Reservation(Vec::new());
    for (offer, cap) in explicit(decision, snapshot) {
        let wanted = VolumeToken {
            offer: offer.clone(),
            decision: decision.id,
            customer: decision.customer.clone(),
            lease_ends_at: app.now() + LEASE,
        };
        if !app.store.take_volume(&wanted, cap.unwrap_or(u64::MAX)).await? {
            reservation.abandon(app).await?;
            app.exhausted_offers.add(offer);
            return Ok(ReservationOutcome::Exhausted(offer.clone()));
        }
        reservation.0.push(wanted);
    }
    Ok(ReservationOutcome::Reserved(reservation))
}

/// The first offer of a decision whose volume is gone; nothing is taken.
pub(super) async fn find_exhausted_offer(
    app: &App,
    snapshot: &Snapshot,
    decision: &Decision,
) -> Result<Option<OfferId>, StoreError> {
    for (offer, cap) in explicit(decision, snapshot).filter_map(|(offer, cap)| Some((offer, cap?))) {
        if app.store.load_volume(offer).await?.used() >= cap {
            return Ok(Some(offer.clone()));
        }
    }
    Ok(None)
}

impl Reservation {
    /// The decision was committed.
    pub async fn settle(self, app: &App) -> Result<(), StoreError> {
        for VolumeToken { offer, decision, .. } in &self.0 {
            app.store.settle_volume(offer, *decision).await?;
        }
        Ok(())
    }

    /// The decision was not committed, and will not be.
    pub async fn abandon(self, app: &App) -> Result<(), StoreError> {
        for VolumeToken { offer, decision, .. } in &self.0 {
            app.store.abandon_volume(offer, *decision).await?;
            app.exhausted_offers.remove(offer);
        }
        Ok(())
    }
}

/// The grants of explicit offers, which hold a part of a volume; mostly none.
pub(super) fn explicit_grants(ledger: &Ledger) -> Vec<Grant> {
    ledger.grants.iter().filter(|grant| !grant.offer.is_implicit()).cloned().collect()
}

/// Gives back the volume of those grants that a commit released.
pub(super) async fn release_volumes(app: &App, before: Vec<Grant>, after: &Ledger) -> Result<(), StoreError> {
    for grant in before {
        let is_there = after.grants.iter().any(|it| it.offer == grant.offer && it.granted_at == grant.granted_at);
        // What was merely forgotten was past its lease.
        let is_released = !is_there && after.clock.is_none_or(|now| now < grant.lease_ends_at);
        // The first decision that served a grant is the one that made it.
        if let Some(first) = grant.servings.first().filter(|_| is_released) {
            app.store.release_volume(&grant.offer, first.decision).await?;
            app.exhausted_offers.remove(&grant.offer);
        }
    }
    Ok(())
}

/// Settles or abandons every token whose lease has ended. Returns how many there were.
pub async fn recover_expired_reservations(app: &App) -> Result<usize, StoreError> {
    let now = app.now();
    let volumes = app.store.load_volumes().await?;
    let left = volumes.into_iter().flat_map(|(_, volume)| volume.pending).filter(|token| now >= token.lease_ends_at);
    let left: Vec<VolumeToken> = left.collect();
    for token in &left {
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
    if !left.is_empty() {
        app.store.durable().await?;
        tracing::info!(tokens = left.len(), "settled the volume of decisions that were stopped half-way");
    }
    // What was thought to be gone is looked at again; a refusal that met a release may have been noted too late.
    app.exhausted_offers.clear();
    Ok(left.len())
}

/// Commits the customer unchanged. False when others kept changing it; the next sweep tries again.
async fn fence(app: &App, token: &VolumeToken) -> Result<bool, StoreError> {
    let unchanged = |loaded: Versioned<Customer>| async move {
        Ok(CustomerChange::Commit { customer: loaded.value, appended: Appended::default(), result: () })
    };
    match change_customer(app, &token.customer, unchanged).await {
        // What was read before an erasure can not be committed after it.
        Ok(_) | Err(ChangeError::Rejected(ChangeRejection::CustomerErased)) => Ok(true),
        Err(ChangeError::Rejected(ChangeRejection::Contended | ChangeRejection::CustomerFull)) => Ok(false),
        Err(ChangeError::Store(error)) => Err(error),
    }
}
