//! What the server does on its own: trains, watches its clock, tells the age of its model.

use std::sync::Arc;
use std::time::Duration;

use crate::use_cases::app::App;
use crate::use_cases::expire_history::expire_history;
use crate::use_cases::learn_acceptances::learn_acceptances;
use crate::use_cases::train_model::{TrainError, current_model, train_model};
use crate::use_cases::volumes::recover_expired_reservations;

/// How often the gauges are set and the clock is looked at.
pub const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Counts what came of offers; each training does so again.
pub async fn count_acceptances(app: Arc<App>) {
    if let Err(error) = learn_acceptances(&app).await {
        tracing::error!(%error, "what came of offers is not counted");
    }
}

/// Trains once when there is history and no model, then every so often.
pub async fn train_on_schedule(app: Arc<App>, every: Option<Duration>) {
    if current_model(&app).is_none() && has_history(&app).await {
        train_and_log(&app).await;
    }
    let Some(every) = every else { return };
    loop {
        tokio::time::sleep(every).await;
        if has_history(&app).await {
            train_and_log(&app).await;
        }
    }
}

async fn has_history(app: &App) -> bool {
    app.store().counts().await.is_ok_and(|counts| counts.events > 0)
}

async fn train_and_log(app: &Arc<App>) {
    match train_model(app).await {
        Ok(_) | Err(TrainError::AlreadyRunning) => {}
        Err(TrainError::NotPossible { reason }) => tracing::warn!(reason, "no new model"),
        Err(TrainError::Store(error)) => tracing::error!(%error, "no new model"),
    }
}

/// How often the volume of decisions that were stopped half-way is looked for.
const SETTLE_EVERY: Duration = Duration::from_secs(60);

/// Settles the volume of decisions that were stopped half-way: at the start, which may follow a crash, and ever after.
pub async fn settle_volumes(app: Arc<App>) {
    loop {
        if let Err(error) = recover_expired_reservations(&app).await {
            tracing::error!(%error, "volumes stay as they are");
        }
        tokio::time::sleep(SETTLE_EVERY).await;
    }
}

/// How often what is too old is looked for.
const FORGET_EVERY: Duration = Duration::from_secs(86_400);

/// Forgets what is older than it is kept for, at the start and every day.
pub async fn forget_on_schedule(app: Arc<App>) {
    loop {
        if let Err(error) = expire_history(&app).await {
            tracing::error!(%error, "what is too old is still kept");
        }
        tokio::time::sleep(FORGET_EVERY).await;
    }
}

/// Sets the gauges that change without a call.
pub async fn set_gauges(app: &App) {
    if let Some(model) = current_model(app) {
        metrics::gauge!("tactful_model_age_seconds").set(app.now().since(model.trained_at).as_secs_f64());
    }
    if let Ok(counts) = app.store().counts().await {
        let kinds = [
            ("customers", counts.customers),
            ("products", counts.products),
            ("events", counts.events),
            ("decisions", counts.decisions),
        ];
        for (kind, count) in kinds {
            #[allow(clippy::cast_precision_loss, reason = "a gauge needs no more than 53 bits")]
            metrics::gauge!("tactful_stored", "kind" => kind).set(count as f64);
        }
    }
}
