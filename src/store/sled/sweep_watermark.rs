//! The time before which events may have been removed by the retention sweep: in `meta`, and in memory for readers.

use std::sync::{PoisonError, RwLock};

use sled::Tree;

use super::trees::SWEEP_WATERMARK_KEY;
use crate::domain::time::Timestamp;
use crate::store::codec::sweep_watermark::{decode_sweep_watermark, encode_sweep_watermark};
use crate::store::contract::error::StoreError;

/// Time before which events may have been removed; `None` when none ever was.
pub(super) struct SweepWatermark(RwLock<Option<Timestamp>>);

impl SweepWatermark {
    /// Reads the stored watermark.
    pub fn open(meta: &Tree) -> Result<Self, StoreError> {
        let bytes = meta.get(SWEEP_WATERMARK_KEY);
        let bytes = bytes.map_err(|error| StoreError::Failed { detail: error.to_string() })?;
        let stored = bytes.map(|bytes| decode_sweep_watermark(&bytes)).transpose()?;
        Ok(Self(RwLock::new(stored)))
    }

    pub fn read(&self) -> Option<Timestamp> {
        *self.0.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the value to store before events of before this time are removed; `None` when the watermark is not earlier.
    pub fn advance(&self, before: Timestamp) -> Result<Option<Vec<u8>>, StoreError> {
        let mut stored = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if *stored >= Some(before) {
            return Ok(None);
        }
        *stored = Some(before);
        encode_sweep_watermark(before).map(Some)
    }
}
