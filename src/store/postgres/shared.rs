//! Coordination of the processes that share the store: published numbers, replicas and leases, as rows of small tables.
//!
//! All of it is polled. LISTEN and NOTIFY would be quicker, but NOTIFY takes a lock of the whole database at commit, and engines
//! that speak the same protocol may lack it.

use std::time::Duration;

use async_trait::async_trait;
use deadpool_postgres::Object;

use super::error::store_error;
use super::records::{column, from_bigint, to_bigint};
use super::store::PostgresStore;
use crate::domain::time::Timestamp;
use crate::store::contract::error::StoreError;
use crate::store::contract::shared::{CommitPosition, Job, PublishedNumbers, PublishedState, ReplicaId, SharedStore};

/// Kinds of what is published, as they are stored.
pub(super) const POLICY: &str = "policy";
pub(super) const CATALOG: &str = "catalog";
pub(super) const OFFERS: &str = "offers";
pub(super) const MODEL: &str = "model";
const ACCEPTANCES: &str = "acceptances";

/// Compares the number of the policy in force with that of a commit. It comes after the statement that assigned the commit its
/// transaction id, so that an activation that it does not see waits for it.
pub(super) const IS_IN_FORCE: &str = "SELECT 1 FROM published WHERE kind = 'policy' AND number = $1";
const PUBLISH: &str = "UPDATE published SET number = number + 1 WHERE kind = $1";
const PUBLISH_AFTER: &str = "UPDATE published SET number = number + 1 WHERE kind = $1 AND number = $2";
/// The numbers, the time, and the time before which events were swept.
const STATE: &str = "SELECT kind, number, (extract(epoch FROM clock_timestamp()) * 1000)::bigint FROM published \
     UNION ALL SELECT name, number, 0 FROM meta WHERE name = 'events_swept_before'";
const REPORT: &str = "INSERT INTO replica (id, seen, oldest_policy) VALUES ($1, clock_timestamp(), $2) \
     ON CONFLICT (id) DO UPDATE SET seen = EXCLUDED.seen, oldest_policy = EXCLUDED.oldest_policy";
/// A replica that was not seen for 15 seconds may be gone. If it is not, its commits are refused by the number of their policy.
const IS_DRAINED: &str = "SELECT pg_snapshot_xmin(pg_current_snapshot())::text::bigint >= $2 AND NOT EXISTS (SELECT 1 FROM replica \
     WHERE oldest_policy < $1 AND seen > clock_timestamp() - interval '15 seconds')";
const LEASE: &str = "INSERT INTO job (name, holder, until) VALUES ($1, $2, clock_timestamp() + $3 * interval '1 millisecond') \
     ON CONFLICT (name) DO UPDATE SET holder = EXCLUDED.holder, until = EXCLUDED.until \
     WHERE job.holder = EXCLUDED.holder OR job.until <= clock_timestamp()";

#[async_trait]
impl SharedStore for PostgresStore {
    async fn published(&self) -> Result<PublishedState, StoreError> {
        let mut state = PublishedState { numbers: PublishedNumbers::default(), time: Timestamp::MIN };
        for row in &self.query(STATE, &[]).await? {
            let number: i64 = column(row, 1)?;
            let target = match column::<&str>(row, 0)? {
                POLICY => &mut state.numbers.policy,
                CATALOG => &mut state.numbers.catalog,
                OFFERS => &mut state.numbers.offers,
                MODEL => &mut state.numbers.model,
                ACCEPTANCES => &mut state.numbers.acceptances,
                _ => {
                    self.note_sweep(Timestamp::from_unix_ms(number));
                    continue;
                }
            };
            *target = from_bigint(number);
            state.time = Timestamp::from_unix_ms(column(row, 2)?).unwrap_or(Timestamp::MIN);
        }
        Ok(state)
    }

    async fn report_replica(&self, replica: ReplicaId, oldest_policy: u64) -> Result<(), StoreError> {
        self.execute(REPORT, &[&replica.0, &to_bigint(oldest_policy)]).await.map(drop)
    }

    async fn remove_replica(&self, replica: ReplicaId) -> Result<(), StoreError> {
        let old = "DELETE FROM replica WHERE id = $1 OR seen < clock_timestamp() - interval '1 day'";
        self.execute(old, &[&replica.0]).await.map(drop)
    }

    async fn commit_position(&self) -> Result<CommitPosition, StoreError> {
        // It assigns the next transaction id. The end of a snapshot would not do: ids that were assigned and have not ended
        // may lie beyond it.
        let rows = self.query("SELECT pg_current_xact_id()::text::bigint", &[]).await?;
        rows.first().map_or(Ok(CommitPosition(u64::MAX)), |row| column(row, 0).map(from_bigint).map(CommitPosition))
    }

    async fn is_drained(&self, policy: u64, position: CommitPosition) -> Result<bool, StoreError> {
        let rows = self.query(IS_DRAINED, &[&to_bigint(policy), &to_bigint(position.0)]).await?;
        rows.first().map_or(Ok(false), |row| column(row, 0))
    }

    async fn lease(&self, job: Job, holder: ReplicaId, span: Duration) -> Result<bool, StoreError> {
        #[expect(clippy::cast_precision_loss, reason = "a span of days")]
        let span_ms = span.as_millis() as f64;
        Ok(self.execute(LEASE, &[&job.as_str(), &holder.0, &span_ms]).await? > 0)
    }

    async fn end_lease(&self, job: Job, holder: ReplicaId) -> Result<(), StoreError> {
        self.execute("DELETE FROM job WHERE name = $1 AND holder = $2", &[&job.as_str(), &holder.0]).await.map(drop)
    }

    async fn put_acceptances(&self, counts: &[u8], expected: u64) -> Result<bool, StoreError> {
        let transaction = self.connections.begin().await?;
        let client = transaction.client();
        let put = async {
            if !publish_after(client, ACCEPTANCES, expected).await? {
                return Ok(false);
            }
            let statement = "INSERT INTO meta (name, bytes) VALUES ('acceptances', $1) ON CONFLICT (name) DO UPDATE \
                             SET bytes = EXCLUDED.bytes";
            client.execute(statement, &[&counts]).await?;
            Ok(true)
        };
        let is_expected = put.await.map_err(|error: tokio_postgres::Error| store_error(&error))?;
        transaction.commit().await?;
        Ok(is_expected)
    }

    async fn load_acceptances(&self) -> Result<Option<Vec<u8>>, StoreError> {
        let rows = self.query("SELECT bytes FROM meta WHERE name = 'acceptances'", &[]).await?;
        rows.first().map(|row| column(row, 0)).transpose()
    }
}

/// Publishes a change, in the transaction that makes it.
pub(super) async fn publish(client: &Object, kind: &str) -> Result<(), tokio_postgres::Error> {
    let statement = client.prepare_cached(PUBLISH).await?;
    client.execute(&statement, &[&kind]).await.map(drop)
}

/// Publishes a change that follows the one of a number; false when another one followed it.
pub(super) async fn publish_after(client: &Object, kind: &str, expected: u64) -> Result<bool, tokio_postgres::Error> {
    let statement = client.prepare_cached(PUBLISH_AFTER).await?;
    Ok(client.execute(&statement, &[&kind, &to_bigint(expected)]).await? > 0)
}
