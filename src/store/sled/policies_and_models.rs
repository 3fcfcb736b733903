//! Policies, activations and models: the store contract implemented on sled.

use super::store::SledStore;
use crate::store::contract::error::StoreError;
use crate::store::contract::policies_and_models::PolicyAndModelStore;
use crate::store::contract::stored_model::{StoredModel, TrainingMarker};
use crate::store::contract::stored_policy::{Activation, StoredPolicy};
use async_trait::async_trait;

#[async_trait]
impl PolicyAndModelStore for SledStore {
    async fn put_policy(&self, policy: &StoredPolicy) -> Result<bool, StoreError> {
        self.engine()?.put_policy(policy).await
    }

    async fn load_policies(&self) -> Result<Vec<StoredPolicy>, StoreError> {
        self.engine()?.load_policies().await
    }

    async fn append_activation(&self, activation: &Activation, expected: u64) -> Result<bool, StoreError> {
        self.engine()?.append_activation(activation, expected).await
    }

    async fn load_activations(&self) -> Result<Vec<Activation>, StoreError> {
        self.engine()?.load_activations().await
    }

    async fn put_model(&self, model: &StoredModel) -> Result<bool, StoreError> {
        self.engine()?.put_model(model).await
    }

    async fn put_training_marker(&self, marker: Option<TrainingMarker>) -> Result<(), StoreError> {
        self.engine()?.put_training_marker(marker).await
    }

    async fn load_training_marker(&self) -> Result<Option<TrainingMarker>, StoreError> {
        self.engine()?.load_training_marker()
    }

    async fn load_model(&self) -> Result<Option<StoredModel>, StoreError> {
        self.engine()?.load_model().await
    }
}
