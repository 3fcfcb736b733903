//! Policies and their activations. Policies are created and never changed; activations are numbered and never removed.

use std::sync::Arc;

use super::engine::SledEngine;
use super::scan::blocking;
use crate::store::codec::policy::{decode_activation, decode_policy, encode_activation, encode_policy};
use crate::store::contract::error::StoreError;
use crate::store::contract::stored_policy::{Activation, StoredPolicy};

impl SledEngine {
    /// Writes a policy unless one with its name is stored.
    pub async fn put_policy(self: &Arc<Self>, policy: &StoredPolicy) -> Result<bool, StoreError> {
        let (key, bytes) = (policy.version.clone(), encode_policy(policy)?);
        blocking(self, move |engine| {
            let _write = engine.committer.begin_write();
            let swapped = engine.trees.policies.compare_and_swap(key, None::<&[u8]>, Some(bytes));
            Ok(engine.check(swapped)?.is_ok())
        })
        .await
    }

    pub async fn load_policies(self: &Arc<Self>) -> Result<Vec<StoredPolicy>, StoreError> {
        blocking(self, |engine| {
            let values = engine.trees.policies.iter().values();
            values.map(|bytes| decode_policy(&engine.check(bytes)?)).collect()
        })
        .await
    }

    /// Appends an activation under the next number, unless another one has it.
    pub async fn append_activation(
        self: &Arc<Self>,
        activation: &Activation,
        expected: u64,
    ) -> Result<bool, StoreError> {
        let bytes = encode_activation(activation)?;
        blocking(self, move |engine| {
            let _write = engine.committer.begin_write();
            if engine.policy_number()? != expected {
                return Ok(false);
            }
            let key = (expected + 1).to_be_bytes();
            let swapped = engine.trees.activations.compare_and_swap(key, None::<&[u8]>, Some(bytes));
            Ok(engine.check(swapped)?.is_ok())
        })
        .await
    }

    /// Number of the policy in force: that of the last activation.
    pub fn policy_number(&self) -> Result<u64, StoreError> {
        let last = self.check(self.trees.activations.last())?;
        Ok(last.and_then(|(key, _)| key.first_chunk().copied()).map_or(0, u64::from_be_bytes))
    }

    pub async fn load_activations(self: &Arc<Self>) -> Result<Vec<Activation>, StoreError> {
        blocking(self, |engine| {
            let values = engine.trees.activations.iter().values();
            values.map(|bytes| decode_activation(&engine.check(bytes)?)).collect()
        })
        .await
    }
}
