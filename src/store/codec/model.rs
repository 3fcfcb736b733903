//! A model artifact in chunks, and the pointer that makes one artifact the current one.
//!
//! The artifact is opaque here; `model` owns its format.

use serde::{Deserialize, Serialize};

use super::frame;
use crate::store::contract::error::StoreError;

const VERSION: u8 = 1;
const RECORD: &str = "model";

/// Bytes of an artifact in one chunk. Small enough for a sled leaf full of chunks to stay inside the log; larger leaves go
/// to files of their own, which cost more to make durable.
pub const CHUNK_BYTES: usize = 24 * 1024;

/// The current model's version, size and checksum, readable without its chunks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModelPointer {
    /// The model's version.
    pub version: u64,
    /// Prefix of the keys of its chunks. Each write has its own, so that no write touches the chunks of the model it replaces.
    pub generation: u64,
    /// Length of the artifact, in bytes.
    pub bytes: u64,
    /// The CRC-32 of the artifact.
    pub checksum: u32,
}

impl ModelPointer {
    /// Builds the pointer to an artifact.
    pub fn to_artifact(version: u64, generation: u64, artifact: &[u8]) -> Self {
        Self { version, generation, bytes: artifact.len() as u64, checksum: crc32fast::hash(artifact) }
    }

    /// Whether length and checksum are those of this artifact.
    pub fn is_of(&self, artifact: &[u8]) -> bool {
        *self == Self::to_artifact(self.version, self.generation, artifact)
    }
}

/// Encodes a pointer.
pub fn encode_model_pointer(pointer: &ModelPointer) -> Result<Vec<u8>, StoreError> {
    let ModelPointer { version, generation, bytes, checksum } = pointer;
    let stored =
        StoredModelPointerV1 { version: *version, generation: *generation, bytes: *bytes, checksum: *checksum };
    frame::encode(VERSION, &stored).map_err(|error| error.into_store_error(RECORD))
}

/// Decodes a pointer.
pub fn decode_model_pointer(bytes: &[u8]) -> Result<ModelPointer, StoreError> {
    let StoredModelPointerV1 { version, generation, bytes, checksum } =
        frame::decode(VERSION, bytes).map_err(|error| error.into_store_error(RECORD))?;
    Ok(ModelPointer { version, generation, bytes, checksum })
}

/// Encodes a chunk.
pub fn encode_model_chunk(chunk: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(chunk.len() + 1 + frame::CHECKSUM_BYTES);
    bytes.push(VERSION);
    bytes.extend_from_slice(chunk);
    frame::append_checksum(bytes)
}

/// Decodes a chunk.
pub fn decode_model_chunk(bytes: &[u8]) -> Result<&[u8], StoreError> {
    frame::check(VERSION, bytes).map_err(|error| error.into_store_error(RECORD))
}

#[derive(Serialize, Deserialize)]
struct StoredModelPointerV1 {
    version: u64,
    generation: u64,
    bytes: u64,
    checksum: u32,
}
