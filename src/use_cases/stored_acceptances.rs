//! Acceptance counts as a shared store keeps them.

use crate::model::acceptances::Acceptances;
use crate::model::acceptances_artifact;
use crate::store::contract::error::StoreError;
use crate::store::contract::store::Store;

/// Loads the acceptance counts of a shared store. Counts that this version cannot read are ignored: the next count replaces
/// them.
pub(super) async fn load_stored_acceptances(store: &dyn Store) -> Result<Option<Acceptances>, StoreError> {
    let Some(shared) = store.shared() else { return Ok(None) };
    let Some(bytes) = shared.load_acceptances().await? else { return Ok(None) };
    match acceptances_artifact::decode(&bytes) {
        Ok(counts) => Ok(Some(counts)),
        Err(error) => {
            tracing::warn!(%error, "stored acceptance counts are ignored");
            Ok(None)
        }
    }
}
