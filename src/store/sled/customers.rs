//! Customers, history and the decision log: the store contract implemented on sled.

use super::scan::blocking;
use super::store::SledStore;
use crate::domain::cached_ranking::CachedRanking;
use crate::domain::customer::Customer;
use crate::domain::decision::Decision;
use crate::domain::event::Event;
use crate::domain::ids::{CustomerId, DecisionId, EventId};
use crate::domain::time::Timestamp;
use crate::store::contract::change::{Change, CommitOutcome};
use crate::store::contract::customer_export::{CustomerExportPage, CustomerExportPosition};
use crate::store::contract::customers::CustomerStore;
use crate::store::contract::erasure::ErasureResult;
use crate::store::contract::error::StoreError;
use crate::store::contract::loaded_customer::LoadedCustomer;
use crate::store::keys::customer_key;
use async_trait::async_trait;

#[async_trait]
impl CustomerStore for SledStore {
    async fn load_customer(&self, id: &CustomerId) -> Result<LoadedCustomer, StoreError> {
        self.engine()?.load_customer(id)
    }

    async fn load_cached_ranking(&self, id: &CustomerId) -> Result<Option<CachedRanking>, StoreError> {
        self.engine()?.load_cached_ranking(&customer_key(id))
    }

    async fn commit(&self, change: Change<'_>) -> Result<CommitOutcome, StoreError> {
        self.engine()?.commit(&change).await
    }

    /// Only this process changes the store, so what it read is the latest.
    async fn confirm(&self, _customer: &CustomerId, _version: u64) -> Result<bool, StoreError> {
        self.engine()?.committer.durable().await?;
        Ok(true)
    }

    async fn load_events(
        &self,
        customer: Option<&CustomerId>,
        events: &[EventId],
    ) -> Result<Vec<Option<Event>>, StoreError> {
        self.engine()?.load_events(customer, events)
    }

    async fn append_anonymous(&self, events: &[Event]) -> Result<Vec<bool>, StoreError> {
        let events = events.to_vec();
        blocking(self.engine()?, move |engine| engine.append_anonymous(&events)).await
    }

    async fn load_decision(&self, customer: &CustomerId, decision: DecisionId) -> Result<Option<Decision>, StoreError> {
        self.engine()?.load_decision(customer, decision)
    }

    async fn erase_customer(&self, customer: &CustomerId, at: Timestamp) -> Result<ErasureResult, StoreError> {
        self.engine()?.erase(customer, at).await
    }

    async fn put_cached_ranking(&self, customer: &CustomerId, ranking: &CachedRanking) -> Result<(), StoreError> {
        self.engine()?.put_cached_ranking(customer, ranking).await
    }

    async fn delete_cached_ranking(&self, customer: &CustomerId) -> Result<(), StoreError> {
        self.engine()?.delete_cached_ranking(customer)
    }

    async fn load_customer_export(
        &self,
        customer: &CustomerId,
        position: CustomerExportPosition,
        page_len: usize,
    ) -> Result<CustomerExportPage, StoreError> {
        self.engine()?.load_customer_export(customer, position, page_len.max(1)).await
    }

    async fn unfinished_merges(&self) -> Result<Vec<CustomerId>, StoreError> {
        Ok(self.engine()?.unfinished_merges.get().cloned().unwrap_or_default())
    }

    async fn visit_customers(
        &self,
        page_len: usize,
        visit: &mut (dyn FnMut(Vec<Customer>) + Send),
    ) -> Result<(), StoreError> {
        self.engine()?.visit_customers(page_len, visit).await
    }

    async fn visit_events(
        &self,
        page_len: usize,
        visit: &mut (dyn FnMut(Vec<Event>) + Send),
    ) -> Result<(), StoreError> {
        self.engine()?.visit_events(page_len, visit).await
    }

    async fn visit_decisions(
        &self,
        page_len: usize,
        visit: &mut (dyn FnMut(Vec<Decision>) + Send),
    ) -> Result<(), StoreError> {
        self.engine()?.visit_decisions(page_len, visit).await
    }
}
