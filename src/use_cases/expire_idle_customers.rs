//! Removes customers of whom nothing is known but that they were decided about long ago, such as anonymous visitors who never
//! came back.

use std::sync::Arc;
use std::time::Duration;

use super::app::App;
use crate::decision::control_group::experiment;
use crate::domain::customer::Customer;
use crate::domain::experiment::ExperimentId;
use crate::domain::ledger::{GRANTS_KEPT, Ledger};
use crate::domain::time::Timestamp;
use crate::store::contract::error::StoreError;

/// Minimum retention of idle customers: no grant is kept for longer, so no removal lets a cap be exceeded.
pub const IDLE_RETENTION_MIN: Duration = GRANTS_KEPT;

/// Removes idle customers with their decisions. Returns their number.
pub async fn expire_idle_customers(app: &App) -> Result<u64, StoreError> {
    let Some(retention) = app.retention.idle_customers else { return Ok(0) };
    let cutoff = app.now() - retention.max(IDLE_RETENTION_MIN);
    let running = experiment(&app.policy_in_force().control_group);
    let removed = app.store.expire_customers(Arc::new(move |customer| is_idle(customer, cutoff, running))).await?;
    app.store.durable().await?;
    if removed > 0 {
        tracing::info!(customers = removed, "idle customers deleted");
    }
    Ok(removed)
}

/// Whether nothing is known of a customer but a ledger whose last entry is older than the cutoff. Members of the running
/// experiment stay, because its analysis counts them.
fn is_idle(customer: &Customer, cutoff: Timestamp, running: Option<ExperimentId>) -> bool {
    let Ledger { clock, rejections, product_cooldowns, assignment, .. } = &customer.ledger;
    let is_old = clock.is_some_and(|clock| clock < cutoff);
    let is_assigned = assignment.is_some_and(|assignment| Some(assignment.experiment) == running);
    let nothing_else_known = || Customer { ledger: customer.ledger.clone(), ..Customer::unknown(customer.id.clone()) };
    is_old && !is_assigned && rejections.is_empty() && product_cooldowns.is_empty() && *customer == nothing_else_known()
}
