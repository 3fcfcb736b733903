//! Deletes events and decisions that are past their retention period.

use std::time::Duration;

use super::app::App;
use super::retention::Retention;
use crate::store::contract::counts::ExpiredRecords;
use crate::store::contract::error::StoreError;

/// Deletes events and decisions past their retention period. What was learned from them about customers stays.
pub async fn expire_history(app: &App) -> Result<ExpiredRecords, StoreError> {
    let Retention { events, decisions } = app.retention;
    let now = app.now();
    let cutoff = |period: Option<Duration>| period.map(|period| now - period);
    let forgotten = app.store.expire_records(cutoff(events), cutoff(decisions)).await?;
    app.store.durable().await?;
    if forgotten != ExpiredRecords::default() {
        tracing::info!(events = forgotten.events, decisions = forgotten.decisions, "expired history deleted");
    }
    Ok(forgotten)
}
