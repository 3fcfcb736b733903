//! A model as the store sees it, and the marker of a training.

use crate::domain::time::Timestamp;

/// A stored model: the artifact is opaque to the store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredModel {
    /// Number of the model: 1 for the first, one more with each training.
    pub version: u64,
    /// The encoded artifact.
    pub bytes: Vec<u8>,
}

/// Marker of a training in progress. It stays when the process dies during it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TrainingMarker {
    /// Start of the training.
    pub started_at: Timestamp,
    /// Number of trainings in a row that did not end, this one included.
    pub attempts: u32,
}
