//! Volume caps: the only limits that hold across customers.
//!
//! The volume of an offer is a value of its own, changed by compare-and-swap as a customer is, and no transaction spans the
//! two. The order of the steps of a commit enforces the cap:
//!
//! 1. It *reserves* a unit, with a lease, in the volume of each offer that its decision grants.
//! 2. It swaps the customer.
//! 3. It *settles* its reservations. When the swap did not take place, it *abandons* them.
//!
//! A release uses the opposite order: the customer is swapped first, and the unit returned afterwards. sled's log preserves
//! the order of writes, so after a crash at any point, a grant that is on disk has its unit on disk too. A crash can waste a
//! unit; it cannot let a cap be exceeded.
//!
//! A commit that was interrupted after step 1 leaves a reservation behind. Once its lease has expired,
//! [`SledEngine::recover_expired_reservations`] checks whether the decision was recorded, and settles or abandons the
//! reservation. The customer's lock fences the recovery from the commit that made the reservation: a commit holds it shared
//! from step 1 to step 3, the recovery exclusively. So no commit can still swap the customer after its reservation was
//! abandoned, and one that starts later makes its own.

use std::sync::Arc;
use std::time::Duration;

use sled::{CompareAndSwapError, IVec};

use super::engine::SledEngine;
use super::scan::blocking;
use crate::domain::explicit_offer::{Volume, VolumeToken};
use crate::domain::ids::{DecisionId, OfferId};
use crate::domain::time::Timestamp;
use crate::store::codec::explicit_offer::{decode_explicit_offer, decode_volume, encode_volume};
use crate::store::contract::change::{Change, VolumeUnit};
use crate::store::contract::error::StoreError;
use crate::store::keys::customer_key;

/// Time after which a reservation may be recovered. Much longer than a commit takes, so that the recovery rarely waits for
/// one.
const LEASE: Duration = Duration::from_secs(60);

/// Reservations of one commit.
pub(super) struct Reservations {
    decision: DecisionId,
    /// Offers, each with its volume as the reservation stored it.
    reserved: Vec<(OfferId, Option<IVec>)>,
}

/// Result of reserving the volume that a change takes.
pub(super) enum ReservationOutcome {
    /// Every unit is reserved; `None` when the change takes none.
    Reserved(Option<Reservations>),
    /// No unit of this offer is left, and nothing is reserved.
    Exhausted(OfferId),
}

impl SledEngine {
    /// Reserves a unit of each volume that a change takes.
    pub fn reserve(&self, change: &Change<'_>) -> Result<ReservationOutcome, StoreError> {
        let Some(decision) = change.decision.filter(|_| !change.takes.is_empty()) else {
            return Ok(ReservationOutcome::Reserved(None));
        };
        let mut reservations = Reservations { decision: decision.id, reserved: Vec::with_capacity(change.takes.len()) };
        for offer in change.takes {
            let reservation = VolumeToken {
                offer: offer.clone(),
                decision: decision.id,
                customer: change.customer.id.clone(),
                lease_ends_at: change.now + LEASE,
            };
            let taken = match self.volume_cap(offer)? {
                Some(cap) => self.change_volume(offer, |volume| volume.take(&reservation, cap))?,
                None => (false, None),
            };
            let (true, stored) = taken else {
                self.abandon(reservations)?;
                return Ok(ReservationOutcome::Exhausted(offer.clone()));
            };
            reservations.reserved.push((offer.clone(), stored));
        }
        Ok(ReservationOutcome::Reserved(Some(reservations)))
    }

    /// Turns reservations into settled grants, once the decision is committed.
    pub fn settle(&self, reservations: Reservations) -> Result<(), StoreError> {
        self.close(reservations, Volume::settle)
    }

    /// Returns reserved units, because the decision was not and will not be committed.
    pub fn abandon(&self, reservations: Reservations) -> Result<(), StoreError> {
        self.close(reservations, Volume::abandon)
    }

    fn close(&self, reservations: Reservations, change: fn(&mut Volume, DecisionId)) -> Result<(), StoreError> {
        let Reservations { decision, reserved } = reservations;
        for (offer, stored) in reserved {
            self.change_volume_from(&offer, stored, |volume| change(volume, decision))?;
        }
        Ok(())
    }

    /// Returns the units of grants that a committed change has released.
    pub fn release(&self, units: &[VolumeUnit]) -> Result<(), StoreError> {
        for VolumeUnit { offer, decision } in units {
            // A running backup may have sent the grant already, so the release is recorded before the volume is changed.
            self.releases.record(offer);
            self.change_volume(offer, |volume| volume.release(*decision))?;
        }
        Ok(())
    }

    /// Returns how many units of an offer's volume are taken.
    pub fn used_volume(&self, offer: &OfferId) -> Result<u64, StoreError> {
        let bytes = self.check(self.trees.volumes.get(offer.as_str()))?;
        bytes.map_or(Ok(0), |bytes| Ok(decode_volume(offer, &bytes)?.used()))
    }

    /// Reads every volume of which units are taken.
    pub async fn load_volumes(self: &Arc<Self>) -> Result<Vec<(OfferId, Volume)>, StoreError> {
        blocking(self, |engine| {
            let read = |record: sled::Result<(IVec, IVec)>| {
                let (key, bytes) = engine.check(record)?;
                let damaged = |detail| StoreError::Damaged { what: "volume", detail };
                let id = String::from_utf8(key.to_vec()).map_err(|error| damaged(error.to_string()))?;
                let id = OfferId::new(id).map_err(|error| damaged(error.to_string()))?;
                let volume = decode_volume(&id, &bytes)?;
                Ok((id, volume))
            };
            engine.trees.volumes.iter().map(read).collect()
        })
        .await
    }

    /// Settles or abandons every reservation whose lease has expired. Returns the number of those recovered.
    pub async fn recover_expired_reservations(self: &Arc<Self>, now: Timestamp) -> Result<usize, StoreError> {
        let pending = self.load_volumes().await?.into_iter().flat_map(|(_, volume)| volume.pending);
        let expired: Vec<VolumeToken> = pending.filter(|reservation| now >= reservation.lease_ends_at).collect();
        let mut recovered = 0;
        for VolumeToken { offer, decision, customer, lease_ends_at: _ } in &expired {
            let _fence = self.customer_locks.exclusive(&customer_key(customer)).await;
            let recorded = match self.load_decision(customer, *decision) {
                // One damaged customer must not prevent the recovery of other reservations.
                Err(error @ StoreError::Damaged { .. }) => {
                    tracing::error!(%error, %offer, "volume reservation not recovered");
                    continue;
                }
                loaded => loaded?,
            };
            let is_granted = recorded.is_some_and(|recorded| recorded.slate.iter().any(|granted| granted.id == *offer));
            let close = if is_granted { Volume::settle } else { Volume::abandon };
            self.change_volume(offer, |volume| close(volume, *decision))?;
            recovered += 1;
        }
        Ok(recovered)
    }

    /// Returns the volume cap of a stored explicit offer, `u64::MAX` when it has none; `None` when the offer is not
    /// stored.
    fn volume_cap(&self, offer: &OfferId) -> Result<Option<u64>, StoreError> {
        let bytes = self.check(self.trees.offers.get(offer.as_str()))?;
        // Offers without a cap are counted as well, so that a cap set later counts what was granted before.
        bytes.map(|bytes| Ok(decode_explicit_offer(&bytes)?.volume_cap.unwrap_or(u64::MAX))).transpose()
    }

    /// Reads and changes a volume. Returns the result of `change` and the volume as stored afterwards.
    fn change_volume<T>(
        &self,
        offer: &OfferId,
        change: impl FnMut(&mut Volume) -> T,
    ) -> Result<(T, Option<IVec>), StoreError> {
        let stored = self.check(self.trees.volumes.get(offer.as_str()))?;
        self.change_volume_from(offer, stored, change)
    }

    /// Changes a volume whose last known value is `stored`, which saves a read unless another commit has changed it since. The
    /// change must not depend on what other commits stored.
    fn change_volume_from<T>(
        &self,
        offer: &OfferId,
        mut stored: Option<IVec>,
        mut change: impl FnMut(&mut Volume) -> T,
    ) -> Result<(T, Option<IVec>), StoreError> {
        let _write = self.committer.begin_write();
        loop {
            let before = stored.as_ref().map_or_else(|| Ok(Volume::default()), |it| decode_volume(offer, it))?;
            let mut volume = before.clone();
            let result = change(&mut volume);
            if volume == before {
                return Ok((result, stored));
            }
            let is_blank = volume == Volume::default();
            let after = if is_blank { None } else { Some(IVec::from(encode_volume(&volume)?)) };
            let swapped = self.trees.volumes.compare_and_swap(offer.as_str(), stored.as_ref(), after.clone());
            match self.check(swapped)? {
                Ok(()) => return Ok((result, after)),
                Err(CompareAndSwapError { current, .. }) => stored = current,
            }
        }
    }
}
