//! Erases a customer, and tells all that is held of one.

use super::app::App;
use crate::domain::ids::CustomerId;
use crate::store::contract::customer_export::{HeldPage, HeldPlace};
use crate::store::contract::erasure::{ErasedRecords, Erasure};
use crate::store::contract::error::StoreError;

/// Records of one page of what is held.
const HELD_PAGE_LEN: usize = 64;

/// What was erased, and what stays.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ErasedCustomer {
    /// What was removed now; nothing when the customer was erased before.
    pub erased: ErasedRecords,
    /// What stays beside the keyed hash.
    pub erasure: Erasure,
}

/// Erases a customer, durable when it returns. One who was never stored is erased as well: the id is blocked from now on.
pub async fn erase_customer(app: &App, customer: &CustomerId) -> Result<ErasedCustomer, StoreError> {
    let at = app.now();
    let erased = app.store.erase_customer(customer, at).await?;
    app.store.durable().await?;
    let erasure = app.store.load_erasure(customer).await?;
    Ok(ErasedCustomer { erased, erasure: erasure.unwrap_or(Erasure { at, was_opted_out: false }) })
}

/// All that is held of a customer, a page at a time.
pub struct Held {
    customer: CustomerId,
    next: Option<HeldPlace>,
}

impl Held {
    /// All that is held of this customer.
    pub fn of(customer: CustomerId) -> Self {
        Self { customer, next: Some(HeldPlace::Profile) }
    }

    /// The next records as they are stored, in JSON, never none of them; `None` after the last.
    pub async fn next(&mut self, app: &App) -> Result<Option<Vec<serde_json::Value>>, StoreError> {
        while let Some(place) = self.next.take() {
            let HeldPage { records, next } = app.store.load_held(&self.customer, place, HELD_PAGE_LEN).await?;
            self.next = next;
            if !records.is_empty() {
                return Ok(Some(records));
            }
        }
        Ok(None)
    }
}
