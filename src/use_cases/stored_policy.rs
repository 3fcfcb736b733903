//! Policies as the store keeps them: a document for each version, and the activations in order.

use crate::domain::policy::Policy;
use crate::policy_document::parse_policy::parse_policy;
use crate::store::contract::error::StoreError;
use crate::store::contract::store::Store;
use crate::store::contract::stored_policy::Activation;

/// Parses a stored document.
pub(super) fn read_stored_policy(version: &str, text: &str) -> Result<Policy, StoreError> {
    parse_policy(text).map_err(|faults| StoreError::Damaged { what: "policy", detail: format!("{version}: {faults}") })
}

/// Loads the policy that was activated last, with its number; `None` when none ever was.
pub(super) async fn load_active_policy(store: &dyn Store) -> Result<Option<(Policy, u64)>, StoreError> {
    let mut activations = store.load_activations().await?;
    let number = activations.len() as u64;
    let Some(Activation { policy: version, at: _, is_roll_back: _ }) = activations.pop() else {
        return Ok(None);
    };
    let stored = store.load_policies().await?.into_iter().find(|stored| stored.version == version);
    match stored {
        Some(stored) => Ok(Some((read_stored_policy(&version, &stored.text)?, number))),
        None if version == Policy::default().version => Ok(Some((Policy::default(), number))),
        None => {
            let detail = format!("active version {version} is missing");
            Err(StoreError::Damaged { what: "policy", detail })
        }
    }
}
