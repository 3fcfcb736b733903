//! The marker of a training in progress.

use serde::{Deserialize, Serialize};

use super::frame;
use super::scalar::timestamp;
use crate::store::contract::error::StoreError;
use crate::store::contract::stored_model::TrainingMarker;

const VERSION: u8 = 1;
const RECORD: &str = "training marker";

#[derive(Serialize, Deserialize)]
struct StoredTrainingMarkerV1 {
    started_at: i64,
    attempts: u32,
}

/// Encodes a marker.
pub fn encode_training_marker(marker: &TrainingMarker) -> Result<Vec<u8>, StoreError> {
    let TrainingMarker { started_at, attempts } = marker;
    let stored = StoredTrainingMarkerV1 { started_at: started_at.unix_ms(), attempts: *attempts };
    frame::encode(VERSION, &stored).map_err(|error| error.into_store_error(RECORD))
}

/// Decodes a marker.
pub fn decode_training_marker(bytes: &[u8]) -> Result<TrainingMarker, StoreError> {
    frame::decode::<StoredTrainingMarkerV1>(VERSION, bytes)
        .and_then(|StoredTrainingMarkerV1 { started_at, attempts }| {
            Ok(TrainingMarker { started_at: timestamp(started_at)?, attempts })
        })
        .map_err(|error| error.into_store_error(RECORD))
}
