//! A model as the store sees it.

/// A stored model: the artifact is opaque to the store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredModel {
    /// Number of the model: 1 for the first, one more with each training.
    pub version: u64,
    /// The encoded artifact.
    pub bytes: Vec<u8>,
}
