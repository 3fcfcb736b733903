//! Erases a customer.

use super::app::App;
use crate::domain::ids::CustomerId;
use crate::store::contract::erasure::{ErasedRecords, Erasure, ErasureResult};
use crate::store::contract::error::StoreError;

/// Result of an erasure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ErasedCustomer {
    /// Number of records removed by this call; 0 when the customer was erased before.
    pub erased: ErasedRecords,
    /// The tombstone that stays beside the keyed hash of the id.
    pub erasure: Erasure,
}

/// Erases a customer; durable when it returns. An unknown customer is erased as well: the id is blocked from now on.
pub async fn erase_customer(app: &App, customer: &CustomerId) -> Result<ErasedCustomer, StoreError> {
    let ErasureResult { removed, erasure } = app.store.erase_customer(customer, app.now()).await?;
    app.store.durable().await?;
    Ok(ErasedCustomer { erased: removed, erasure })
}
