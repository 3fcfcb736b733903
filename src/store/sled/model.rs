//! Models, stored in chunks. The chunks are durable before the pointer to them is written, and the pointer is durable before
//! older chunks are removed, so the current model is complete after a crash at any point.

use std::sync::Arc;

use super::engine::SledEngine;
use super::scan::blocking;
use super::trees::{MODEL_KEY, TRAINING_MARKER_KEY};
use crate::store::backup::record::{BackupRecord, RecordKind};
use crate::store::codec::model::{
    CHUNK_BYTES, ModelPointer, decode_model_chunk, decode_model_pointer, encode_model_chunk, encode_model_pointer,
};
use crate::store::codec::training_marker::{decode_training_marker, encode_training_marker};
use crate::store::contract::error::StoreError;
use crate::store::contract::stored_model::{StoredModel, TrainingMarker};
use crate::store::keys::{chunk_generation, chunk_key};

impl SledEngine {
    /// Writes a model and makes it the current one, unless one of its version or a later one is.
    pub async fn put_model(self: &Arc<Self>, model: &StoredModel) -> Result<bool, StoreError> {
        // Two concurrent writers would use the same generation.
        let _lock = self.model_lock.lock().await;
        if self.model_pointer()?.is_some_and(|stored| stored.version >= model.version) {
            return Ok(false);
        }
        let model = model.clone();
        let pointer = blocking(self, move |engine| engine.put_chunks(&model)).await?;
        self.committer.durable().await?;
        let generation = pointer.generation;
        blocking(self, move |engine| engine.put_pointer(&pointer)).await?;
        self.committer.durable().await?;
        blocking(self, move |engine| engine.remove_generations_before(generation.saturating_sub(1))).await?;
        Ok(true)
    }

    /// Reads the current model.
    pub async fn load_model(self: &Arc<Self>) -> Result<Option<StoredModel>, StoreError> {
        blocking(self, |engine| {
            let Some(pointer) = engine.model_pointer()? else { return Ok(None) };
            let bytes = engine.load_artifact(&pointer)?;
            if !pointer.is_of(&bytes) {
                return Err(damaged("the artifact does not match its checksum"));
            }
            Ok(Some(StoredModel { version: pointer.version, bytes }))
        })
        .await
    }

    /// Stores the marker of a training in progress, or removes it.
    pub async fn put_training_marker(self: &Arc<Self>, marker: Option<TrainingMarker>) -> Result<(), StoreError> {
        let value = marker.map(|marker| encode_training_marker(&marker)).transpose()?;
        blocking(self, move |engine| {
            let _write = engine.committer.begin_write();
            let stored = match value {
                Some(value) => engine.trees.meta.insert(TRAINING_MARKER_KEY, value),
                None => engine.trees.meta.remove(TRAINING_MARKER_KEY),
            };
            engine.check(stored).map(drop)
        })
        .await
    }

    /// Reads the marker of a training in progress.
    pub fn load_training_marker(&self) -> Result<Option<TrainingMarker>, StoreError> {
        let bytes = self.check(self.trees.meta.get(TRAINING_MARKER_KEY))?;
        bytes.map(|bytes| decode_training_marker(&bytes)).transpose()
    }

    /// Returns the chunks of the current model, then the pointer to it.
    pub fn model_records(&self) -> Result<Vec<BackupRecord>, StoreError> {
        let Some(bytes) = self.check(self.trees.meta.get(MODEL_KEY))? else { return Ok(Vec::new()) };
        let generation = decode_model_pointer(&bytes)?.generation;
        let mut records = Vec::new();
        for record in self.trees.models.scan_prefix(generation.to_be_bytes()) {
            let (key, value) = self.check(record)?;
            records.push(BackupRecord { kind: RecordKind::ModelChunk, key: key.to_vec(), value: value.to_vec() });
        }
        records.push(BackupRecord { kind: RecordKind::ModelPointer, key: Vec::new(), value: bytes.to_vec() });
        Ok(records)
    }

    fn put_chunks(&self, model: &StoredModel) -> Result<ModelPointer, StoreError> {
        let generation = self.model_pointer()?.map_or(1, |pointer| pointer.generation + 1);
        let _write = self.committer.begin_write();
        for (index, chunk) in (0_u32..).zip(model.bytes.chunks(CHUNK_BYTES)) {
            let put = self.trees.models.insert(chunk_key(generation, index), encode_model_chunk(chunk));
            self.check(put)?;
        }
        Ok(ModelPointer::to_artifact(model.version, generation, &model.bytes))
    }

    fn put_pointer(&self, pointer: &ModelPointer) -> Result<(), StoreError> {
        let _write = self.committer.begin_write();
        self.check(self.trees.meta.insert(MODEL_KEY, encode_model_pointer(pointer)?))?;
        Ok(())
    }

    fn remove_generations_before(&self, first_retained: u64) -> Result<(), StoreError> {
        let _write = self.committer.begin_write();
        for key in self.trees.models.iter().keys() {
            let key = self.check(key)?;
            if chunk_generation(&key).is_none_or(|generation| generation >= first_retained) {
                return Ok(());
            }
            self.check(self.trees.models.remove(key))?;
        }
        Ok(())
    }

    fn model_pointer(&self) -> Result<Option<ModelPointer>, StoreError> {
        let bytes = self.check(self.trees.meta.get(MODEL_KEY))?;
        bytes.map(|bytes| decode_model_pointer(&bytes)).transpose()
    }

    fn load_artifact(&self, pointer: &ModelPointer) -> Result<Vec<u8>, StoreError> {
        let mut bytes = Vec::new();
        for index in 0_u32.. {
            if bytes.len() as u64 >= pointer.bytes {
                break;
            }
            let chunk = self.check(self.trees.models.get(chunk_key(pointer.generation, index)))?;
            let chunk = chunk.ok_or_else(|| damaged("a chunk is missing"))?;
            let content = decode_model_chunk(&chunk)?;
            if content.is_empty() {
                return Err(damaged("a chunk is empty"));
            }
            bytes.extend_from_slice(content);
        }
        Ok(bytes)
    }
}

fn damaged(detail: &str) -> StoreError {
    StoreError::Damaged { what: "model", detail: detail.to_owned() }
}
