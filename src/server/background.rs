//! Background tasks of the server: training, recovery of reservations, retention, and gauges.

use std::sync::Arc;
use std::time::Duration;

use crate::use_cases::app::App;
use crate::use_cases::expire_history::expire_history;
use crate::use_cases::expire_idle_customers::expire_idle_customers;
use crate::use_cases::learn_acceptances::learn_acceptances;
use crate::use_cases::train_model::{TrainError, current_model, train_model};
use crate::use_cases::volumes::recover_expired_reservations;

/// Interval at which gauges are set, and clock and store are checked.
pub const POLL_INTERVAL: Duration = Duration::from_secs(1);

/// Counts the acceptances of offers at the start; each training does so again.
pub async fn count_acceptances(app: Arc<App>) {
    if let Err(error) = learn_acceptances(&app).await {
        tracing::error!(%error, "counting acceptances failed");
    }
}

/// Trains once when there is history and no model, then at the given interval.
pub async fn train_on_schedule(app: Arc<App>, interval: Option<Duration>) {
    if current_model(&app).is_none() && has_history(&app).await {
        train_and_log(&app).await;
    }
    let Some(interval) = interval else { return };
    loop {
        tokio::time::sleep(interval).await;
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
        Err(TrainError::NotPossible(reason)) => tracing::warn!(%reason, "training not possible"),
        Err(error @ (TrainError::ThreadFailed(_) | TrainError::Store(_))) => {
            tracing::error!(%error, "training failed");
        }
    }
}

/// Interval of the sweep for expired volume reservations.
const RECOVERY_INTERVAL: Duration = Duration::from_secs(60);

/// Recovers expired volume reservations: at the start, which may follow a crash, and periodically.
pub async fn recover_reservations(app: Arc<App>) {
    loop {
        if let Err(error) = recover_expired_reservations(&app).await {
            tracing::error!(%error, "recovering expired volume reservations failed");
        }
        tokio::time::sleep(RECOVERY_INTERVAL).await;
    }
}

/// Interval of the retention sweep.
const RETENTION_SWEEP_INTERVAL: Duration = Duration::from_secs(86_400);

/// Deletes expired history and idle customers, at the start and every day.
pub async fn sweep_expired_history(app: Arc<App>) {
    loop {
        if let Err(error) = expire_history(&app).await {
            tracing::error!(%error, "retention sweep failed");
        }
        if let Err(error) = expire_idle_customers(&app).await {
            tracing::error!(%error, "retention sweep of idle customers failed");
        }
        tokio::time::sleep(RETENTION_SWEEP_INTERVAL).await;
    }
}

/// Sets the gauges that are not updated by calls.
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
            metrics::gauge!("tactful_stored_records", "kind" => kind).set(count as f64);
        }
    }
}
