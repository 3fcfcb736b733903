//! Holds: reasons for which a customer receives no offers until they end.

use super::app::App;
use super::change_customer::{ChangeError, CustomerChange, change_customer};
use super::load_customer::load_or_unknown;
use crate::decision::active_holds::active_holds;
use crate::domain::customer::{ActiveHold, Customer, HOLDS_MAX, Hold, HoldReason};
use crate::domain::ids::{CustomerId, HoldId};
use crate::domain::time::Timestamp;
use crate::store::contract::error::StoreError;
use crate::store::contract::versioned::Versioned;

/// Hold to create.
#[derive(Debug, Clone)]
pub struct HoldRequest {
    /// Id of the hold; `None` lets the server generate one.
    pub id: Option<HoldId>,
    /// Reason of the hold.
    pub reason: HoldReason,
    /// Note for the people who manage the customer.
    pub note: String,
    /// Time at which the hold ends; `None` keeps it until it is deleted.
    pub expires_at: Option<Timestamp>,
}

/// Error returned when a hold is created or deleted.
#[derive(Debug, thiserror::Error)]
pub enum HoldError {
    /// The customer has the maximum number of holds.
    #[error("the customer has the maximum number of holds")]
    TooManyHolds,
    /// The customer has no hold with this id.
    #[error("hold not found")]
    NotFound,
    /// The customer could not be changed.
    #[error(transparent)]
    Change(#[from] ChangeError),
}

impl From<StoreError> for HoldError {
    fn from(error: StoreError) -> Self {
        Self::Change(error.into())
    }
}

/// Keeps a hold; one of the same name is replaced.
pub async fn create_hold(app: &App, customer: &CustomerId, request: HoldRequest) -> Result<Hold, HoldError> {
    let HoldRequest { id, reason, note, expires_at } = request;
    let id = id.unwrap_or_else(|| {
        HoldId::new(uuid::Uuid::new_v4().to_string()).expect("a short text without control characters")
    });
    let hold = Hold { id, reason, note, created_at: app.now(), expires_at };
    change_holds(app, customer, |holds, now| {
        holds.retain(|other| other.id != hold.id && other.is_active(now));
        if holds.len() == HOLDS_MAX {
            return Err(HoldError::TooManyHolds);
        }
        holds.push(hold.clone());
        Ok(())
    })
    .await?;
    Ok(hold)
}

/// Returns every hold in force, created or derived from events.
pub async fn list_holds(app: &App, customer: &CustomerId) -> Result<Vec<ActiveHold>, HoldError> {
    let customer = load_or_unknown(app.store.as_ref(), customer).await?.value;
    Ok(active_holds(&customer, &app.policy_in_force(), &app.catalog(), app.now()))
}

/// Deletes a hold that was created.
pub async fn delete_hold(app: &App, customer: &CustomerId, hold: &HoldId) -> Result<(), HoldError> {
    change_holds(app, customer, |holds, _| {
        let before = holds.len();
        holds.retain(|other| other.id != *hold);
        if holds.len() == before { Err(HoldError::NotFound) } else { Ok(()) }
    })
    .await
}

async fn change_holds(
    app: &App,
    customer: &CustomerId,
    change: impl Fn(&mut Vec<Hold>, Timestamp) -> Result<(), HoldError>,
) -> Result<(), HoldError> {
    let change = &change;
    change_customer(app, customer, |loaded: Versioned<Customer>| async move {
        let mut customer = loaded.value;
        change(&mut customer.holds, app.now())?;
        Ok::<_, HoldError>(CustomerChange::Commit { customer, events: Vec::new(), result: () })
    })
    .await?;
    Ok(app.store.durable().await?)
}
