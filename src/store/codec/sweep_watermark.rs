//! The time before which events were removed by the retention sweep.

use serde::{Deserialize, Serialize};

use super::frame;
use super::scalar::timestamp;
use crate::domain::time::Timestamp;
use crate::store::contract::error::StoreError;

const VERSION: u8 = 1;
const RECORD: &str = "sweep watermark";

#[derive(Serialize, Deserialize)]
struct StoredSweepWatermarkV1 {
    events_before: i64,
}

/// Encodes the time before which events were removed.
pub fn encode_sweep_watermark(events_before: Timestamp) -> Result<Vec<u8>, StoreError> {
    let stored = StoredSweepWatermarkV1 { events_before: events_before.unix_ms() };
    frame::encode(VERSION, &stored).map_err(|error| error.into_store_error(RECORD))
}

/// Decodes the time before which events were removed.
pub fn decode_sweep_watermark(bytes: &[u8]) -> Result<Timestamp, StoreError> {
    frame::decode::<StoredSweepWatermarkV1>(VERSION, bytes)
        .and_then(|StoredSweepWatermarkV1 { events_before }| timestamp(events_before))
        .map_err(|error| error.into_store_error(RECORD))
}
