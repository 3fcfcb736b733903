//! Operations on the whole store: counts, retention, backup, restore.

use std::sync::Arc;

use async_trait::async_trait;
use tokio::sync::mpsc;

use super::counts::{ExpiredRecords, StoreCounts};
use super::error::StoreError;
use crate::domain::customer::Customer;
use crate::domain::time::Timestamp;
use crate::store::backup::record::BackupRecord;

/// Rule that says which customers are idle, so that all that is stored about them may be removed.
pub type IdleCustomer = Arc<dyn Fn(&Customer) -> bool + Send + Sync>;

/// Maintenance of the whole store.
#[async_trait]
pub trait MaintenanceStore: Send + Sync + 'static {
    /// Returns the number of stored records.
    async fn counts(&self) -> Result<StoreCounts, StoreError>;

    /// Removes events and decisions dated before these times; `None` removes none. Customers stay as they are. Once an event
    /// is removed, [`MaintenanceStore::events_swept_before`] returns at least the time for events.
    async fn expire_records(
        &self,
        events_before: Option<Timestamp>,
        decisions_before: Option<Timestamp>,
    ) -> Result<ExpiredRecords, StoreError>;

    /// Returns the time before which events were removed by [`MaintenanceStore::expire_records`], or may have been; `None`
    /// when none ever was. It never becomes earlier: an event of an earlier time may have been recorded although its id is not
    /// known any more. Backups contain it.
    fn events_swept_before(&self) -> Option<Timestamp>;

    /// Removes the customers that `is_idle` accepts, with their decisions and cached rankings, unless an event of theirs is
    /// recorded. Returns their number. Unlike an erasure it leaves nothing that blocks the id, and a customer that was removed
    /// may be stored again.
    async fn expire_customers(&self, is_idle: IdleCustomer) -> Result<u64, StoreError>;

    /// Settles or abandons the expired volume reservations of interrupted commits. Returns the number of those recovered. A
    /// backend whose commits cannot be interrupted half-way has none.
    async fn recover_expired_reservations(&self, now: Timestamp) -> Result<usize, StoreError>;

    /// Sends all records except cached rankings, while the store serves commits. A customer is sent with exactly the events
    /// and decisions that its value includes; different customers may be sent as of different times during the backup. The
    /// volumes sent include at least the units granted to the customers sent. A customer erased meanwhile may be among the
    /// customers and is among the erasures. A customer with several ids is sent with all of them, and no merge may run
    /// meanwhile. Stops early, without an error, when the receiver is dropped.
    async fn back_up(&self, pages: mpsc::Sender<Vec<BackupRecord>>) -> Result<(), StoreError>;

    /// Enters records of a backup, in the order in which they were sent, into a store that was empty and is not in use yet.
    /// Erased customers are among its customers until it is opened again.
    async fn restore(&self, records: Vec<BackupRecord>) -> Result<(), StoreError>;

    /// Returns a digest of customers, history, decisions, products, explicit offers and their volumes, independent of the
    /// backend's layout: equal stores have equal digests. Reads everything; for tests and backups.
    async fn digest(&self) -> Result<u64, StoreError>;
}
