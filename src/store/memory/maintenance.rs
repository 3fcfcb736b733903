//! Operations on the whole store in memory.

use std::collections::BTreeSet;

use super::backup;
use super::store::{Contents, MemoryStore};
use crate::domain::explicit_offer::{Volume, VolumeToken};
use crate::domain::ids::CustomerId;
use crate::domain::time::Timestamp;
use crate::store::backup::record::BackupRecord;
use crate::store::codec::customer::{CustomerBody, encode_customer};
use crate::store::codec::decision::encode_decision;
use crate::store::codec::event::encode_event;
use crate::store::codec::explicit_offer::{encode_explicit_offer, encode_volume};
use crate::store::codec::outbox::Outbox;
use crate::store::codec::product::encode_product;
use crate::store::contract::counts::{ExpiredRecords, StoreCounts};
use crate::store::contract::error::StoreError;
use crate::store::contract::maintenance::{IdleCustomer, MaintenanceStore};
use crate::store::digest::{DigestKind, StoreDigest};
use async_trait::async_trait;
use tokio::sync::mpsc;

#[async_trait]
impl MaintenanceStore for MemoryStore {
    async fn counts(&self) -> Result<StoreCounts, StoreError> {
        let contents = self.contents();
        Ok(StoreCounts {
            customers: contents.customers.len() as u64,
            products: contents.products.len() as u64,
            events: contents.events.len() as u64,
            decisions: contents.decisions.len() as u64,
        })
    }

    async fn expire_records(
        &self,
        events: Option<Timestamp>,
        decisions: Option<Timestamp>,
    ) -> Result<ExpiredRecords, StoreError> {
        let mut contents = self.contents();
        let (all_events, all_decisions) = (contents.events.len(), contents.decisions.len());
        contents.events.retain(|_, event| events.is_none_or(|before| event.at >= before));
        if contents.events.len() < all_events {
            contents.events_swept_before = contents.events_swept_before.max(events);
        }
        contents.decisions.retain(|_, decision| decisions.is_none_or(|before| decision.at >= before));
        Ok(ExpiredRecords {
            events: (all_events - contents.events.len()) as u64,
            decisions: (all_decisions - contents.decisions.len()) as u64,
        })
    }

    async fn expire_customers(&self, is_idle: IdleCustomer) -> Result<u64, StoreError> {
        let mut contents = self.contents();
        let Contents { customers, events, decisions, cached_rankings, version_floor, .. } = &mut *contents;
        let has_events: BTreeSet<&CustomerId> = events.keys().filter_map(|(customer, _)| customer.as_ref()).collect();
        let idle = customers.iter().filter(|(id, stored)| is_idle(&stored.value) && !has_events.contains(id));
        let idle: BTreeSet<CustomerId> = idle.map(|(id, _)| id.clone()).collect();
        for id in &idle {
            let removed = customers.remove(id);
            *version_floor = removed.map_or(*version_floor, |removed| removed.version.max(*version_floor));
            cached_rankings.remove(id);
        }
        decisions.retain(|(customer, _), _| !idle.contains(customer));
        Ok(idle.len() as u64)
    }

    fn events_swept_before(&self) -> Option<Timestamp> {
        self.contents().events_swept_before
    }

    /// Settles or abandons expired reservations, which only a restored backup of another backend can contain.
    async fn recover_expired_reservations(&self, now: Timestamp) -> Result<usize, StoreError> {
        let mut contents = self.contents();
        let Contents { volumes, decisions, .. } = &mut *contents;
        let mut recovered = 0;
        for volume in volumes.values_mut() {
            let expired: Vec<_> = volume.pending.iter().filter(|it| now >= it.lease_ends_at).cloned().collect();
            recovered += expired.len();
            for VolumeToken { offer, decision, customer, lease_ends_at: _ } in expired {
                let recorded = decisions.get(&(customer, decision));
                if recorded.is_some_and(|recorded| recorded.slate.iter().any(|granted| granted.id == offer)) {
                    volume.settle(decision);
                } else {
                    volume.abandon(decision);
                }
            }
        }
        Ok(recovered)
    }

    async fn back_up(&self, pages: mpsc::Sender<Vec<BackupRecord>>) -> Result<(), StoreError> {
        // A clone under the lock is a consistent snapshot.
        let contents = self.contents().clone();
        backup::send(contents, self.erasure_key(), &pages).await
    }

    async fn restore(&self, records: Vec<BackupRecord>) -> Result<(), StoreError> {
        let mut contents = self.contents();
        for record in records {
            backup::enter(&mut contents, &self.erasure_key.0, record)?;
        }
        Ok(())
    }

    async fn digest(&self) -> Result<u64, StoreError> {
        let contents = self.contents();
        let mut digest = StoreDigest::default();
        for stored in contents.customers.values() {
            let body = CustomerBody::of(&stored.value)?;
            digest.add(DigestKind::Customer, &encode_customer(0, &body, &Outbox::default())?);
        }
        for event in contents.events.values() {
            digest.add(DigestKind::Event, &encode_event(event)?);
        }
        for decision in contents.decisions.values() {
            digest.add(DigestKind::Decision, &encode_decision(decision)?);
        }
        for product in contents.products.values() {
            digest.add(DigestKind::Product, &encode_product(product)?);
        }
        for offer in contents.offers.values() {
            digest.add(DigestKind::ExplicitOffer, &encode_explicit_offer(offer)?);
        }
        for (offer, volume) in contents.volumes.iter().filter(|(_, volume)| **volume != Volume::default()) {
            digest.add(DigestKind::Volume, &[offer.as_str().as_bytes(), &encode_volume(volume)?].concat());
        }
        Ok(digest.value())
    }
}
