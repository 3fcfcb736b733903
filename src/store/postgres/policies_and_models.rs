//! Policies, activations and models in PostgreSQL.

use async_trait::async_trait;

use super::error::store_error;
use super::records::column;
use super::shared::{MODEL, POLICY, publish, publish_after};
use super::store::PostgresStore;
use crate::store::codec::model::{
    CHUNK_BYTES, ModelPointer, decode_model_chunk, decode_model_pointer, encode_model_chunk, encode_model_pointer,
};
use crate::store::codec::policy::{decode_activation, decode_policy, encode_activation, encode_policy};
use crate::store::codec::training_marker::{decode_training_marker, encode_training_marker};
use crate::store::contract::error::StoreError;
use crate::store::contract::policies_and_models::PolicyAndModelStore;
use crate::store::contract::stored_model::{StoredModel, TrainingMarker};
use crate::store::contract::stored_policy::{Activation, StoredPolicy};

/// Generation of the chunks: only those of the current model are stored.
pub(super) const GENERATION: i64 = 1;
pub(super) const INSERT_CHUNK: &str = "INSERT INTO model_chunk (generation, index, body) VALUES ($1, $2, $3)";
pub(super) const PUT_POINTER: &str = "INSERT INTO meta (name, bytes) VALUES ('model', $1) ON CONFLICT (name) DO UPDATE \
     SET bytes = EXCLUDED.bytes";
/// The pointer comes with the chunks, so that both are of one model.
pub(super) const LOAD_MODEL: &str = "SELECT meta.bytes, model_chunk.body FROM meta LEFT JOIN model_chunk ON true \
     WHERE meta.name = 'model' ORDER BY model_chunk.index";

#[async_trait]
impl PolicyAndModelStore for PostgresStore {
    async fn put_policy(&self, policy: &StoredPolicy) -> Result<bool, StoreError> {
        let body = encode_policy(policy)?;
        let statement = "INSERT INTO policy (version, body) VALUES ($1, $2) ON CONFLICT (version) DO NOTHING";
        Ok(self.execute(statement, &[&policy.version, &body]).await? > 0)
    }

    async fn load_policies(&self) -> Result<Vec<StoredPolicy>, StoreError> {
        let rows = self.query("SELECT body FROM policy ORDER BY version", &[]).await?;
        rows.iter().map(|row| decode_policy(column(row, 0)?)).collect()
    }

    async fn append_activation(&self, activation: &Activation, expected: u64) -> Result<bool, StoreError> {
        let body = encode_activation(activation)?;
        let transaction = self.connections.begin().await?;
        let client = transaction.client();
        let append = async {
            if !publish_after(client, POLICY, expected).await? {
                return Ok(false);
            }
            client.execute("INSERT INTO activation (body) VALUES ($1)", &[&body]).await?;
            Ok(true)
        };
        let is_expected = append.await.map_err(|error: tokio_postgres::Error| store_error(&error))?;
        transaction.commit().await?;
        Ok(is_expected)
    }

    async fn load_activations(&self) -> Result<Vec<Activation>, StoreError> {
        let rows = self.query("SELECT body FROM activation ORDER BY number", &[]).await?;
        rows.iter().map(|row| decode_activation(column(row, 0)?)).collect()
    }

    async fn put_model(&self, model: &StoredModel) -> Result<bool, StoreError> {
        let generation = u64::try_from(GENERATION).unwrap_or(1);
        let pointer = encode_model_pointer(&ModelPointer::to_artifact(model.version, generation, &model.bytes))?;
        let transaction = self.connections.begin().await?;
        let client = transaction.client();
        // First, because it makes two writers wait for each other.
        publish(client, MODEL).await.map_err(|error| store_error(&error))?;
        let stored = client.query_opt("SELECT bytes FROM meta WHERE name = 'model'", &[]).await;
        let stored = stored.map_err(|error| store_error(&error))?;
        let stored = stored.map(|row| decode_model_pointer(column(&row, 0)?)).transpose()?;
        if stored.is_some_and(|stored| stored.version >= model.version) {
            transaction.roll_back().await?;
            return Ok(false);
        }
        let put = async {
            client.execute(PUT_POINTER, &[&pointer]).await?;
            client.execute("DELETE FROM model_chunk", &[]).await?;
            let statement = client.prepare_cached(INSERT_CHUNK).await?;
            for (index, chunk) in (0_i32..).zip(model.bytes.chunks(CHUNK_BYTES)) {
                client.execute(&statement, &[&GENERATION, &index, &encode_model_chunk(chunk)]).await?;
            }
            Ok(())
        };
        put.await.map_err(|error: tokio_postgres::Error| store_error(&error))?;
        transaction.commit().await?;
        Ok(true)
    }

    async fn put_training_marker(&self, marker: Option<TrainingMarker>) -> Result<(), StoreError> {
        match marker {
            Some(marker) => {
                let bytes = encode_training_marker(&marker)?;
                let statement = "INSERT INTO meta (name, bytes) VALUES ('training_marker', $1) ON CONFLICT (name) \
                                 DO UPDATE SET bytes = EXCLUDED.bytes";
                self.execute(statement, &[&bytes]).await?;
            }
            None => {
                self.execute("DELETE FROM meta WHERE name = 'training_marker'", &[]).await?;
            }
        }
        Ok(())
    }

    async fn load_training_marker(&self) -> Result<Option<TrainingMarker>, StoreError> {
        let rows = self.query("SELECT bytes FROM meta WHERE name = 'training_marker'", &[]).await?;
        rows.first().map(|row| decode_training_marker(column(row, 0)?)).transpose()
    }

    async fn load_model(&self) -> Result<Option<StoredModel>, StoreError> {
        let rows = self.query(LOAD_MODEL, &[]).await?;
        let Some(first) = rows.first() else { return Ok(None) };
        let pointer = decode_model_pointer(column(first, 0)?)?;
        let mut bytes = Vec::new();
        for row in &rows {
            if let Some(chunk) = column::<Option<&[u8]>>(row, 1)? {
                bytes.extend_from_slice(decode_model_chunk(chunk)?);
            }
        }
        if !pointer.is_of(&bytes) {
            let detail = "the artifact does not match its checksum".to_owned();
            return Err(StoreError::Damaged { what: "model", detail });
        }
        Ok(Some(StoredModel { version: pointer.version, bytes }))
    }
}
