//! Policies, activations and models in memory.

use super::store::MemoryStore;
use crate::store::contract::error::StoreError;
use crate::store::contract::policies_and_models::PolicyAndModelStore;
use crate::store::contract::stored_model::{StoredModel, TrainingMarker};
use crate::store::contract::stored_policy::{Activation, StoredPolicy};
use async_trait::async_trait;

#[async_trait]
impl PolicyAndModelStore for MemoryStore {
    async fn put_policy(&self, policy: &StoredPolicy) -> Result<bool, StoreError> {
        let mut contents = self.contents();
        let is_new = !contents.policies.contains_key(&policy.version);
        if is_new {
            contents.policies.insert(policy.version.clone(), policy.clone());
        }
        Ok(is_new)
    }

    async fn load_policies(&self) -> Result<Vec<StoredPolicy>, StoreError> {
        Ok(self.contents().policies.values().cloned().collect())
    }

    async fn append_activation(&self, activation: &Activation, expected: u64) -> Result<bool, StoreError> {
        let mut contents = self.contents();
        let is_expected = contents.policy_number() == expected;
        if is_expected {
            contents.activations.push(activation.clone());
        }
        Ok(is_expected)
    }

    async fn load_activations(&self) -> Result<Vec<Activation>, StoreError> {
        Ok(self.contents().activations.clone())
    }

    async fn put_model(&self, model: &StoredModel) -> Result<bool, StoreError> {
        let mut contents = self.contents();
        let is_newer = contents.model.as_ref().is_none_or(|stored| stored.version < model.version);
        if is_newer {
            contents.model = Some(model.clone());
        }
        Ok(is_newer)
    }

    async fn put_training_marker(&self, marker: Option<TrainingMarker>) -> Result<(), StoreError> {
        self.contents().training_marker = marker;
        Ok(())
    }

    async fn load_training_marker(&self) -> Result<Option<TrainingMarker>, StoreError> {
        Ok(self.contents().training_marker)
    }

    async fn load_model(&self) -> Result<Option<StoredModel>, StoreError> {
        Ok(self.contents().model.clone())
    }
}
