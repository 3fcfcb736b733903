//! Operations on the whole store: counts, retention, backup, restore.

use async_trait::async_trait;
use tokio::sync::mpsc;

use super::counts::{ExpiredRecords, StoreCounts};
use super::error::StoreError;
use crate::domain::time::Timestamp;
use crate::store::backup::record::BackupRecord;

/// Maintenance of the whole store.
#[async_trait]
pub trait MaintenanceStore: Send + Sync + 'static {
    /// Returns the number of stored records.
    async fn counts(&self) -> Result<StoreCounts, StoreError>;

    /// Removes events and decisions dated before these times; `None` removes none. Customers stay as they are.
    async fn expire_records(
        &self,
        events_before: Option<Timestamp>,
        decisions_before: Option<Timestamp>,
    ) -> Result<ExpiredRecords, StoreError>;

    /// Settles or returns the units of volumes that commits reserved and, being interrupted, left in neither state. Returns
    /// their number. A backend whose commits cannot be interrupted half-way has none.
    async fn recover_expired_reservations(&self, now: Timestamp) -> Result<usize, StoreError>;

    /// Sends everything that is stored except cached rankings, while the store goes on. A customer comes with exactly the
    /// events and decisions that its value has counted; different customers may come as of different moments of the backup.
    /// Of a volume at least as much is used as the customers sent were granted. A customer erased meanwhile may be among the
    /// customers and is among the erasures. Ends early, without an error, when the receiver is gone.
    async fn back_up(&self, pages: mpsc::Sender<Vec<BackupRecord>>) -> Result<(), StoreError>;

    /// Enters records of a backup, in the order in which they were sent, into a store that was empty and is not in use yet.
    /// Erased customers are among its customers until it is opened again.
    async fn restore(&self, records: Vec<BackupRecord>) -> Result<(), StoreError>;

    /// Returns a digest of customers, history, decisions, products, explicit offers and their volumes, independent of the
    /// backend's layout: equal stores have equal digests. Reads everything; for tests and backups.
    async fn digest(&self) -> Result<u64, StoreError>;
}
