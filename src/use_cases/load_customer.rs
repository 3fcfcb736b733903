//! Loads a customer for a use case, whether or not one is stored.

use crate::domain::customer::Customer;
use crate::domain::ids::CustomerId;
use crate::store::contract::error::StoreError;
use crate::store::contract::store::Store;
use crate::store::contract::versioned::Versioned;

/// Loads a customer. An id that is not stored yields an unknown customer at version 0, opted out of offers if it was
/// erased.
pub(super) async fn load_or_unknown(store: &dyn Store, id: &CustomerId) -> Result<Versioned<Customer>, StoreError> {
    if let Some(loaded) = store.load_customer(id).await? {
        return Ok(loaded);
    }
    let mut customer = Customer::unknown(id.clone());
    customer.consents.is_opted_out = store.load_erasure(id).await?.is_some();
    Ok(Versioned { version: 0, value: customer })
}
