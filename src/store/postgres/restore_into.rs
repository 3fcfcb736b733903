//! A restore into a database, from its start to its end.
//!
//! A marker stands in the database meanwhile, with which no server opens it: a restore that was interrupted is started again.

use async_trait::async_trait;

use super::error::store_error;
use super::records::column;
use super::schema::OpenPostgresError;
use super::settings::PostgresSettings;
use super::store::PostgresStore;
use crate::store::backup::record::BackupRecord;
use crate::store::contract::counts::StoreCounts;
use crate::store::contract::error::StoreError;
use crate::store::contract::maintenance::MaintenanceStore;
use crate::store::contract::restore_target::RestoreTarget;

/// Whether the database has nothing but its schema, and whether a process was there lately.
const LOOK: &str = "SELECT EXISTS (SELECT FROM customer) OR EXISTS (SELECT FROM history) OR EXISTS (SELECT FROM decision) \
     OR EXISTS (SELECT FROM product) OR EXISTS (SELECT FROM offer) OR EXISTS (SELECT FROM volume) \
     OR EXISTS (SELECT FROM policy) OR EXISTS (SELECT FROM activation) OR EXISTS (SELECT FROM model_chunk), \
     EXISTS (SELECT FROM replica WHERE seen > clock_timestamp() - interval '15 seconds'), \
     EXISTS (SELECT FROM meta WHERE name = 'restore')";
const CLEAR: &str = "TRUNCATE customer, history, decision, cached_ranking, product, offer, volume, volume_reservation, policy, \
     activation, model_chunk, job, replica; \
     DELETE FROM meta WHERE name NOT IN ('schema_version', 'erasure_key', 'restore'); \
     UPDATE published SET number = CASE kind WHEN 'policy' THEN 0 ELSE number + 1 END";
const PUT_MARKER: &str = "INSERT INTO meta (name) VALUES ('restore') ON CONFLICT (name) DO NOTHING";
const REMOVE_MARKER: &str = "DELETE FROM meta WHERE name = 'restore'";

/// Restore in progress into a database.
pub struct RestoreIntoDatabase {
    store: PostgresStore,
}

impl RestoreIntoDatabase {
    /// Starts a restore into a database that has the schema and nothing else, or what an interrupted restore left.
    ///
    /// # Errors
    /// When the database cannot be used, holds a store already, or is in use by a server.
    pub async fn start(settings: PostgresSettings) -> Result<Self, OpenPostgresError> {
        let store = PostgresStore::open_to_restore(settings).await?;
        let refused = |error: StoreError| OpenPostgresError::Refused(error.to_string());
        let rows = store.query(LOOK, &[]).await.map_err(refused)?;
        let row = rows.first().ok_or(OpenPostgresError::NoSchema)?;
        let mut found = [false; 3];
        for (index, found) in found.iter_mut().enumerate() {
            *found = column(row, index).map_err(refused)?;
        }
        let [has_records, is_in_use, was_interrupted] = found;
        if is_in_use {
            return Err(OpenPostgresError::InUse);
        }
        if has_records && !was_interrupted {
            return Err(OpenPostgresError::NotEmpty);
        }
        let restoring = Self { store };
        restoring.store.execute(PUT_MARKER, &[]).await.map_err(refused)?;
        restoring.clear().await.map_err(refused)?;
        Ok(restoring)
    }

    async fn clear(&self) -> Result<(), StoreError> {
        let transaction = self.store.connections.begin().await?;
        transaction.client().batch_execute(CLEAR).await.map_err(|error| store_error(&error))?;
        transaction.commit().await
    }
}

#[async_trait]
impl RestoreTarget for RestoreIntoDatabase {
    async fn enter(&self, records: Vec<BackupRecord>) -> Result<(), StoreError> {
        self.store.restore(records).await
    }

    async fn abandon(self: Box<Self>) {
        // With an error the marker stays, and the next restore clears the database.
        if self.clear().await.is_ok() {
            let _removed = self.store.execute(REMOVE_MARKER, &[]).await;
        }
    }

    async fn complete(self: Box<Self>, digest: u64) -> Result<StoreCounts, StoreError> {
        let restored = self.store.digest().await?;
        if restored != digest {
            let detail = format!("restored records have digest {restored:016x}, expected {digest:016x}");
            return Err(StoreError::Failed { detail });
        }
        let counts = self.store.counts().await?;
        self.store.execute(REMOVE_MARKER, &[]).await?;
        Ok(counts)
    }
}
