//! The store on PostgreSQL.

use std::sync::{Mutex, PoisonError};

use arc_swap::ArcSwap;
use async_trait::async_trait;
use tokio_postgres::Row;
use tokio_postgres::types::ToSql;

use super::connections::Connections;
use super::error::store_error;
use super::records::CustomerHash;
use super::settings::PostgresSettings;
use crate::domain::ids::CustomerId;
use crate::domain::time::Timestamp;
use crate::store::contract::error::StoreError;
use crate::store::contract::shared::SharedStore;
use crate::store::contract::store::Store;
use crate::store::erasure::ErasureKey;

/// A store in a PostgreSQL database.
pub struct PostgresStore {
    pub(super) connections: Connections,
    /// For statements that never wait for a standby.
    pub(super) read_connections: Connections,
    pub(super) settings: PostgresSettings,
    /// Replaced only by a restore, before any customer is stored.
    pub(super) erasure_key: ArcSwap<ErasureKey>,
    /// Time before which events were removed, as far as this process knows.
    pub(super) swept_before: Mutex<Option<Timestamp>>,
}

impl std::fmt::Debug for PostgresStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PostgresStore").field("settings", &self.settings).finish_non_exhaustive()
    }
}

impl PostgresStore {
    pub(super) fn hash(&self, customer: &CustomerId) -> CustomerHash {
        CustomerHash::of(customer, &self.erasure_key.load())
    }

    /// Runs a query on a connection of its own.
    pub(super) async fn query(
        &self,
        statement: &str,
        parameters: &[&(dyn ToSql + Sync)],
    ) -> Result<Vec<Row>, StoreError> {
        let client = self.read_connections.get().await?;
        let rows = async {
            let statement = client.prepare_cached(statement).await?;
            client.query(&statement, parameters).await
        };
        rows.await.map_err(|error| store_error(&error))
    }

    /// Runs one statement as a transaction. Returns how many rows it changed.
    pub(super) async fn execute(&self, statement: &str, parameters: &[&(dyn ToSql + Sync)]) -> Result<u64, StoreError> {
        let transaction = self.connections.begin().await?;
        let client = transaction.client();
        let count = async {
            let statement = client.prepare_cached(statement).await?;
            client.execute(&statement, parameters).await
        };
        let count = count.await.map_err(|error| store_error(&error))?;
        transaction.commit().await?;
        Ok(count)
    }

    pub(super) fn note_sweep(&self, before: Option<Timestamp>) {
        let mut swept_before = self.swept_before.lock().unwrap_or_else(PoisonError::into_inner);
        *swept_before = (*swept_before).max(before);
    }
}

#[async_trait]
impl Store for PostgresStore {
    fn shared(&self) -> Option<&dyn SharedStore> {
        Some(self)
    }

    /// Returns at once: each commit returned when it was durable, and what others committed is confirmed where it is relied on.
    async fn durable(&self) -> Result<(), StoreError> {
        Ok(())
    }

    /// Never resolves: a database that is gone may come back.
    async fn failed(&self) -> StoreError {
        std::future::pending().await
    }

    async fn close(&self) -> Result<(), StoreError> {
        self.connections.close_idle();
        self.read_connections.close_idle();
        Ok(())
    }
}
