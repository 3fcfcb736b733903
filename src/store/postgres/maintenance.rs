//! Operations on the whole store in PostgreSQL.

use std::sync::PoisonError;

use async_trait::async_trait;
use tokio::sync::mpsc;
use uuid::Uuid;

use super::customers::customer_of;
use super::error::store_error;
use super::records::{column, from_bigint, to_bigint};
use super::store::PostgresStore;
use super::volumes::{END_RESERVATION, RELEASE};
use crate::domain::ids::{CustomerId, DecisionId, OfferId};
use crate::domain::time::Timestamp;
use crate::store::backup::record::BackupRecord;
use crate::store::contract::counts::{ExpiredRecords, StoreCounts};
use crate::store::contract::customers::CustomerStore;
use crate::store::contract::error::StoreError;
use crate::store::contract::maintenance::{IdleCustomer, MaintenanceStore};

/// Tables of this many rows and more are counted by the planner's estimate.
const EXACT_ROWS_MAX: f32 = 1_000_000.0;
/// Number of parts in which a sweep goes through a table, each in a transaction of its own.
const SWEEP_PARTS: u8 = 64;
/// Number of customers that are read at once.
const PAGE_LEN: i64 = 256;
/// Records the time of a sweep. It never becomes earlier.
const RAISE_WATERMARK: &str = "INSERT INTO meta (name, number) VALUES ('events_swept_before', $1) ON CONFLICT (name) \
     DO UPDATE SET number = greatest(meta.number, EXCLUDED.number)";
const RAISE_VERSION_FLOOR: &str = "INSERT INTO meta (name, number) VALUES ('version_floor', $1) ON CONFLICT (name) \
     DO UPDATE SET number = greatest(meta.number, EXCLUDED.number)";

#[async_trait]
impl MaintenanceStore for PostgresStore {
    async fn counts(&self) -> Result<StoreCounts, StoreError> {
        Ok(StoreCounts {
            customers: self.count("customer", "SELECT count(*) FROM customer WHERE body IS NOT NULL").await?,
            products: self.count("product", "SELECT count(*) FROM product").await?,
            events: self.count("history", "SELECT count(*) FROM history").await?,
            decisions: self.count("decision", "SELECT count(*) FROM decision").await?,
        })
    }

    async fn expire_records(
        &self,
        events_before: Option<Timestamp>,
        decisions_before: Option<Timestamp>,
    ) -> Result<ExpiredRecords, StoreError> {
        let mut expired = ExpiredRecords::default();
        if let Some(before) = events_before {
            for part in 0..SWEEP_PARTS {
                expired.events += self.sweep_events(part, before).await?;
            }
        }
        if let Some(before) = decisions_before {
            for part in 0..SWEEP_PARTS {
                let (from, to) = part_of_keys(part);
                let delete = "DELETE FROM decision WHERE key >= $1 AND key <= $2 AND at < $3";
                expired.decisions += self.execute(delete, &[&from, &to, &before.unix_ms()]).await?;
            }
        }
        Ok(expired)
    }

    fn events_swept_before(&self) -> Option<Timestamp> {
        *self.swept_before.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn expire_customers(&self, is_idle: IdleCustomer) -> Result<u64, StoreError> {
        let page = "SELECT version, body, key FROM customer WHERE key > $1 AND body IS NOT NULL ORDER BY key LIMIT $2";
        let mut after = Uuid::nil();
        let mut removed = 0;
        loop {
            let rows = self.query(page, &[&after, &PAGE_LEN]).await?;
            let Some(last) = rows.last() else { return Ok(removed) };
            after = column(last, 2)?;
            let mut idle: Vec<(Uuid, u64)> = Vec::new();
            for row in &rows {
                let stored = customer_of(row)?;
                if is_idle(&stored.value) {
                    idle.push((column(row, 2)?, stored.version));
                }
            }
            // Committed before any of them is removed, so that a commit that stores one of them anew finds it.
            if let Some(highest) = idle.iter().map(|(_, version)| *version).max() {
                self.execute(RAISE_VERSION_FLOOR, &[&to_bigint(highest)]).await?;
            }
            for (key, version) in idle {
                removed += u64::from(self.expire_customer(key, version).await?);
            }
        }
    }

    /// Settles or abandons expired reservations, which only a restored backup of another backend can contain.
    async fn recover_expired_reservations(&self, now: Timestamp) -> Result<usize, StoreError> {
        let expired = "SELECT offer, decision, customer FROM volume_reservation WHERE lease_ends_at <= $1";
        let rows = self.query(expired, &[&now.unix_ms()]).await?;
        let mut recovered = 0;
        for row in &rows {
            let (offer, decision) = (column::<&str>(row, 0)?, column::<Uuid>(row, 1)?);
            let damaged = |detail: String| StoreError::Damaged { what: "volume", detail };
            let customer = CustomerId::new(column::<&str>(row, 2)?).map_err(|error| damaged(error.to_string()))?;
            let offer = OfferId::new(offer).map_err(|error| damaged(error.to_string()))?;
            let recorded = self.load_decision(&customer, DecisionId::from_bits(decision.as_u128())).await?;
            let is_granted = recorded.is_some_and(|recorded| recorded.slate.iter().any(|it| it.id == offer));
            recovered += usize::from(self.end_reservation(&offer, decision, is_granted).await?);
        }
        Ok(recovered)
    }

    async fn back_up(&self, pages: mpsc::Sender<Vec<BackupRecord>>) -> Result<(), StoreError> {
        self.send_all(&pages).await
    }

    async fn restore(&self, records: Vec<BackupRecord>) -> Result<(), StoreError> {
        self.enter_all(records).await
    }

    async fn digest(&self) -> Result<u64, StoreError> {
        self.digest_all().await
    }
}

impl PostgresStore {
    /// Counts a table exactly while the planner takes it for small, else returns the planner's estimate.
    async fn count(&self, table: &str, exact: &str) -> Result<u64, StoreError> {
        let rows = self.query("SELECT reltuples FROM pg_class WHERE oid = to_regclass($1)", &[&table]).await?;
        let estimate: f32 = rows.first().map_or(Ok(0.0), |row| column(row, 0))?;
        if estimate >= EXACT_ROWS_MAX {
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "an estimate above a million"
            )]
            return Ok(estimate as u64);
        }
        let rows = self.query(exact, &[]).await?;
        rows.first().map_or(Ok(0), |row| column(row, 0).map(from_bigint))
    }

    /// Removes the old events of a part of the keys, and records that some were removed.
    async fn sweep_events(&self, part: u8, before: Timestamp) -> Result<u64, StoreError> {
        let (from, to) = part_of_keys(part);
        let transaction = self.connections.begin().await?;
        let client = transaction.client();
        let sweep = async {
            let delete = "DELETE FROM history WHERE key >= $1 AND key <= $2 AND at < $3";
            let count = client.execute(delete, &[&from, &to, &before.unix_ms()]).await?;
            if count > 0 {
                client.execute(RAISE_WATERMARK, &[&before.unix_ms()]).await?;
            }
            Ok(count)
        };
        let count = sweep.await.map_err(|error: tokio_postgres::Error| store_error(&error))?;
        transaction.commit().await?;
        if count > 0 {
            self.note_sweep(Some(before));
        }
        Ok(count)
    }

    /// Removes a customer who is still as it was read, unless an event is recorded.
    async fn expire_customer(&self, key: Uuid, version: u64) -> Result<bool, StoreError> {
        let transaction = self.connections.begin().await?;
        let client = transaction.client();
        let remove = async {
            let customer = "DELETE FROM customer WHERE key = $1 AND version = $2 AND body IS NOT NULL \
                            AND NOT EXISTS (SELECT 1 FROM history WHERE history.key = $1)";
            let count = client.execute(customer, &[&key, &to_bigint(version)]).await?;
            if count > 0 {
                client.execute("DELETE FROM decision WHERE key = $1", &[&key]).await?;
                client.execute("DELETE FROM cached_ranking WHERE key = $1", &[&key]).await?;
            }
            Ok(count > 0)
        };
        let is_removed = remove.await.map_err(|error: tokio_postgres::Error| store_error(&error))?;
        transaction.commit().await?;
        Ok(is_removed)
    }

    /// Ends a reservation; without a grant its unit returns to the volume. False when it had ended before.
    async fn end_reservation(&self, offer: &OfferId, decision: Uuid, is_granted: bool) -> Result<bool, StoreError> {
        let transaction = self.connections.begin().await?;
        let client = transaction.client();
        let end = async {
            let count = client.execute(END_RESERVATION, &[&offer.as_str(), &decision]).await?;
            if count > 0 && !is_granted {
                client.execute(RELEASE, &[&offer.as_str()]).await?;
            }
            Ok(count > 0)
        };
        let has_ended = end.await.map_err(|error: tokio_postgres::Error| store_error(&error))?;
        transaction.commit().await?;
        Ok(has_ended)
    }
}

/// First and last key of a part.
fn part_of_keys(part: u8) -> (Uuid, Uuid) {
    let width = u128::MAX / u128::from(SWEEP_PARTS) + 1;
    let from = u128::from(part) * width;
    (Uuid::from_u128(from), Uuid::from_u128(from + (width - 1)))
}
