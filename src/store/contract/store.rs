//! The whole store.

use async_trait::async_trait;

use super::catalog::CatalogStore;
use super::customers::CustomerStore;
use super::error::StoreError;
use super::maintenance::MaintenanceStore;
use super::policies_and_models::PolicyAndModelStore;
use super::shared::SharedStore;

/// A store: all that a backend implements, with its lifecycle. The composition root opens a backend and passes it on as this.
///
/// Reads see every commit that returned before they started. All methods may be called from async tasks.
#[async_trait]
pub trait Store: CustomerStore + CatalogStore + PolicyAndModelStore + MaintenanceStore {
    /// Returns when everything that this process committed before the call is durable. For an answer that rests on what was only
    /// read, see [`CustomerStore::confirm`].
    async fn durable(&self) -> Result<(), StoreError>;

    /// Returns the coordination with other processes that use the store; `None` when this process has the store to itself.
    fn shared(&self) -> Option<&dyn SharedStore> {
        None
    }

    /// Resolves with the cause once the store has failed for good; never for a store that cannot fail.
    async fn failed(&self) -> StoreError;

    /// Makes everything durable and releases what the backend holds. Later calls may fail.
    async fn close(&self) -> Result<(), StoreError>;
}
