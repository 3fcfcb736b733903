//! Explicit offers whose volume was found exhausted.

use std::collections::BTreeSet;
use std::sync::Arc;

use arc_swap::ArcSwap;

use crate::domain::ids::OfferId;

/// Cache of explicit offers whose volume was found exhausted, so that decisions do not propose them. The store stays the
/// authority: an offer that is missing here costs a second decision, and one that is here too long costs offers until the
/// next [`clear`](Self::clear).
#[derive(Default)]
pub(super) struct ExhaustedOffers(ArcSwap<BTreeSet<OfferId>>);

impl ExhaustedOffers {
    pub(super) fn load(&self) -> Arc<BTreeSet<OfferId>> {
        self.0.load_full()
    }

    pub(super) fn add(&self, offer: &OfferId) {
        self.0.rcu(|known| {
            let mut offers = BTreeSet::clone(known);
            offers.insert(offer.clone());
            offers
        });
    }

    pub(super) fn remove(&self, offer: &OfferId) {
        if self.0.load().contains(offer) {
            self.0.rcu(|known| known.iter().filter(|it| *it != offer).cloned().collect::<BTreeSet<_>>());
        }
    }

    pub(super) fn clear(&self) {
        self.0.store(Arc::default());
    }
}
