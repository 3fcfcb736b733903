//! Customers, history and the decision log in PostgreSQL.

use async_trait::async_trait;
use tokio_postgres::Row;
use uuid::Uuid;

use super::error::store_error;
use super::records::{ANONYMOUS, CustomerHash, column, decision_uuid, from_bigint, to_bigint};
use super::store::PostgresStore;
use crate::domain::cached_ranking::CachedRanking;
use crate::domain::customer::Customer;
use crate::domain::customer_export::ExportedRecord;
use crate::domain::decision::Decision;
use crate::domain::event::Event;
use crate::domain::ids::{CustomerId, DecisionId, EventId};
use crate::domain::time::Timestamp;
use crate::store::codec::cached_ranking::{decode_cached_ranking, encode_cached_ranking};
use crate::store::codec::customer::decode_customer;
use crate::store::codec::decision::decode_decision;
use crate::store::codec::erasure::{decode_erasure, encode_erasure};
use crate::store::codec::event::{decode_event, encode_event};
use crate::store::contract::change::{Change, CommitOutcome};
use crate::store::contract::customer_export::{CustomerExportPage, CustomerExportPosition};
use crate::store::contract::customers::CustomerStore;
use crate::store::contract::erasure::{ErasedRecords, Erasure, ErasureResult};
use crate::store::contract::error::StoreError;
use crate::store::contract::loaded_customer::LoadedCustomer;
use crate::store::contract::versioned::Versioned;
use crate::store::ownership::require_event_of;

/// Names the statement that stores a cached ranking. It locks the row of the customer against an erasure that is under way, and
/// does not wait for a commit: a ranking may be lost.
const PUT_RANKING: &str = "INSERT INTO cached_ranking (key, body) SELECT key, $2 FROM customer \
     WHERE key = $1 AND body IS NOT NULL FOR KEY SHARE SKIP LOCKED ON CONFLICT (key) DO UPDATE SET body = EXCLUDED.body";

#[async_trait]
impl CustomerStore for PostgresStore {
    async fn load_customer(&self, id: &CustomerId) -> Result<LoadedCustomer, StoreError> {
        let key = self.hash(id).key;
        let rows = self.query("SELECT version, body, erasure FROM customer WHERE key = $1", &[&key]).await?;
        let Some(row) = rows.first() else { return Ok(LoadedCustomer::Unknown) };
        match (column::<Option<&[u8]>>(row, 1)?, column::<Option<&[u8]>>(row, 2)?) {
            (Some(body), _) => Ok(LoadedCustomer::Stored(stored_customer(column(row, 0)?, body)?)),
            (None, Some(erasure)) => Ok(LoadedCustomer::Erased(decode_erasure(erasure)?.0)),
            (None, None) => Err(StoreError::Damaged { what: "customer", detail: "the row is empty".to_owned() }),
        }
    }

    async fn load_cached_ranking(&self, id: &CustomerId) -> Result<Option<CachedRanking>, StoreError> {
        let key = self.hash(id).key;
        let rows = self.query("SELECT body FROM cached_ranking WHERE key = $1", &[&key]).await?;
        let Some(row) = rows.first() else { return Ok(None) };
        Ok(decode_cached_ranking(column(row, 0)?).ok())
    }

    async fn commit(&self, change: Change<'_>) -> Result<CommitOutcome, StoreError> {
        match self.encode(&change)? {
            Ok(encoded) => self.commit_encoded(encoded).await,
            Err(outcome) => Ok(outcome),
        }
    }

    /// Writes the row without changing it. A commit is visible before a standby has confirmed it, and may be lost with the
    /// primary then; a write of the same row waits for the standby, and fails on a primary that does not have the version.
    async fn confirm(&self, customer: &CustomerId, version: u64) -> Result<bool, StoreError> {
        if version == 0 {
            return Ok(true);
        }
        let statement = "UPDATE customer SET version = version WHERE key = $1 AND version = $2 AND body IS NOT NULL";
        Ok(self.execute(statement, &[&self.hash(customer).key, &to_bigint(version)]).await? > 0)
    }

    async fn load_events(
        &self,
        customer: Option<&CustomerId>,
        events: &[EventId],
    ) -> Result<Vec<Option<Event>>, StoreError> {
        let key = customer.map_or(ANONYMOUS, |customer| self.hash(customer).key);
        let ids: Vec<&str> = events.iter().map(EventId::as_str).collect();
        let rows = self.query("SELECT body FROM history WHERE key = $1 AND event = ANY ($2)", &[&key, &ids]).await?;
        let found = rows.iter().map(event_of).collect::<Result<Vec<Event>, StoreError>>()?;
        Ok(events.iter().map(|id| found.iter().find(|event| event.id == *id).cloned()).collect())
    }

    async fn append_anonymous(&self, events: &[Event]) -> Result<Vec<bool>, StoreError> {
        let mut encoded = Vec::with_capacity(events.len());
        for event in events {
            require_event_of(None, event)?;
            encoded.push((event.id.as_str(), event.at.unix_ms(), encode_event(event)?));
        }
        let transaction = self.connections.begin().await?;
        let client = transaction.client();
        let append = async {
            // A known event is locked, so that the commit waits until a standby has confirmed it: the answer will be that
            // it is recorded.
            let statement = "INSERT INTO history (key, event, at, body) VALUES ($1, $2, $3, $4) \
                             ON CONFLICT (key, event) DO UPDATE SET at = history.at WHERE false";
            let statement = client.prepare_cached(statement).await?;
            let mut were_new = Vec::with_capacity(encoded.len());
            for (id, at, body) in &encoded {
                were_new.push(client.execute(&statement, &[&ANONYMOUS, id, at, body]).await? > 0);
            }
            Ok(were_new)
        };
        let were_new = append.await.map_err(|error: tokio_postgres::Error| store_error(&error))?;
        transaction.commit().await?;
        Ok(were_new)
    }

    async fn load_decision(&self, customer: &CustomerId, decision: DecisionId) -> Result<Option<Decision>, StoreError> {
        let (key, decision) = (self.hash(customer).key, decision_uuid(decision));
        let rows = self.query("SELECT body FROM decision WHERE key = $1 AND decision = $2", &[&key, &decision]).await?;
        rows.first().map(decision_of).transpose()
    }

    async fn erase_customer(&self, customer: &CustomerId, at: Timestamp) -> Result<ErasureResult, StoreError> {
        let CustomerHash { key, rest } = self.hash(customer);
        let new = Erasure { at, was_opted_out: false };
        let new_bytes = encode_erasure(&new, true)?;
        let transaction = self.connections.begin().await?;
        let client = transaction.client();
        let database = |error: tokio_postgres::Error| store_error(&error);
        // Without a row there would be nothing to lock.
        let block = "INSERT INTO customer (key, version, hash_rest, erasure) VALUES ($1, 0, $2, $3) \
                     ON CONFLICT (key) DO NOTHING";
        client.execute(block, &[&key, &&rest[..], &new_bytes]).await.map_err(database)?;
        let lock = "SELECT body, erasure FROM customer WHERE key = $1 FOR UPDATE";
        let row = client.query_one(lock, &[&key]).await.map_err(database)?;
        let stored: Option<&[u8]> = column(&row, 0)?;
        // A customer that does not decode is erased as well.
        let was_opted_out =
            stored.and_then(|body| decode_customer(body).ok()).is_some_and(|it| it.value.consents.is_opted_out);
        let before =
            column::<Option<&[u8]>>(&row, 1)?.map(decode_erasure).transpose()?.map_or(new, |(erasure, _)| erasure);
        let erasure = Erasure { was_opted_out: before.was_opted_out || was_opted_out, ..before };
        let erase = "UPDATE customer SET body = NULL, is_in_merge = false, hash_rest = $2, erasure = $3 WHERE key = $1";
        client.execute(erase, &[&key, &&rest[..], &encode_erasure(&erasure, true)?]).await.map_err(database)?;
        let events = client.execute("DELETE FROM history WHERE key = $1", &[&key]).await.map_err(database)?;
        let decisions = client.execute("DELETE FROM decision WHERE key = $1", &[&key]).await.map_err(database)?;
        client.execute("DELETE FROM cached_ranking WHERE key = $1", &[&key]).await.map_err(database)?;
        // It is no longer known whether the units were granted, so they stay used.
        client.execute("DELETE FROM volume_reservation WHERE key = $1", &[&key]).await.map_err(database)?;
        let removed = ErasedRecords { was_stored: stored.is_some(), events, decisions };
        transaction.commit().await?;
        Ok(ErasureResult { removed, erasure })
    }

    async fn put_cached_ranking(&self, customer: &CustomerId, ranking: &CachedRanking) -> Result<(), StoreError> {
        let (key, body) = (self.hash(customer).key, encode_cached_ranking(ranking)?);
        let transaction = self.read_connections.begin().await?;
        let client = transaction.client();
        let put = async {
            // A ranking may be lost, so nothing waits for a standby.
            client.batch_execute("SET LOCAL synchronous_commit = off").await?;
            let statement = client.prepare_cached(PUT_RANKING).await?;
            client.execute(&statement, &[&key, &body]).await
        };
        put.await.map_err(|error| store_error(&error))?;
        transaction.commit().await
    }

    async fn delete_cached_ranking(&self, customer: &CustomerId) -> Result<(), StoreError> {
        self.execute("DELETE FROM cached_ranking WHERE key = $1", &[&self.hash(customer).key]).await?;
        Ok(())
    }

    async fn load_customer_export(
        &self,
        customer: &CustomerId,
        position: CustomerExportPosition,
        page_len: usize,
    ) -> Result<CustomerExportPage, StoreError> {
        let key = self.hash(customer).key;
        let page_len = page_len.max(1);
        let limit = i64::try_from(page_len).unwrap_or(i64::MAX);
        match position {
            CustomerExportPosition::Customer => {
                let mut records = Vec::new();
                if let LoadedCustomer::Stored(stored) = self.load_customer(customer).await? {
                    records.push(ExportedRecord::Customer(Box::new(stored.value)));
                    records.extend(self.load_cached_ranking(customer).await?.map(ExportedRecord::CachedRanking));
                }
                Ok(CustomerExportPage { records, next: Some(CustomerExportPosition::Events { after: None }) })
            }
            CustomerExportPosition::Events { after } => {
                let after = after.as_ref().map_or("", EventId::as_str);
                let page = "SELECT body FROM history WHERE key = $1 AND event > $2 ORDER BY event LIMIT $3";
                let rows = self.query(page, &[&key, &after, &limit]).await?;
                let events = rows.iter().map(event_of).collect::<Result<Vec<Event>, StoreError>>()?;
                let last = events.last().filter(|_| events.len() == page_len).map(|event| event.id.clone());
                let next = match last {
                    Some(last) => CustomerExportPosition::Events { after: Some(last) },
                    None => CustomerExportPosition::Decisions { after: None },
                };
                let records = events.into_iter().map(ExportedRecord::Event).collect();
                Ok(CustomerExportPage { records, next: Some(next) })
            }
            CustomerExportPosition::Decisions { after } => {
                let after = after.map(decision_uuid);
                let page = "SELECT body FROM decision WHERE key = $1 AND ($2::uuid IS NULL OR decision > $2) \
                            ORDER BY decision LIMIT $3";
                let rows = self.query(page, &[&key, &after, &limit]).await?;
                let decisions = rows.iter().map(decision_of).collect::<Result<Vec<Decision>, StoreError>>()?;
                let last = decisions.last().filter(|_| decisions.len() == page_len).map(|decision| decision.id);
                let next = last.map(|id| CustomerExportPosition::Decisions { after: Some(id) });
                let records = decisions.into_iter().map(|it| ExportedRecord::Decision(Box::new(it))).collect();
                Ok(CustomerExportPage { records, next })
            }
        }
    }

    async fn unfinished_merges(&self) -> Result<Vec<CustomerId>, StoreError> {
        let rows = self.query("SELECT version, body FROM customer WHERE is_in_merge AND body IS NOT NULL", &[]).await?;
        rows.iter().map(|row| Ok(customer_of(row)?.value.id)).collect()
    }

    async fn visit_customers(
        &self,
        page_len: usize,
        visit: &mut (dyn FnMut(Vec<Customer>) + Send),
    ) -> Result<(), StoreError> {
        let limit = i64::try_from(page_len.max(1)).unwrap_or(i64::MAX);
        let page = "SELECT version, body, key FROM customer WHERE key > $1 AND body IS NOT NULL ORDER BY key LIMIT $2";
        let mut after = Uuid::nil();
        loop {
            let rows = self.query(page, &[&after, &limit]).await?;
            let Some(last) = rows.last() else { return Ok(()) };
            after = column(last, 2)?;
            visit(rows.iter().map(|row| Ok(customer_of(row)?.value)).collect::<Result<_, StoreError>>()?);
        }
    }

    async fn visit_events(
        &self,
        page_len: usize,
        visit: &mut (dyn FnMut(Vec<Event>) + Send),
    ) -> Result<(), StoreError> {
        let limit = i64::try_from(page_len.max(1)).unwrap_or(i64::MAX);
        let page = "SELECT body, key, event FROM history WHERE (key, event) > ($1, $2) ORDER BY key, event LIMIT $3";
        let mut after = (Uuid::nil(), String::new());
        loop {
            let rows = self.query(page, &[&after.0, &after.1, &limit]).await?;
            let Some(last) = rows.last() else { return Ok(()) };
            after = (column(last, 1)?, column(last, 2)?);
            visit(rows.iter().map(event_of).collect::<Result<_, StoreError>>()?);
        }
    }

    async fn visit_decisions(
        &self,
        page_len: usize,
        visit: &mut (dyn FnMut(Vec<Decision>) + Send),
    ) -> Result<(), StoreError> {
        let limit = i64::try_from(page_len.max(1)).unwrap_or(i64::MAX);
        let page = "SELECT body, key, decision FROM decision WHERE (key, decision) > ($1, $2) \
                    ORDER BY key, decision LIMIT $3";
        let mut after = (Uuid::nil(), Uuid::nil());
        loop {
            let rows = self.query(page, &[&after.0, &after.1, &limit]).await?;
            let Some(last) = rows.last() else { return Ok(()) };
            after = (column(last, 1)?, column(last, 2)?);
            visit(rows.iter().map(decision_of).collect::<Result<_, StoreError>>()?);
        }
    }
}

/// Decodes a customer; the column has its version.
fn stored_customer(version: i64, body: &[u8]) -> Result<Versioned<Customer>, StoreError> {
    Ok(Versioned { version: from_bigint(version), value: decode_customer(body)?.value })
}

/// Decodes the customer of a row of version and body.
pub(super) fn customer_of(row: &Row) -> Result<Versioned<Customer>, StoreError> {
    stored_customer(column(row, 0)?, column(row, 1)?)
}

/// Decodes the event of a row that starts with its body.
fn event_of(row: &Row) -> Result<Event, StoreError> {
    decode_event(column(row, 0)?)
}

/// Decodes the decision of a row that starts with its body.
fn decision_of(row: &Row) -> Result<Decision, StoreError> {
    decode_decision(column(row, 0)?)
}
