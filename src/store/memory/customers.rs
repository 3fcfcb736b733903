//! Customers, history and the decision log in memory.

use super::store::MemoryStore;
use crate::domain::cached_ranking::CachedRanking;
use crate::domain::customer::Customer;
use crate::domain::decision::Decision;
use crate::domain::event::Event;
use crate::domain::ids::{CustomerId, DecisionId, EventId};
use crate::domain::time::Timestamp;
use crate::store::codec::customer::CustomerBody;
use crate::store::codec::event::encode_event;
use crate::store::codec::outbox::Outbox;
use crate::store::contract::change::{
    APPENDED_BYTES_MAX, APPENDED_MAX, CUSTOMER_BYTES_MAX, Change, CommitOutcome, VolumeUnit,
};
use crate::store::contract::customer_export::{CustomerExportPage, CustomerExportPosition};
use crate::store::contract::customers::CustomerStore;
use crate::store::contract::erasure::{ErasedRecords, Erasure, ErasureResult};
use crate::store::contract::error::StoreError;
use crate::store::contract::loaded_customer::LoadedCustomer;
use crate::store::contract::versioned::Versioned;
use crate::store::ownership::{require_event_of, require_granted_volume};
use async_trait::async_trait;

#[async_trait]
impl CustomerStore for MemoryStore {
    async fn load_customer(&self, id: &CustomerId) -> Result<LoadedCustomer, StoreError> {
        let contents = self.contents();
        if let Some(customer) = contents.customers.get(id).cloned() {
            return Ok(LoadedCustomer::Stored(customer));
        }
        let erasure = contents.erased.get(&self.hash(id)).copied();
        Ok(erasure.map_or(LoadedCustomer::Unknown, LoadedCustomer::Erased))
    }

    async fn load_cached_ranking(&self, id: &CustomerId) -> Result<Option<CachedRanking>, StoreError> {
        Ok(self.contents().cached_rankings.get(id).cloned())
    }

    async fn commit(&self, change: Change<'_>) -> Result<CommitOutcome, StoreError> {
        require_granted_volume(&change)?;
        let outbox = Outbox::of(&change)?;
        let Change { expected, customer, events, decision, takes, releases, policy, now: _ } = change;
        let (bytes, appended_bytes) = (CustomerBody::of(customer)?.bytes(), outbox.bytes());
        let mut contents = self.contents();
        let version = if expected == 0 { contents.version_floor } else { expected } + 1;
        if expected == 0 && contents.erased.contains_key(&self.hash(&customer.id)) {
            return Ok(CommitOutcome::Erased);
        }
        if contents.customers.get(&customer.id).map_or(0, |stored| stored.version) != expected {
            return Ok(CommitOutcome::Conflict);
        }
        if policy.is_some_and(|policy| policy != contents.policy_number()) {
            return Ok(CommitOutcome::OtherPolicy);
        }
        if bytes > CUSTOMER_BYTES_MAX {
            return Ok(CommitOutcome::TooLarge { bytes });
        }
        if outbox.0.len() > APPENDED_MAX || appended_bytes > APPENDED_BYTES_MAX {
            return Ok(CommitOutcome::AppendedTooLarge { bytes: appended_bytes });
        }
        if let Some(offer) = takes.iter().find(|offer| !contents.has_volume_left(offer)) {
            return Ok(CommitOutcome::VolumeExhausted(offer.clone()));
        }
        // Nothing fails from here on, so the change is applied as a whole.
        for offer in takes {
            contents.volumes.entry(offer.clone()).or_default().settled += 1;
        }
        for VolumeUnit { offer, decision } in releases {
            contents.volumes.entry(offer.clone()).or_default().release(*decision);
        }
        contents.customers.insert(customer.id.clone(), Versioned { version, value: customer.clone() });
        for event in events {
            contents.events.insert((event.customer.clone(), event.id.clone()), event.clone());
        }
        if let Some(decision) = decision {
            contents.decisions.insert((customer.id.clone(), decision.id), decision.clone());
        }
        Ok(CommitOutcome::Committed { version })
    }

    /// Returns at once: nothing here is durable.
    async fn confirm(&self, _customer: &CustomerId, _version: u64) -> Result<bool, StoreError> {
        Ok(true)
    }

    async fn load_events(
        &self,
        customer: Option<&CustomerId>,
        events: &[EventId],
    ) -> Result<Vec<Option<Event>>, StoreError> {
        let contents = self.contents();
        let load = |id: &EventId| contents.events.get(&(customer.cloned(), id.clone())).cloned();
        Ok(events.iter().map(load).collect())
    }

    async fn append_anonymous(&self, events: &[Event]) -> Result<Vec<bool>, StoreError> {
        for event in events {
            require_event_of(None, event)?;
            encode_event(event)?;
        }
        let mut contents = self.contents();
        let mut were_new = Vec::with_capacity(events.len());
        for event in events {
            let key = (None, event.id.clone());
            let is_new = !contents.events.contains_key(&key);
            if is_new {
                contents.events.insert(key, event.clone());
            }
            were_new.push(is_new);
        }
        Ok(were_new)
    }

    async fn load_decision(&self, customer: &CustomerId, decision: DecisionId) -> Result<Option<Decision>, StoreError> {
        Ok(self.contents().decisions.get(&(customer.clone(), decision)).cloned())
    }

    async fn erase_customer(&self, customer: &CustomerId, at: Timestamp) -> Result<ErasureResult, StoreError> {
        let hash = self.hash(customer);
        let mut contents = self.contents();
        let stored = contents.customers.remove(customer);
        let opted_out = stored.as_ref().is_some_and(|stored| stored.value.consents.is_opted_out);
        let erasure = contents.erased.entry(hash).or_insert(Erasure { at, was_opted_out: false });
        erasure.was_opted_out |= opted_out;
        let erasure = *erasure;
        contents.cached_rankings.remove(customer);
        let (events, decisions) = (contents.events.len(), contents.decisions.len());
        contents.events.retain(|(owner, _), _| owner.as_ref() != Some(customer));
        contents.decisions.retain(|(owner, _), _| owner != customer);
        for volume in contents.volumes.values_mut() {
            let pending: Vec<DecisionId> =
                volume.pending.iter().filter(|it| it.customer == *customer).map(|it| it.decision).collect();
            for decision in pending {
                volume.settle(decision);
            }
        }
        let removed = ErasedRecords {
            was_stored: stored.is_some(),
            events: (events - contents.events.len()) as u64,
            decisions: (decisions - contents.decisions.len()) as u64,
        };
        Ok(ErasureResult { removed, erasure })
    }

    async fn put_cached_ranking(&self, customer: &CustomerId, ranking: &CachedRanking) -> Result<(), StoreError> {
        let mut contents = self.contents();
        if contents.customers.contains_key(customer) {
            contents.cached_rankings.insert(customer.clone(), ranking.clone());
        }
        Ok(())
    }

    async fn delete_cached_ranking(&self, customer: &CustomerId) -> Result<(), StoreError> {
        self.contents().cached_rankings.remove(customer);
        Ok(())
    }

    async fn load_customer_export(
        &self,
        customer: &CustomerId,
        position: CustomerExportPosition,
        page_len: usize,
    ) -> Result<CustomerExportPage, StoreError> {
        Ok(self.contents().load_customer_export(customer, position, page_len.max(1)))
    }

    async fn unfinished_merges(&self) -> Result<Vec<CustomerId>, StoreError> {
        let contents = self.contents();
        let unfinished = contents.customers.values().filter(|stored| stored.value.merge.is_in_progress());
        Ok(unfinished.map(|stored| stored.value.id.clone()).collect())
    }

    async fn visit_customers(
        &self,
        page_len: usize,
        visit: &mut (dyn FnMut(Vec<Customer>) + Send),
    ) -> Result<(), StoreError> {
        use std::ops::Bound;
        let mut start = Bound::Unbounded;
        loop {
            let page: Vec<Customer> = {
                let contents = self.contents();
                let customers = contents.customers.range((start, Bound::Unbounded)).take(page_len.max(1));
                customers.map(|(_, stored)| stored.value.clone()).collect()
            };
            let Some(last) = page.last().map(|customer| customer.id.clone()) else { return Ok(()) };
            visit(page);
            start = Bound::Excluded(last);
            tokio::task::yield_now().await;
        }
    }

    async fn visit_events(
        &self,
        page_len: usize,
        visit: &mut (dyn FnMut(Vec<Event>) + Send),
    ) -> Result<(), StoreError> {
        use std::ops::Bound;
        let mut start = Bound::Unbounded;
        loop {
            let (page, last) = {
                let contents = self.contents();
                let entries: Vec<_> = contents.events.range((start, Bound::Unbounded)).take(page_len.max(1)).collect();
                let Some(&(last, _)) = entries.last() else { return Ok(()) };
                (entries.iter().map(|&(_, event)| event.clone()).collect(), last.clone())
            };
            visit(page);
            start = Bound::Excluded(last);
            tokio::task::yield_now().await;
        }
    }

    async fn visit_decisions(
        &self,
        page_len: usize,
        visit: &mut (dyn FnMut(Vec<Decision>) + Send),
    ) -> Result<(), StoreError> {
        use std::ops::Bound;
        let mut start = Bound::Unbounded;
        loop {
            let page: Vec<Decision> = {
                let contents = self.contents();
                let decisions = contents.decisions.range((start, Bound::Unbounded)).take(page_len.max(1));
                decisions.map(|(_, decision)| decision.clone()).collect()
            };
            let Some(last) = page.last().map(|decision| (decision.customer.clone(), decision.id)) else {
                return Ok(());
            };
            visit(page);
            start = Bound::Excluded(last);
            tokio::task::yield_now().await;
        }
    }
}
