//! Keeps profiles and consents.

use std::collections::BTreeMap;

use super::commit::{ATTEMPTS_MAX, Attempt, commit, load_or_unknown};
use super::recorded::{Recorded, Rejection};
use super::tactful::Tactful;
use crate::domain::customer::{Consents, Customer};
use crate::domain::ids::CustomerId;
use crate::store::contract::{Appended, StoreError, Versioned};

/// A profile to be set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProfileUpdate {
    /// Whose.
    pub customer: CustomerId,
    /// Replaces all attributes when not empty.
    pub attributes: BTreeMap<String, String>,
    /// Replaces the consents; `None`: they stay.
    pub consents: Option<Consents>,
}

/// Sets profiles, durable when it returns. One result an update, in order.
pub async fn upsert_customers(tactful: &Tactful, updates: &[ProfileUpdate]) -> Result<Vec<Recorded>, StoreError> {
    let mut results = Vec::with_capacity(updates.len());
    for update in updates {
        results.push(upsert_customer(tactful, update).await?);
    }
    tactful.store.durable().await?;
    Ok(results)
}

async fn upsert_customer(tactful: &Tactful, update: &ProfileUpdate) -> Result<Recorded, StoreError> {
    let ProfileUpdate { customer: id, attributes, consents } = update;
    for _ in 0..ATTEMPTS_MAX {
        let Versioned { version, value: before } = load_or_unknown(tactful.store.as_ref(), id).await?;
        let mut customer = before.clone();
        if !attributes.is_empty() {
            customer.attributes.clone_from(attributes);
        }
        if let Some(consents) = consents {
            customer.consents = consents.clone();
        }
        if version > 0 && customer == before {
            return Ok(Recorded::Duplicate);
        }
        match commit(tactful.store.as_ref(), version, &mut customer, &Appended::default()).await? {
            Attempt::Committed => {
                if customer.consents.objects_to_profiling {
                    tactful.store.forget_prepared(id).await?;
                }
                return Ok(Recorded::New);
            }
            Attempt::Conflict => {}
            Attempt::Erased => return Ok(Recorded::Rejected(Rejection::CustomerErased)),
            Attempt::Full => return Ok(Recorded::Rejected(Rejection::CustomerFull)),
        }
    }
    Ok(Recorded::Rejected(Rejection::Contended))
}

/// What is kept of a customer.
pub async fn get_customer(tactful: &Tactful, customer: &CustomerId) -> Result<Option<Customer>, StoreError> {
    Ok(tactful.store.load_customer(customer).await?.map(|loaded| loaded.value))
}
