//! Loads a customer for a use case, whether or not one is stored, under any of its ids.

use crate::domain::customer::Customer;
use crate::domain::decision::Decision;
use crate::domain::ids::{CustomerId, DecisionId};
use crate::domain::merge::MEMBERS_MAX;
use crate::store::contract::error::StoreError;
use crate::store::contract::loaded_customer::LoadedCustomer;
use crate::store::contract::store::Store;
use crate::store::contract::versioned::Versioned;

/// Number of times an id is followed anew, because an unmerge changed the customer meanwhile.
const LOOKUPS_MAX: usize = 16;

/// Loads the customer of whom this id is a name. Returns the id under which the customer is stored, which is never an alias.
pub(super) async fn load_by_any_id(
    store: &dyn Store,
    id: &CustomerId,
) -> Result<(CustomerId, LoadedCustomer), StoreError> {
    for _ in 0..LOOKUPS_MAX {
        let mut followed = id.clone();
        for _ in 0..MEMBERS_MAX {
            let loaded = store.load_customer(&followed).await?;
            let LoadedCustomer::Stored(customer) = &loaded else { return Ok((followed, loaded)) };
            let merge = &customer.value.merge;
            match merge.alias_of() {
                Some(into) => followed = into.clone(),
                None if followed == *id || merge.members.contains(id) => return Ok((followed, loaded)),
                // Split off since the alias was read.
                None => break,
            }
        }
    }
    Err(StoreError::Damaged { what: "alias", detail: "it leads to no customer that lists it".to_owned() })
}

/// Loads a customer by any of its ids. An id that is not stored yields an unknown customer at version 0, opted out of offers
/// if it was erased.
pub(super) async fn load_or_unknown(store: &dyn Store, id: &CustomerId) -> Result<Versioned<Customer>, StoreError> {
    let (id, loaded) = load_by_any_id(store, id).await?;
    let is_erased = match loaded {
        LoadedCustomer::Stored(customer) => return Ok(customer),
        LoadedCustomer::Unknown => false,
        LoadedCustomer::Erased(_) => true,
    };
    let mut customer = Customer::unknown(id);
    customer.consents.is_opted_out = is_erased;
    Ok(Versioned { version: 0, value: customer })
}

/// Loads a decision about a customer, made under any of its ids.
pub(super) async fn load_decision(
    store: &dyn Store,
    customer: &CustomerId,
    decision: DecisionId,
) -> Result<Option<Decision>, StoreError> {
    if let Some(found) = store.load_decision(customer, decision).await? {
        return Ok(Some(found));
    }
    match load_by_any_id(store, customer).await?.1.stored() {
        Some(stored) if stored.value.id != *customer || !stored.value.merge.members.is_empty() => {
            load_decision_of(store, &stored.value, decision).await
        }
        Some(_) | None => Ok(None),
    }
}

/// Loads a decision about a customer who was loaded, made under any of its ids.
pub(super) async fn load_decision_of(
    store: &dyn Store,
    customer: &Customer,
    decision: DecisionId,
) -> Result<Option<Decision>, StoreError> {
    for id in std::iter::once(&customer.id).chain(&customer.merge.members) {
        if let Some(found) = store.load_decision(id, decision).await? {
            return Ok(Some(found));
        }
    }
    Ok(None)
}
