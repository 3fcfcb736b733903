//! Customers, and the events and decisions appended with them.

use async_trait::async_trait;

use super::change::{Change, CommitOutcome};
use super::customer_export::{CustomerExportPage, CustomerExportPosition};
use super::erasure::ErasureResult;
use super::error::StoreError;
use super::loaded_customer::LoadedCustomer;
use crate::domain::cached_ranking::CachedRanking;
use crate::domain::customer::Customer;
use crate::domain::decision::Decision;
use crate::domain::event::Event;
use crate::domain::ids::{CustomerId, DecisionId, EventId};
use crate::domain::time::Timestamp;

/// Customers, their history and the decision log.
#[async_trait]
pub trait CustomerStore: Send + Sync + 'static {
    /// Reads a customer, or its erasure. An alias is a customer like any other: the caller follows it.
    async fn load_customer(&self, id: &CustomerId) -> Result<LoadedCustomer, StoreError>;

    /// Reads the cached ranking of a customer. `None` when there is none, or one that does not decode.
    async fn load_cached_ranking(&self, id: &CustomerId) -> Result<Option<CachedRanking>, StoreError>;

    /// Commits a change of a customer whose version is still the expected one (0: still not stored): writes the customer,
    /// appends its events, which may be of any of its ids, and its decision, takes volume up to the caps of the stored explicit offers and releases volume. All
    /// of it, or none.
    ///
    /// A crash may waste a unit of a volume; it never lets a cap be exceeded.
    async fn commit(&self, change: Change<'_>) -> Result<CommitOutcome, StoreError>;

    /// Confirms what was read of a customer, for an answer that rests on it and commits nothing: returns when the commit of this
    /// version is durable. False when the customer may have another version by now; read again. 0 stands for a customer that
    /// is not stored, of whom there is nothing to confirm.
    async fn confirm(&self, customer: &CustomerId, version: u64) -> Result<bool, StoreError>;

    /// Reads events of a customer by id, in the order of the ids; `None` for one that history does not contain. Without a
    /// customer it reads the events without one. Those of an alias include the ones that were committed with the customer
    /// of whom it is another name.
    async fn load_events(
        &self,
        customer: Option<&CustomerId>,
        events: &[EventId],
    ) -> Result<Vec<Option<Event>>, StoreError>;

    /// Adds events without a customer; those whose id is recorded already are ignored. Returns for each whether it was
    /// new.
    async fn append_anonymous(&self, events: &[Event]) -> Result<Vec<bool>, StoreError>;

    /// Reads a decision of a customer.
    async fn load_decision(&self, customer: &CustomerId, decision: DecisionId) -> Result<Option<Decision>, StoreError>;

    /// Erases a customer: profile, ledger, history, decisions, cached ranking. A keyed hash of the id remains, which blocks
    /// the id for good, and whether the customer had opted out. Erasing again removes nothing; an erasure that was
    /// interrupted is finished at the next start.
    async fn erase_customer(&self, customer: &CustomerId, at: Timestamp) -> Result<ErasureResult, StoreError>;

    /// Stores the ranking of a customer in place of the one before; stores nothing for a customer who is not stored. A
    /// ranking may be lost at any time, and is in no digest, count or backup.
    async fn put_cached_ranking(&self, customer: &CustomerId, ranking: &CachedRanking) -> Result<(), StoreError>;

    /// Removes the cached ranking of a customer.
    async fn delete_cached_ranking(&self, customer: &CustomerId) -> Result<(), StoreError>;

    /// Reads a page of the export of a customer: everything that is stored under the id.
    async fn load_customer_export(
        &self,
        customer: &CustomerId,
        position: CustomerExportPosition,
        page_len: usize,
    ) -> Result<CustomerExportPage, StoreError>;

    /// Returns the customers that are in a merge, an unmerge or an erasure of several ids, as far as they were stored when
    /// the store was opened.
    async fn unfinished_merges(&self) -> Result<Vec<CustomerId>, StoreError>;

    /// Calls `visit` with every customer in an order of the store's own, in pages of at most `page_len`. Commits made
    /// meanwhile may or may not be seen. Other tasks run between pages.
    async fn visit_customers(
        &self,
        page_len: usize,
        visit: &mut (dyn FnMut(Vec<Customer>) + Send),
    ) -> Result<(), StoreError>;

    /// Calls `visit` with every event, as [`CustomerStore::visit_customers`] does with customers.
    async fn visit_events(&self, page_len: usize, visit: &mut (dyn FnMut(Vec<Event>) + Send))
    -> Result<(), StoreError>;

    /// Calls `visit` with every decision, those of one customer together, as [`CustomerStore::visit_customers`] does with
    /// customers.
    async fn visit_decisions(
        &self,
        page_len: usize,
        visit: &mut (dyn FnMut(Vec<Decision>) + Send),
    ) -> Result<(), StoreError>;
}
