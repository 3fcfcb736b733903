//! Backup and digest: all records as of one moment.

use std::collections::BTreeMap;

use deadpool_postgres::Object;
use tokio::sync::mpsc;
use tokio_postgres::Row;
use tokio_postgres::types::ToSql;
use uuid::Uuid;

use super::customers::customer_of;
use super::error::store_error;
use super::policies_and_models::{GENERATION, LOAD_MODEL};
use super::records::{ANONYMOUS, column, from_bigint};
use super::store::PostgresStore;
use crate::domain::explicit_offer::{Volume, VolumeToken};
use crate::domain::ids::{CustomerId, DecisionId, OfferId};
use crate::domain::time::Timestamp;
use crate::store::backup::record::{BackupRecord, RecordKind};
use crate::store::codec::customer::{CustomerValue, encode_customer};
use crate::store::codec::decision::decode_decision;
use crate::store::codec::event::decode_event;
use crate::store::codec::explicit_offer::encode_volume;
use crate::store::codec::outbox::Outbox;
use crate::store::codec::sweep_watermark::encode_sweep_watermark;
use crate::store::contract::error::StoreError;
use crate::store::digest::StoreDigest;
use crate::store::keys::{chunk_key, customer_key, decision_key, event_key};

/// Number of rows that are read and sent at once.
const PAGE_LEN: i64 = 256;
/// Number of pages that may wait for the digest.
const PAGES_AHEAD: usize = 2;

type Pages = mpsc::Sender<Vec<BackupRecord>>;

impl PostgresStore {
    /// Sends all records as of one moment, until the receiver is dropped.
    pub(super) async fn send_all(&self, pages: &Pages) -> Result<(), StoreError> {
        let transaction = self.connections.begin_snapshot().await?;
        let client = transaction.client();
        // First, because a store that keys its records with the hash needs it before them.
        let key = record(RecordKind::ErasureKey, Vec::new(), self.erasure_key.load().bytes().to_vec());
        send(pages, vec![key]).await;
        send_texts(client, pages, RecordKind::Policy, "SELECT body, version FROM policy ORDER BY version").await?;
        send_activations(client, pages).await?;
        send_texts(client, pages, RecordKind::Product, "SELECT body, id FROM product ORDER BY id").await?;
        send_texts(client, pages, RecordKind::ExplicitOffer, "SELECT body, id FROM offer ORDER BY id").await?;
        send_model(client, pages).await?;
        send_customers(client, pages).await?;
        send_events(client, pages).await?;
        send_decisions(client, pages).await?;
        send_volumes(client, pages).await?;
        send_erasures(client, pages).await?;
        let swept = query(client, "SELECT number FROM meta WHERE name = 'events_swept_before'", &[]).await?;
        if let Some(before) = swept.first().map(|row| column(row, 0)).transpose()?.and_then(Timestamp::from_unix_ms) {
            send(pages, vec![record(RecordKind::SweepWatermark, Vec::new(), encode_sweep_watermark(before)?)]).await;
        }
        transaction.roll_back().await
    }

    /// Computes the digest of the store as of one moment.
    pub(super) async fn digest_all(&self) -> Result<u64, StoreError> {
        let (pages, mut received) = mpsc::channel(PAGES_AHEAD);
        let send = async move { self.send_all(&pages).await };
        let add = async {
            let mut digest = StoreDigest::default();
            while let Some(page) = received.recv().await {
                for record in &page {
                    digest.add_record(record)?;
                }
            }
            Ok(digest.value())
        };
        let (sent, digest) = tokio::join!(send, add);
        sent?;
        digest
    }
}

fn record(kind: RecordKind, key: Vec<u8>, value: Vec<u8>) -> BackupRecord {
    BackupRecord { kind, key, value }
}

/// Sends a page; false when the receiver was dropped.
async fn send(pages: &Pages, page: Vec<BackupRecord>) -> bool {
    page.is_empty() || pages.send(page).await.is_ok()
}

async fn query(client: &Object, statement: &str, parameters: &[&(dyn ToSql + Sync)]) -> Result<Vec<Row>, StoreError> {
    client.query(statement, parameters).await.map_err(|error| store_error(&error))
}

/// Sends a table whose key is a text. It fits in memory, as the server loads it whole.
async fn send_texts(client: &Object, pages: &Pages, kind: RecordKind, statement: &str) -> Result<(), StoreError> {
    let rows = query(client, statement, &[]).await?;
    let records = rows.iter().map(|row| {
        let (value, key): (Vec<u8>, &str) = (column(row, 0)?, column(row, 1)?);
        Ok(record(kind, key.as_bytes().to_vec(), value))
    });
    send_in_pages(pages, records.collect::<Result<_, StoreError>>()?).await;
    Ok(())
}

async fn send_in_pages(pages: &Pages, records: Vec<BackupRecord>) {
    let mut records = records.into_iter().peekable();
    while records.peek().is_some() {
        let page = records.by_ref().take(usize::try_from(PAGE_LEN).unwrap_or(1)).collect();
        if !send(pages, page).await {
            return;
        }
    }
}

async fn send_activations(client: &Object, pages: &Pages) -> Result<(), StoreError> {
    let rows = query(client, "SELECT body FROM activation ORDER BY number", &[]).await?;
    let records = (1_u64..)
        .zip(&rows)
        .map(|(number, row)| Ok(record(RecordKind::Activation, number.to_be_bytes().to_vec(), column(row, 0)?)));
    send_in_pages(pages, records.collect::<Result<_, StoreError>>()?).await;
    Ok(())
}

async fn send_model(client: &Object, pages: &Pages) -> Result<(), StoreError> {
    let rows = query(client, LOAD_MODEL, &[]).await?;
    let Some(first) = rows.first() else { return Ok(()) };
    let pointer = record(RecordKind::ModelPointer, Vec::new(), column(first, 0)?);
    let generation = u64::try_from(GENERATION).unwrap_or(1);
    let mut records = Vec::with_capacity(rows.len() + 1);
    for (index, row) in (0_u32..).zip(&rows) {
        if let Some(chunk) = column::<Option<Vec<u8>>>(row, 1)? {
            records.push(record(RecordKind::ModelChunk, chunk_key(generation, index), chunk));
        }
    }
    records.push(pointer);
    send_in_pages(pages, records).await;
    Ok(())
}

async fn send_customers(client: &Object, pages: &Pages) -> Result<(), StoreError> {
    let page = "SELECT version, body, key FROM customer WHERE key > $1 AND body IS NOT NULL ORDER BY key LIMIT $2";
    let mut after = Uuid::nil();
    loop {
        let rows = query(client, page, &[&after, &PAGE_LEN]).await?;
        let Some(last) = rows.last() else { return Ok(()) };
        after = column(last, 2)?;
        let records = rows.iter().map(|row| {
            let stored = customer_of(row)?;
            let body = CustomerValue::parse(column(row, 1)?)?.body();
            let value = encode_customer(stored.version, &body, &Outbox::default())?;
            Ok(record(RecordKind::Customer, customer_key(&stored.value.id), value))
        });
        if !send(pages, records.collect::<Result<_, StoreError>>()?).await {
            return Ok(());
        }
    }
}

async fn send_events(client: &Object, pages: &Pages) -> Result<(), StoreError> {
    let page = "SELECT body, key, event FROM history WHERE (key, event) > ($1, $2) ORDER BY key, event LIMIT $3";
    let mut after = (ANONYMOUS, String::new());
    loop {
        let rows = query(client, page, &[&after.0, &after.1, &PAGE_LEN]).await?;
        let Some(last) = rows.last() else { return Ok(()) };
        after = (column(last, 1)?, column(last, 2)?);
        let records = rows.iter().map(|row| {
            let value: Vec<u8> = column(row, 0)?;
            let event = decode_event(&value)?;
            Ok(match &event.customer {
                Some(customer) => record(RecordKind::Event, event_key(&customer_key(customer), &event.id), value),
                None => record(RecordKind::AnonymousEvent, event.id.as_str().into(), value),
            })
        });
        if !send(pages, records.collect::<Result<_, StoreError>>()?).await {
            return Ok(());
        }
    }
}

async fn send_decisions(client: &Object, pages: &Pages) -> Result<(), StoreError> {
    let page =
        "SELECT body, key, decision FROM decision WHERE (key, decision) > ($1, $2) ORDER BY key, decision LIMIT $3";
    let mut after = (Uuid::nil(), Uuid::nil());
    loop {
        let rows = query(client, page, &[&after.0, &after.1, &PAGE_LEN]).await?;
        let Some(last) = rows.last() else { return Ok(()) };
        after = (column(last, 1)?, column(last, 2)?);
        let records = rows.iter().map(|row| {
            let value: Vec<u8> = column(row, 0)?;
            let decision = decode_decision(&value)?;
            Ok(record(RecordKind::Decision, decision_key(&customer_key(&decision.customer), decision.id), value))
        });
        if !send(pages, records.collect::<Result<_, StoreError>>()?).await {
            return Ok(());
        }
    }
}

async fn send_volumes(client: &Object, pages: &Pages) -> Result<(), StoreError> {
    let damaged = |detail: String| StoreError::Damaged { what: "volume", detail };
    let mut volumes: BTreeMap<OfferId, Volume> = BTreeMap::new();
    let used = "SELECT offer, sum(used)::bigint FROM volume GROUP BY offer HAVING sum(used) > 0";
    for row in &query(client, used, &[]).await? {
        let offer = OfferId::new(column::<&str>(row, 0)?).map_err(|error| damaged(error.to_string()))?;
        volumes.entry(offer).or_default().settled = from_bigint(column(row, 1)?);
    }
    let reserved = "SELECT offer, decision, customer, lease_ends_at FROM volume_reservation ORDER BY decision";
    for row in &query(client, reserved, &[]).await? {
        let offer = OfferId::new(column::<&str>(row, 0)?).map_err(|error| damaged(error.to_string()))?;
        let lease_ends_at = Timestamp::from_unix_ms(column(row, 3)?);
        let volume = volumes.entry(offer.clone()).or_default();
        volume.settled = volume.settled.saturating_sub(1);
        volume.pending.push(VolumeToken {
            offer,
            decision: DecisionId::from_bits(column::<Uuid>(row, 1)?.as_u128()),
            customer: CustomerId::new(column::<&str>(row, 2)?).map_err(|error| damaged(error.to_string()))?,
            lease_ends_at: lease_ends_at.ok_or_else(|| damaged("a lease ends out of range".to_owned()))?,
        });
    }
    let records = volumes.into_iter().map(|(offer, volume)| {
        Ok(record(RecordKind::Volume, offer.as_str().as_bytes().to_vec(), encode_volume(&volume)?))
    });
    send_in_pages(pages, records.collect::<Result<_, StoreError>>()?).await;
    Ok(())
}

async fn send_erasures(client: &Object, pages: &Pages) -> Result<(), StoreError> {
    let page = "SELECT key, hash_rest, erasure FROM customer WHERE key > $1 AND body IS NULL ORDER BY key LIMIT $2";
    let mut after = Uuid::nil();
    loop {
        let rows = query(client, page, &[&after, &PAGE_LEN]).await?;
        let Some(last) = rows.last() else { return Ok(()) };
        after = column(last, 0)?;
        let records = rows.iter().map(|row| {
            let (key, rest): (Uuid, &[u8]) = (column(row, 0)?, column(row, 1)?);
            Ok(record(RecordKind::Erasure, [&key.as_bytes()[..], rest].concat(), column(row, 2)?))
        });
        if !send(pages, records.collect::<Result<_, StoreError>>()?).await {
            return Ok(());
        }
    }
}
