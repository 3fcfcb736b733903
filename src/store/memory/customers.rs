//! Customers, history and the decision log in memory.

use super::store::MemoryStore;
use crate::domain::cached_ranking::CachedRanking;
use crate::domain::customer::Customer;
use crate::domain::decision::Decision;
use crate::domain::event::Event;
use crate::domain::ids::{CustomerId, DecisionId, EventId};
use crate::domain::time::Timestamp;
use crate::store::codec::customer::{CustomerBody, encode_customer};
use crate::store::codec::event::encode_event;
use crate::store::codec::outbox::Outbox;
use crate::store::contract::change::{APPENDED_MAX, Appended, CUSTOMER_BYTES_MAX, CommitOutcome};
use crate::store::contract::customer_export::{CustomerExportPage, CustomerExportPosition};
use crate::store::contract::customers::CustomerStore;
use crate::store::contract::erasure::{ErasedRecords, Erasure};
use crate::store::contract::error::StoreError;
use crate::store::contract::versioned::Versioned;
use crate::store::ownership::require_event_of;
use async_trait::async_trait;

#[async_trait]
impl CustomerStore for MemoryStore {
    async fn load_customer(&self, id: &CustomerId) -> Result<Option<Versioned<Customer>>, StoreError> {
        Ok(self.contents().customers.get(id).cloned())
    }

    async fn commit_customer(
        &self,
        expected: u64,
        customer: &Customer,
        appended: &Appended,
    ) -> Result<CommitOutcome, StoreError> {
        let version = expected + 1;
        let outbox = Outbox::of(version, &customer.id, appended)?;
        let bytes = encode_customer(version, &CustomerBody::of(customer)?, &outbox)?.len();
        let mut contents = self.contents();
        if expected == 0 && contents.erased.contains_key(&self.hash(&customer.id)) {
            return Ok(CommitOutcome::Erased);
        }
        if contents.customers.get(&customer.id).map_or(0, |stored| stored.version) != expected {
            return Ok(CommitOutcome::Conflict);
        }
        if bytes > CUSTOMER_BYTES_MAX || outbox.0.len() > APPENDED_MAX {
            return Ok(CommitOutcome::TooLarge { bytes });
        }
        contents.customers.insert(customer.id.clone(), Versioned { version, value: customer.clone() });
        let Appended { events, decision } = appended;
        for event in events {
            contents.events.insert((event.customer.clone(), event.id.clone()), event.clone());
        }
        if let Some(decision) = decision {
            contents.decisions.insert((customer.id.clone(), decision.id), decision.clone());
        }
        Ok(CommitOutcome::Committed { version })
    }

    async fn are_recorded(&self, customer: Option<&CustomerId>, events: &[EventId]) -> Result<Vec<bool>, StoreError> {
        let contents = self.contents();
        let is_known = |id: &EventId| contents.events.contains_key(&(customer.cloned(), id.clone()));
        Ok(events.iter().map(is_known).collect())
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

    async fn erase_customer(&self, customer: &CustomerId, at: Timestamp) -> Result<ErasedRecords, StoreError> {
        let hash = self.hash(customer);
        let mut contents = self.contents();
        let stored = contents.customers.remove(customer);
        let opted_out = stored.as_ref().is_some_and(|stored| stored.value.consents.is_opted_out);
        let erasure = contents.erased.entry(hash).or_insert(Erasure { at, was_opted_out: false });
        erasure.was_opted_out |= opted_out;
        contents.prepared.remove(customer);
        let (events, decisions) = (contents.events.len(), contents.decisions.len());
        contents.events.retain(|(whose, _), _| whose.as_ref() != Some(customer));
        contents.decisions.retain(|(whose, _), _| whose != customer);
        for volume in contents.volumes.values_mut() {
            let pending: Vec<DecisionId> =
                volume.pending.iter().filter(|it| it.customer == *customer).map(|it| it.decision).collect();
            for decision in pending {
                volume.settle(decision);
            }
        }
        Ok(ErasedRecords {
            was_stored: stored.is_some(),
            events: (events - contents.events.len()) as u64,
            decisions: (decisions - contents.decisions.len()) as u64,
        })
    }

    async fn load_erasure(&self, customer: &CustomerId) -> Result<Option<Erasure>, StoreError> {
        Ok(self.contents().erased.get(&self.hash(customer)).copied())
    }

    async fn put_cached_ranking(&self, customer: &CustomerId, prepared: &CachedRanking) -> Result<(), StoreError> {
        let mut contents = self.contents();
        if contents.customers.contains_key(customer) {
            contents.prepared.insert(customer.clone(), prepared.clone());
        }
        Ok(())
    }

    async fn delete_cached_ranking(&self, customer: &CustomerId) -> Result<(), StoreError> {
        self.contents().prepared.remove(customer);
        Ok(())
    }

    async fn load_cached_ranking(&self, customer: &CustomerId) -> Result<Option<CachedRanking>, StoreError> {
        Ok(self.contents().prepared.get(customer).cloned())
    }

    async fn load_customer_export(
        &self,
        customer: &CustomerId,
        position: CustomerExportPosition,
        page_len: usize,
    ) -> Result<CustomerExportPage, StoreError> {
        Ok(self.contents().load_customer_export(customer, position, page_len.max(1)))
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
