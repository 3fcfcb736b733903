//! Loads a customer for a use case, whether or not one is stored.

use crate::domain::customer::Customer;
use crate::domain::ids::CustomerId;
use crate::store::contract::error::StoreError;
use crate::store::contract::loaded_customer::LoadedCustomer;
use crate::store::contract::store::Store;
use crate::store::contract::versioned::Versioned;

/// Loads a customer. An id that is not stored yields an unknown customer at version 0, opted out of offers if it was
/// erased.
pub(super) async fn load_or_unknown(store: &dyn Store, id: &CustomerId) -> Result<Versioned<Customer>, StoreError> {
    let is_erased = match store.load_customer(id).await? {
        LoadedCustomer::Stored(customer) => return Ok(customer),
        LoadedCustomer::Unknown => false,
        LoadedCustomer::Erased(_) => true,
    };
    let mut customer = Customer::unknown(id.clone());
    customer.consents.is_opted_out = is_erased;
    Ok(Versioned { version: 0, value: customer })
}
