//! The commit of a change: one transaction in two flights.
//!
//! The first flight has the customer, the number of the policy, what is appended, and the volumes, in this order: a commit that
//! loses the race for the customer changes nothing else, and the row of a volume is locked for as short as possible. The second
//! flight ends the transaction. It is rolled back explicitly on a conflict, because a transaction that changed no row would
//! still wait for the standby.

use deadpool_postgres::Object;
use futures_util::future::join_all;
use tokio_postgres::Statement;
use tokio_postgres::types::ToSql;
use uuid::Uuid;

use super::connections::{OpenTransaction, within_time};
use super::error::{is_conflict, store_error};
use super::records::{decision_uuid, from_bigint, to_bigint};
use super::shared::IS_IN_FORCE;
use super::store::PostgresStore;
use super::volumes::{END_RESERVATION, RELEASE, TAKE, TAKE_UNLOCKED};
use crate::domain::ids::OfferId;
use crate::store::codec::customer::{CustomerBody, encode_customer};
use crate::store::codec::outbox::{Outbox, OutboxItem};
use crate::store::contract::change::{
    APPENDED_BYTES_MAX, APPENDED_MAX, CUSTOMER_BYTES_MAX, Change, CommitOutcome, VolumeUnit,
};
use crate::store::contract::error::StoreError;
use crate::store::ownership::require_granted_volume;

const INSERT: &str = "INSERT INTO customer (key, version, body, is_in_merge) VALUES ($1, 1, $2, $3) \
     ON CONFLICT (key) DO NOTHING";
/// Raises the version of a customer just inserted above those of the idle customers that were removed. A statement of its own,
/// after the insert has its row: an insert that waited for the removal of the same customer must see the version removed.
const RAISE: &str = "UPDATE customer SET version = customer.version + meta.number FROM meta \
     WHERE key = $1 AND meta.name = 'version_floor' AND meta.number > 0 RETURNING version";
const UPDATE: &str = "UPDATE customer SET version = version + 1, body = $2, is_in_merge = $3 \
     WHERE key = $1 AND version = $4 AND body IS NOT NULL";
const APPEND_EVENTS: &str = "INSERT INTO history (key, event, at, body) \
     SELECT * FROM unnest($1::uuid[], $2::text[], $3::bigint[], $4::bytea[])";
const APPEND_DECISION: &str = "INSERT INTO decision (key, decision, at, body) VALUES ($1, $2, $3, $4)";
const IS_ERASED: &str = "SELECT body IS NULL FROM customer WHERE key = $1";

/// A change as the database stores it. It outlives the call that made it.
pub(super) struct EncodedChange {
    expected: u64,
    key: Uuid,
    body: Vec<u8>,
    is_in_merge: bool,
    policy: Option<i64>,
    events: EncodedEvents,
    decision: Option<(Uuid, i64, Vec<u8>)>,
    /// In the order of ids, so that two commits lock volumes in one order.
    takes: Vec<OfferId>,
    releases: Vec<VolumeUnit>,
}

/// Columns of the events.
#[derive(Default)]
struct EncodedEvents {
    keys: Vec<Uuid>,
    ids: Vec<String>,
    times: Vec<i64>,
    bodies: Vec<Vec<u8>>,
}

impl PostgresStore {
    /// Encodes a change, or returns the outcome that follows from its size.
    pub(super) fn encode(&self, change: &Change<'_>) -> Result<Result<EncodedChange, CommitOutcome>, StoreError> {
        require_granted_volume(change)?;
        let appended = Outbox::of(change)?;
        let body = CustomerBody::of(change.customer)?;
        if body.bytes() > CUSTOMER_BYTES_MAX {
            return Ok(Err(CommitOutcome::TooLarge { bytes: body.bytes() }));
        }
        let bytes = appended.bytes();
        if appended.0.len() > APPENDED_MAX || bytes > APPENDED_BYTES_MAX {
            return Ok(Err(CommitOutcome::AppendedTooLarge { bytes }));
        }
        let mut events = EncodedEvents::default();
        let mut decision = None;
        let (mut of_events, of_decision) = (change.events.iter(), change.decision);
        for entry in appended.0 {
            match entry.item {
                OutboxItem::Event(body) => {
                    let event = of_events.next().expect("an entry for each event");
                    let owner = event.customer.as_ref().expect("checked with the outbox");
                    events.keys.push(self.hash(owner).key);
                    events.ids.push(event.id.to_string());
                    events.times.push(event.at.unix_ms());
                    events.bodies.push(body);
                }
                OutboxItem::Decision(body) => {
                    let recorded = of_decision.expect("an entry for the decision");
                    decision = Some((decision_uuid(recorded.id), recorded.at.unix_ms(), body));
                }
            }
        }
        let mut takes = change.takes.to_vec();
        takes.sort_unstable();
        Ok(Ok(EncodedChange {
            expected: change.expected,
            key: self.hash(&change.customer.id).key,
            // The column has the version.
            body: encode_customer(0, &body, &Outbox::default())?,
            is_in_merge: change.customer.merge.is_in_progress(),
            policy: change.policy.map(to_bigint),
            events,
            decision,
            takes,
            releases: change.releases.to_vec(),
        }))
    }

    /// Commits a change. The commit goes on when its caller gives up, and keeps its connection until the server answers.
    pub(super) async fn commit_encoded(&self, change: EncodedChange) -> Result<CommitOutcome, StoreError> {
        let transaction = self.connections.get_for_transaction().await?;
        within_time(self.settings.commit_wait_max, run(change, transaction)).await
    }
}

async fn run(change: EncodedChange, transaction: OpenTransaction) -> Result<CommitOutcome, StoreError> {
    let client = transaction.client();
    let EncodedChange { expected, key, body, is_in_merge, policy, events, decision, takes, releases } = &change;
    let is_new = *expected == 0;
    let expected_version = to_bigint(*expected);
    let taken: Vec<&str> = takes.iter().map(OfferId::as_str).collect();
    let released: Vec<(&str, Uuid)> =
        releases.iter().map(|unit| (unit.offer.as_str(), decision_uuid(unit.decision))).collect();

    let mut flight = Flight::on(client);
    if is_new {
        flight.add(INSERT, vec![key, body, is_in_merge]).await?;
    } else {
        flight.add(UPDATE, vec![key, body, is_in_merge, &expected_version]).await?;
    }
    if let Some(policy) = policy {
        flight.add(IS_IN_FORCE, vec![policy]).await?;
    }
    if !events.ids.is_empty() {
        flight.add(APPEND_EVENTS, vec![&events.keys, &events.ids, &events.times, &events.bodies]).await?;
    }
    if let Some((id, at, body)) = decision {
        flight.add(APPEND_DECISION, vec![key, id, at, body]).await?;
    }
    let first_volume = flight.len();
    for offer in &taken {
        flight.add(TAKE_UNLOCKED, vec![offer]).await?;
    }
    for (offer, decision) in &released {
        flight.add(END_RESERVATION, vec![offer, decision]).await?;
        flight.add(RELEASE, vec![offer]).await?;
    }
    let counts = match flight.fly().await {
        Ok(counts) => counts,
        Err(error) if is_conflict(&error) => return roll_back(transaction, CommitOutcome::Conflict).await,
        Err(error) => return Err(store_error(&error)),
    };
    if counts.first() == Some(&0) {
        let is_erased = is_new && is_erased(client, *key).await.map_err(|error| store_error(&error))?;
        return roll_back(transaction, if is_erased { CommitOutcome::Erased } else { CommitOutcome::Conflict }).await;
    }
    if policy.is_some() && counts.get(1) == Some(&0) {
        return roll_back(transaction, CommitOutcome::OtherPolicy).await;
    }
    for (offer, _) in takes.iter().zip(&counts[first_volume..]).filter(|(_, count)| **count == 0) {
        match take(client, offer).await {
            Ok(true) => {}
            Ok(false) => return roll_back(transaction, CommitOutcome::VolumeExhausted(offer.clone())).await,
            Err(error) if is_conflict(&error) => return roll_back(transaction, CommitOutcome::Conflict).await,
            Err(error) => return Err(store_error(&error)),
        }
    }
    let version = if is_new { raise(client, *key).await.map_err(|error| store_error(&error))? } else { expected + 1 };
    transaction.commit().await?;
    Ok(CommitOutcome::Committed { version })
}

/// Whether the row of a customer is that of an erased one.
async fn is_erased(client: &Object, key: Uuid) -> Result<bool, tokio_postgres::Error> {
    let statement = client.prepare_cached(IS_ERASED).await?;
    client.query_opt(&statement, &[&key]).await?.map_or(Ok(false), |row| row.try_get(0))
}

/// Takes a unit of a volume, waiting for the commits that have its buckets locked; false when it is exhausted.
async fn take(client: &Object, offer: &OfferId) -> Result<bool, tokio_postgres::Error> {
    let statement = client.prepare_cached(TAKE).await?;
    Ok(client.execute(&statement, &[&offer.as_str()]).await? > 0)
}

/// Returns the version of a customer just inserted, raised where it has to be.
async fn raise(client: &Object, key: Uuid) -> Result<u64, tokio_postgres::Error> {
    let statement = client.prepare_cached(RAISE).await?;
    let raised: Option<i64> = client.query_opt(&statement, &[&key]).await?.map(|row| row.try_get(0)).transpose()?;
    Ok(raised.map_or(1, from_bigint))
}

async fn roll_back(transaction: OpenTransaction, outcome: CommitOutcome) -> Result<CommitOutcome, StoreError> {
    transaction.roll_back().await?;
    Ok(outcome)
}

/// Statements that are sent together, after the one that begins their transaction.
struct Flight<'a> {
    connection: &'a Object,
    statements: Vec<(Statement, Vec<&'a (dyn ToSql + Sync)>)>,
}

impl<'a> Flight<'a> {
    fn on(connection: &'a Object) -> Self {
        Self { connection, statements: Vec::new() }
    }

    fn len(&self) -> usize {
        self.statements.len()
    }

    /// Adds a statement, prepared once for each connection.
    async fn add(
        &mut self,
        statement: &'static str,
        parameters: Vec<&'a (dyn ToSql + Sync)>,
    ) -> Result<(), StoreError> {
        let statement = self.connection.prepare_cached(statement).await.map_err(|error| store_error(&error))?;
        self.statements.push((statement, parameters));
        Ok(())
    }

    /// Begins the transaction and runs the statements; returns how many rows each changed, or the first error. Futures of one
    /// client send their requests in the order in which they are polled first, and the server runs them in that order.
    async fn fly(self) -> Result<Vec<u64>, tokio_postgres::Error> {
        let Self { connection, statements } = self;
        let begin = connection.batch_execute("BEGIN");
        let run = statements.iter().map(|(statement, parameters)| connection.execute(statement, parameters));
        let (begun, counts) = tokio::join!(begin, join_all(run));
        begun?;
        counts.into_iter().collect()
    }
}
