//! Acceptances of offers in memory, updated by reported outcomes while a full recount may run beside.

use std::sync::{Mutex, PoisonError, RwLock, RwLockReadGuard};

use crate::domain::ids::{DecisionId, OfferId, ProductId};
use crate::model::acceptances::Acceptances;

/// Acceptance counts of all products.
#[derive(Default)]
pub(super) struct AcceptanceCounts {
    acceptances: RwLock<Acceptances>,
    /// Locked during a recount.
    pub(super) recounting: tokio::sync::Mutex<()>,
    /// Offers resolved during a recount, which may have passed them already.
    resolved_meanwhile: Mutex<Vec<ResolvedOffer>>,
}

/// Offer with a final outcome.
pub(super) struct ResolvedOffer {
    pub(super) decision: DecisionId,
    pub(super) offer: OfferId,
    pub(super) product: ProductId,
    /// Propensity that the model gave the offer, before any lift.
    pub(super) propensity: f64,
    pub(super) is_accepted: bool,
}

impl AcceptanceCounts {
    pub(super) fn read(&self) -> RwLockReadGuard<'_, Acceptances> {
        self.acceptances.read().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn add(&self, resolved: ResolvedOffer) {
        let mut meanwhile = self.resolved_meanwhile.lock().unwrap_or_else(PoisonError::into_inner);
        let mut acceptances = self.acceptances.write().unwrap_or_else(PoisonError::into_inner);
        acceptances.count(&resolved.product, resolved.propensity, resolved.is_accepted);
        if self.recounting.try_lock().is_err() {
            meanwhile.push(resolved);
        }
    }

    /// Replaces the counts by those of a recount, and adds the offers that were resolved during it and that it did not see.
    pub(super) fn replace(&self, mut recounted: Acceptances, was_seen: impl Fn(&ResolvedOffer) -> bool) {
        let mut meanwhile = self.resolved_meanwhile.lock().unwrap_or_else(PoisonError::into_inner);
        for resolved in meanwhile.drain(..).filter(|resolved| !was_seen(resolved)) {
            recounted.count(&resolved.product, resolved.propensity, resolved.is_accepted);
        }
        *self.acceptances.write().unwrap_or_else(PoisonError::into_inner) = recounted;
    }
}
