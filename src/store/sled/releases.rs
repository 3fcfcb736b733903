//! Volume releases during a backup, which the backup adds to the volumes that it sends.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::domain::ids::OfferId;

/// Units of volume released since the first of the running backups started, by offer.
#[derive(Default)]
pub(super) struct Releases(Mutex<ReleasesByOffer>);

#[derive(Default)]
struct ReleasesByOffer {
    /// Number of backups that watch releases. Nothing is recorded while it is 0.
    running: usize,
    by_offer: HashMap<OfferId, u64>,
}

impl Releases {
    /// Records the release of one unit. Call before the unit is released.
    pub fn record(&self, offer: &OfferId) {
        let mut releases_by_offer = self.releases_by_offer();
        if releases_by_offer.running > 0 {
            *releases_by_offer.by_offer.entry(offer.clone()).or_default() += 1;
        }
    }

    /// Records releases from now on, until the returned guard is dropped.
    pub fn watch(&self) -> ReleaseWatch<'_> {
        self.releases_by_offer().running += 1;
        ReleaseWatch(self)
    }

    fn releases_by_offer(&self) -> MutexGuard<'_, ReleasesByOffer> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Guard of a backup: releases are recorded while it exists.
pub(super) struct ReleaseWatch<'store>(&'store Releases);

impl ReleaseWatch<'_> {
    /// Returns the units released so far.
    pub fn so_far(&self) -> HashMap<OfferId, u64> {
        self.0.releases_by_offer().by_offer.clone()
    }
}

impl Drop for ReleaseWatch<'_> {
    fn drop(&mut self) {
        let mut releases_by_offer = self.0.releases_by_offer();
        releases_by_offer.running -= 1;
        if releases_by_offer.running == 0 {
            releases_by_offer.by_offer.clear();
        }
    }
}
