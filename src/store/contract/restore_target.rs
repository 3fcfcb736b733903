//! The place that a backup is restored into.

use async_trait::async_trait;

use super::counts::StoreCounts;
use super::error::StoreError;
use crate::store::backup::record::BackupRecord;

/// Restore in progress into a place that was empty. No server uses the place before it is complete.
#[async_trait]
pub trait RestoreTarget: Send + Sync {
    /// Enters the next records.
    async fn enter(&self, records: Vec<BackupRecord>) -> Result<(), StoreError>;

    /// Cancels the restore and removes what was entered.
    async fn abandon(self: Box<Self>);

    /// Verifies that what was entered has this digest, and hands the place over to servers. Returns the number of stored
    /// records. After an error nothing is left that a server would open.
    async fn complete(self: Box<Self>, digest: u64) -> Result<StoreCounts, StoreError>;
}
