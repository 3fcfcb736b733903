//! Policies, their activations, and models.

use async_trait::async_trait;

use super::error::StoreError;
use super::stored_model::{StoredModel, TrainingMarker};
use super::stored_policy::{Activation, StoredPolicy};

/// Versions of the policy and of the model.
#[async_trait]
pub trait PolicyAndModelStore: Send + Sync + 'static {
    /// Writes a policy unless one with its name is stored; false when one is.
    async fn put_policy(&self, policy: &StoredPolicy) -> Result<bool, StoreError>;

    /// Reads all policies, ordered by name.
    async fn load_policies(&self) -> Result<Vec<StoredPolicy>, StoreError>;

    /// Appends an activation to those that were there, of the given number; false when others were appended meanwhile. The
    /// policy in force is that of the last activation, and the number of activations is its number: a commit that names
    /// another one does not take place from now on.
    async fn append_activation(&self, activation: &Activation, expected: u64) -> Result<bool, StoreError>;

    /// Reads all activations in the order in which they were appended.
    async fn load_activations(&self) -> Result<Vec<Activation>, StoreError>;

    /// Writes a model and makes it the current one, atomically; false when a model of its version or a later one is stored.
    /// Older models may be removed.
    async fn put_model(&self, model: &StoredModel) -> Result<bool, StoreError>;

    /// Stores the marker of a training in progress, or removes it. Backups do not contain it.
    async fn put_training_marker(&self, marker: Option<TrainingMarker>) -> Result<(), StoreError>;

    /// Reads the marker of a training in progress.
    async fn load_training_marker(&self) -> Result<Option<TrainingMarker>, StoreError>;

    /// Reads the current model.
    async fn load_model(&self) -> Result<Option<StoredModel>, StoreError>;
}
