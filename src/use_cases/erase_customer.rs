//! Erases a customer.

use super::app::App;
use crate::domain::ids::CustomerId;
use crate::store::contract::erasure::{ErasedRecords, Erasure};
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
    let at = app.now();
    let erased = app.store.erase_customer(customer, at).await?;
    app.store.durable().await?;
    let erasure = app.store.load_erasure(customer).await?;
    Ok(ErasedCustomer { erased, erasure: erasure.unwrap_or(Erasure { at, was_opted_out: false }) })
}
