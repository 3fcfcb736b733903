//! Keeps profiles and consents.

use std::collections::BTreeMap;

use super::app::App;
use super::batch_entry::EntryOutcome;
use super::change_customer::{ChangeError, CustomerChange, change_customer};
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
pub async fn upsert_customers(app: &App, updates: &[ProfileUpdate]) -> Result<Vec<EntryOutcome>, StoreError> {
    let mut results = Vec::with_capacity(updates.len());
    for update in updates {
        results.push(upsert_customer(app, update).await?);
    }
    app.store.durable().await?;
    Ok(results)
}

async fn upsert_customer(app: &App, update: &ProfileUpdate) -> Result<EntryOutcome, StoreError> {
    let ProfileUpdate { customer: id, attributes, consents } = update;
    let changed = change_customer(app, id, |loaded: Versioned<Customer>| async move {
        let Versioned { version, value: before } = loaded;
        let mut customer = before.clone();
        if !attributes.is_empty() {
            customer.attributes.clone_from(attributes);
        }
        if let Some(consents) = consents {
            customer.consents = consents.clone();
        }
        if version > 0 && customer == before {
            return Ok(CustomerChange::Unchanged { customer, result: EntryOutcome::Duplicate });
        }
        Ok(CustomerChange::Commit { customer, appended: Appended::default(), result: EntryOutcome::New })
    });
    match changed.await {
        Ok((customer, recorded)) => {
            if recorded == EntryOutcome::New && customer.consents.objects_to_profiling {
                app.store.delete_cached_ranking(id).await?;
            }
            Ok(recorded)
        }
        Err(ChangeError::Rejected(rejection)) => Ok(EntryOutcome::Rejected(rejection.into())),
        Err(ChangeError::Store(error)) => Err(error),
    }
}

/// What is kept of a customer.
pub async fn get_customer(app: &App, customer: &CustomerId) -> Result<Option<Customer>, StoreError> {
    Ok(app.store.load_customer(customer).await?.map(|loaded| loaded.value))
}
