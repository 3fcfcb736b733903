//! Restoring a backup of any backend into an empty store.

use std::sync::Arc;

use deadpool_postgres::Object;
use tokio_postgres::types::ToSql;

use super::catalog::cap_of;
use super::error::store_error;
use super::policies_and_models::{GENERATION, INSERT_CHUNK, PUT_POINTER};
use super::records::{ANONYMOUS, CustomerHash, column, decision_uuid, to_bigint};
use super::schema::PUT_ERASURE_KEY;
use super::shared::{POLICY, publish};
use super::store::PostgresStore;
use super::volumes::{SharedCap, share_out};
use crate::domain::explicit_offer::VolumeToken;
use crate::store::backup::record::{BackupRecord, RecordKind};
use crate::store::codec::customer::{CustomerValue, encode_customer};
use crate::store::codec::decision::decode_decision;
use crate::store::codec::erasure::{decode_erasure, encode_erasure};
use crate::store::codec::event::decode_event;
use crate::store::codec::explicit_offer::{decode_explicit_offer, decode_volume};
use crate::store::codec::model::{ModelPointer, decode_model_pointer, encode_model_pointer};
use crate::store::codec::outbox::Outbox;
use crate::store::codec::sweep_watermark::decode_sweep_watermark;
use crate::store::contract::error::StoreError;
use crate::store::erasure::HASH_BYTES;
use crate::store::keys::chunk_generation;

impl PostgresStore {
    /// Enters a page of records, in one transaction.
    pub(super) async fn enter_all(&self, records: Vec<BackupRecord>) -> Result<(), StoreError> {
        let transaction = self.connections.begin().await?;
        for record in &records {
            self.enter(transaction.client(), record).await?;
        }
        transaction.commit().await
    }

    async fn enter(&self, client: &Object, record: &BackupRecord) -> Result<(), StoreError> {
        let BackupRecord { kind, key, value } = record;
        match kind {
            RecordKind::Customer => {
                let parsed = CustomerValue::parse(value)?;
                let stored = parsed.customer()?;
                let body = encode_customer(0, &parsed.body(), &Outbox::default())?;
                let key = self.hash(&stored.value.id).key;
                let statement = "INSERT INTO customer (key, version, body, is_in_merge) VALUES ($1, $2, $3, $4)";
                let is_in_merge = stored.value.merge.is_in_progress();
                run(client, statement, &[&key, &to_bigint(stored.version), &body, &is_in_merge]).await
            }
            RecordKind::Event | RecordKind::AnonymousEvent => {
                let event = decode_event(value)?;
                let key = event.customer.as_ref().map_or(ANONYMOUS, |customer| self.hash(customer).key);
                let statement = "INSERT INTO history (key, event, at, body) VALUES ($1, $2, $3, $4)";
                run(client, statement, &[&key, &event.id.as_str(), &event.at.unix_ms(), value]).await
            }
            RecordKind::Decision => {
                let decision = decode_decision(value)?;
                let (key, id) = (self.hash(&decision.customer).key, decision_uuid(decision.id));
                let statement = "INSERT INTO decision (key, decision, at, body) VALUES ($1, $2, $3, $4)";
                run(client, statement, &[&key, &id, &decision.at.unix_ms(), value]).await
            }
            RecordKind::Product => {
                let statement = "INSERT INTO product (id, body) VALUES ($1, $2)";
                run(client, statement, &[&text(key)?, value]).await
            }
            RecordKind::ExplicitOffer => {
                let offer = decode_explicit_offer(value)?;
                let statement = "INSERT INTO offer (id, body) VALUES ($1, $2)";
                run(client, statement, &[&offer.id.as_str(), value]).await?;
                share_out(client, &offer.id, cap_of(&offer)).await.map_err(|error| store_error(&error))
            }
            RecordKind::Volume => self.enter_volume(client, record).await,
            RecordKind::Policy => {
                let statement = "INSERT INTO policy (version, body) VALUES ($1, $2)";
                run(client, statement, &[&text(key)?, value]).await
            }
            RecordKind::Activation => {
                // They come in their order.
                run(client, "INSERT INTO activation (body) VALUES ($1)", &[value]).await?;
                publish(client, POLICY).await.map_err(|error| store_error(&error))
            }
            RecordKind::ModelChunk => {
                let index = chunk_generation(key).and_then(|_| key.get(8..12)?.try_into().ok()).map(i32::from_be_bytes);
                let index = index.ok_or_else(|| damaged("model", "a chunk under the key of another record"))?;
                run(client, INSERT_CHUNK, &[&GENERATION, &index, value]).await
            }
            RecordKind::ModelPointer => {
                let generation = u64::try_from(GENERATION).unwrap_or(1);
                let pointer = ModelPointer { generation, ..decode_model_pointer(value)? };
                run(client, PUT_POINTER, &[&encode_model_pointer(&pointer)?]).await
            }
            RecordKind::ErasureKey => self.enter_erasure_key(client, record).await,
            RecordKind::Erasure => {
                let hash = key.first_chunk::<HASH_BYTES>().ok_or_else(|| damaged("erasure", "key too short"))?;
                let CustomerHash { key, rest } = CustomerHash::from_bytes(*hash);
                let erasure = encode_erasure(&decode_erasure(value)?.0, true)?;
                // The customer may be among those of the backup.
                let statement = "INSERT INTO customer (key, version, hash_rest, erasure) VALUES ($1, 0, $2, $3) \
                                 ON CONFLICT (key) DO UPDATE SET body = NULL, is_in_merge = false, \
                                 hash_rest = EXCLUDED.hash_rest, erasure = EXCLUDED.erasure";
                run(client, statement, &[&key, &&rest[..], &erasure]).await?;
                run(client, "DELETE FROM history WHERE key = $1", &[&key]).await?;
                run(client, "DELETE FROM decision WHERE key = $1", &[&key]).await
            }
            RecordKind::SweepWatermark => {
                let before = decode_sweep_watermark(value)?;
                let statement = "INSERT INTO meta (name, number) VALUES ('events_swept_before', $1)";
                run(client, statement, &[&before.unix_ms()]).await?;
                self.note_sweep(Some(before));
                Ok(())
            }
        }
    }

    async fn enter_volume(&self, client: &Object, record: &BackupRecord) -> Result<(), StoreError> {
        let offer = record.offer()?;
        let volume = decode_volume(&offer, &record.value)?;
        let stored = client.query_opt("SELECT body FROM offer WHERE id = $1", &[&offer.as_str()]).await;
        let stored = stored.map_err(|error| store_error(&error))?;
        let stored = stored.map(|row| decode_explicit_offer(column(&row, 0)?)).transpose()?;
        let cap = stored.as_ref().map_or(SharedCap::Limited(0), cap_of);
        let statement = "INSERT INTO volume (offer, bucket, used) VALUES ($1, 0, $2) ON CONFLICT (offer, bucket) \
                         DO UPDATE SET used = EXCLUDED.used";
        run(client, statement, &[&offer.as_str(), &to_bigint(volume.used())]).await?;
        share_out(client, &offer, cap).await.map_err(|error| store_error(&error))?;
        for VolumeToken { offer, decision, customer, lease_ends_at } in &volume.pending {
            let statement = "INSERT INTO volume_reservation (offer, decision, key, customer, lease_ends_at) \
                             VALUES ($1, $2, $3, $4, $5)";
            let (decision, key) = (decision_uuid(*decision), self.hash(customer).key);
            let lease_ends_at = lease_ends_at.unix_ms();
            run(client, statement, &[&offer.as_str(), &decision, &key, &customer.as_str(), &lease_ends_at]).await?;
        }
        Ok(())
    }

    /// Takes over the key of the store that was backed up: rows and erasures are known by hashes under it.
    async fn enter_erasure_key(&self, client: &Object, record: &BackupRecord) -> Result<(), StoreError> {
        let key = record.erasure_key()?;
        if key.bytes() == self.erasure_key.load().bytes() {
            return Ok(());
        }
        let stored = client.query_one("SELECT EXISTS (SELECT 1 FROM customer) OR EXISTS (SELECT 1 FROM history)", &[]);
        let stored = stored.await.map_err(|error| store_error(&error))?;
        if column(&stored, 0)? {
            return Err(damaged("erasure key", "it comes after customers"));
        }
        run(client, PUT_ERASURE_KEY, &[&key.bytes()]).await?;
        self.erasure_key.store(Arc::new(key));
        Ok(())
    }
}

async fn run(client: &Object, statement: &str, parameters: &[&(dyn ToSql + Sync)]) -> Result<(), StoreError> {
    let run = async {
        let statement = client.prepare_cached(statement).await?;
        client.execute(&statement, parameters).await
    };
    run.await.map(drop).map_err(|error| store_error(&error))
}

fn text(key: &[u8]) -> Result<&str, StoreError> {
    std::str::from_utf8(key).map_err(|error| StoreError::Damaged { what: "record", detail: error.to_string() })
}

fn damaged(what: &'static str, detail: &str) -> StoreError {
    StoreError::Damaged { what, detail: detail.to_owned() }
}
