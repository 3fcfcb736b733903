//! Deletes events and decisions that are past their retention period.

use super::app::App;
use crate::store::contract::counts::ExpiredRecords;
use crate::store::contract::error::StoreError;

/// Deletes events and decisions past their retention period. What was learned from them about customers stays.
pub async fn expire_history(app: &App) -> Result<ExpiredRecords, StoreError> {
    let [events, decisions] = app.retention.sweep_cutoffs(app.now());
    let forgotten = app.store.expire_records(events, decisions).await?;
    app.store.durable().await?;
    if forgotten != ExpiredRecords::default() {
        tracing::info!(events = forgotten.events, decisions = forgotten.decisions, "expired history deleted");
    }
    Ok(forgotten)
}
