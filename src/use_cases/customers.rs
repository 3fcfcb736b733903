//! Profiles and consents of customers.

use std::collections::BTreeMap;

use super::app::App;
use super::batch_entry::EntryOutcome;
use super::change_customer::{ChangeError, CustomerChange, change_customer};
use super::load_customer::load_by_any_id;
use crate::decision::grants;
use crate::domain::customer::{Consents, Customer};
use crate::domain::ids::CustomerId;
use crate::domain::ledger::Grant;
use crate::domain::time::Timestamp;
use crate::store::contract::error::StoreError;
use crate::store::contract::versioned::Versioned;

/// Update of a customer's profile and consents.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProfileUpdate {
    /// Customer to update; created when not stored.
    pub customer: CustomerId,
    /// New attributes, replacing all of the present ones; empty leaves them.
    pub attributes: BTreeMap<String, String>,
    /// Change of the consents; `None` leaves them.
    pub consents: Option<ConsentsChange>,
}

/// Change of a customer's consents.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ConsentsChange {
    /// They become these.
    Replace(Consents),
    /// These are added to the present ones, and none is cleared.
    Add(Consents),
}

/// Updates profiles, and returns when they are durable. Returns one outcome per update, in order.
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
        match consents {
            Some(ConsentsChange::Replace(consents)) => customer.consents = consents.clone(),
            Some(ConsentsChange::Add(consents)) => customer.consents.add(consents.clone()),
            None => {}
        }
        if version > 0 && customer == before {
            return Ok(CustomerChange::Unchanged { customer, result: EntryOutcome::Duplicate });
        }
        Ok(CustomerChange::Commit { customer, events: Vec::new(), result: EntryOutcome::New })
    });
    match changed.await {
        Ok((customer, recorded)) => {
            if recorded == EntryOutcome::New && customer.consents.objects_to_profiling {
                app.store.delete_cached_ranking(&customer.id).await?;
            }
            Ok(recorded)
        }
        Err(ChangeError::Rejected(rejection)) => Ok(EntryOutcome::Rejected(rejection.into())),
        Err(ChangeError::Store(error)) => Err(error),
    }
}

/// A customer as stored, with the offers that count against a cap.
#[derive(Debug, Clone, PartialEq)]
pub struct CustomerView {
    /// The customer.
    pub customer: Customer,
    /// Grants that count now, each with the end of the time in which it is open.
    pub granted_offers: Vec<(Grant, Timestamp)>,
}

/// Returns a customer as stored, by any of its ids; `None` when nothing is stored under the id.
pub async fn get_customer(app: &App, customer: &CustomerId) -> Result<Option<CustomerView>, StoreError> {
    let Some(stored) = load_by_any_id(app.store.as_ref(), customer).await?.1.stored() else { return Ok(None) };
    let customer = stored.value;
    let (snapshot, now) = (app.snapshot(), customer.ledger.time(app.now()));
    let contact = &snapshot.policy.contact;
    let counting = customer.ledger.grants.iter().filter(|grant| grants::counts(grant, contact, now));
    let granted_offers = counting.map(|grant| (grant.clone(), grants::open_until(grant, contact))).collect();
    Ok(Some(CustomerView { customer, granted_offers }))
}
