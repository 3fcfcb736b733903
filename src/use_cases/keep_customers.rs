//! Keeps profiles and consents.

use std::collections::BTreeMap;

use super::app::App;
use super::commit::{ATTEMPTS_MAX, Attempt, commit, load_or_unknown};
use super::recorded::{Recorded, Rejection};
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
pub async fn upsert_customers(app: &App, updates: &[ProfileUpdate]) -> Result<Vec<Recorded>, StoreError> {
    let mut results = Vec::with_capacity(updates.len());
    for update in updates {
        results.push(upsert_customer(app, update).await?);
    }
    app.store.durable().await?;
    Ok(results)
}

async fn upsert_customer(app: &App, update: &ProfileUpdate) -> Result<Recorded, StoreError> {
    let ProfileUpdate { customer: id, attributes, consents } = update;
    for _ in 0..ATTEMPTS_MAX {
        let Versioned { version, value: before } = load_or_unknown(app.store.as_ref(), id).await?;
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
        match commit(app.store.as_ref(), version, &mut customer, &Appended::default()).await? {
            Attempt::Committed => {
                if customer.consents.objects_to_profiling {
                    app.store.delete_cached_ranking(id).await?;
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
pub async fn get_customer(app: &App, customer: &CustomerId) -> Result<Option<Customer>, StoreError> {
    Ok(app.store.load_customer(customer).await?.map(|loaded| loaded.value))
}
