//! A model as it lies in chunks: the chunks, and the pointer that makes one model the current one.
//!
//! The artifact is opaque here; its own format is the business of `model`.

use serde::{Deserialize, Serialize};

use super::frame;
use crate::store::contract::StoreError;

const VERSION: u8 = 1;
const WHAT: &str = "model";

/// The bytes of an artifact in one chunk. So small that a leaf of sled full of chunks stays inside its log; larger
/// leaves go to files of their own, which cost more to make durable.
pub const CHUNK_BYTES: usize = 24 * 1024;

/// What is known of a stored model without reading its chunks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModelPointer {
    /// The model's version.
    pub version: u64,
    /// Names the chunks. Each write has its own, so that no write touches the chunks of the model it replaces.
    pub generation: u64,
    /// The bytes of the artifact.
    pub bytes: u64,
    /// The CRC-32 of the artifact.
    pub checksum: u32,
}

impl ModelPointer {
    /// The pointer to this artifact.
    pub fn to_artifact(version: u64, generation: u64, artifact: &[u8]) -> Self {
        Self { version, generation, bytes: artifact.len() as u64, checksum: crc32fast::hash(artifact) }
    }

    /// True when this is the artifact that the pointer was made for.
    pub fn is_of(&self, artifact: &[u8]) -> bool {
        *self == Self::to_artifact(self.version, self.generation, artifact)
    }
}

/// Writes a pointer.
pub fn encode_model_pointer(pointer: &ModelPointer) -> Result<Vec<u8>, StoreError> {
    let ModelPointer { version, generation, bytes, checksum } = pointer;
    let stored = StoredPointer { version: *version, generation: *generation, bytes: *bytes, checksum: *checksum };
    frame::encode(VERSION, &stored).map_err(|unfit| unfit.of(WHAT))
}

/// Reads a pointer.
pub fn decode_model_pointer(bytes: &[u8]) -> Result<ModelPointer, StoreError> {
    let StoredPointer { version, generation, bytes, checksum } =
        frame::decode(VERSION, bytes).map_err(|unfit| unfit.of(WHAT))?;
    Ok(ModelPointer { version, generation, bytes, checksum })
}

/// Writes a chunk.
pub fn encode_model_chunk(chunk: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(chunk.len() + 1 + frame::CHECKSUM_BYTES);
    bytes.push(VERSION);
    bytes.extend_from_slice(chunk);
    frame::seal(bytes)
}

/// Reads a chunk.
pub fn decode_model_chunk(bytes: &[u8]) -> Result<&[u8], StoreError> {
    frame::open(VERSION, bytes).map_err(|unfit| unfit.of(WHAT))
}

#[derive(Serialize, Deserialize)]
struct StoredPointer {
    version: u64,
    generation: u64,
    bytes: u64,
    checksum: u32,
}
