//! Loads a customer for a use case, whether or not one is stored.

use crate::domain::cached_ranking::CachedRanking;
use crate::domain::customer::Customer;
use crate::domain::ids::CustomerId;
use crate::store::contract::error::StoreError;
use crate::store::contract::loaded_customer::LoadedCustomer;
use crate::store::contract::store::Store;
use crate::store::contract::versioned::Versioned;

/// Loads a customer. An id that is not stored yields an unknown customer at version 0, opted out of offers if it was
/// erased.
pub(super) async fn load_or_unknown(store: &dyn Store, id: &CustomerId) -> Result<Versioned<Customer>, StoreError> {
    Ok(stored_or_unknown(id, store.load_customer(id).await?).0)
}

/// Loads a customer as [`load_or_unknown`] does, and its cached ranking, if there is one.
pub(super) async fn load_with_ranking(
    store: &dyn Store,
    id: &CustomerId,
) -> Result<(Versioned<Customer>, Option<CachedRanking>), StoreError> {
    Ok(stored_or_unknown(id, store.load_customer_with_ranking(id).await?))
}

fn stored_or_unknown(id: &CustomerId, loaded: LoadedCustomer) -> (Versioned<Customer>, Option<CachedRanking>) {
    let is_erased = match loaded {
        LoadedCustomer::Stored { customer, cached_ranking } => return (customer, cached_ranking),
        LoadedCustomer::Unknown => false,
        LoadedCustomer::Erased(_) => true,
    };
    let mut customer = Customer::unknown(id.clone());
    customer.consents.is_opted_out = is_erased;
    (Versioned { version: 0, value: customer }, None)
}
