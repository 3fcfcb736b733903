//! Operations on the whole store: the store contract implemented on sled.

use super::scan::blocking;
use super::store::SledStore;
use crate::domain::time::Timestamp;
use crate::store::backup::record::BackupRecord;
use crate::store::contract::counts::{ExpiredRecords, StoreCounts};
use crate::store::contract::error::StoreError;
use crate::store::contract::maintenance::{IdleCustomer, MaintenanceStore};
use async_trait::async_trait;
use tokio::sync::mpsc;

#[async_trait]
impl MaintenanceStore for SledStore {
    async fn counts(&self) -> Result<StoreCounts, StoreError> {
        Ok(self.engine()?.counters.read())
    }

    async fn expire_records(
        &self,
        events: Option<Timestamp>,
        decisions: Option<Timestamp>,
    ) -> Result<ExpiredRecords, StoreError> {
        self.engine()?.expire_records(events, decisions).await
    }

    async fn expire_customers(&self, is_idle: IdleCustomer) -> Result<u64, StoreError> {
        self.engine()?.expire_customers(is_idle).await
    }

    fn events_swept_before(&self) -> Option<Timestamp> {
        self.engine.sweep_watermark.read()
    }

    async fn recover_expired_reservations(&self, now: Timestamp) -> Result<usize, StoreError> {
        self.engine()?.recover_expired_reservations(now).await
    }

    async fn back_up(&self, pages: mpsc::Sender<Vec<BackupRecord>>) -> Result<(), StoreError> {
        self.engine()?.back_up(pages).await
    }

    async fn restore(&self, records: Vec<BackupRecord>) -> Result<(), StoreError> {
        blocking(self.engine()?, move |engine| engine.insert_records(&records)).await
    }

    async fn digest(&self) -> Result<u64, StoreError> {
        self.engine()?.digest().await
    }
}
