//! Background tasks of the server: training, recovery of reservations, retention, and gauges.

use std::sync::Arc;
use std::time::Duration;

use crate::store::contract::shared::Job;
use crate::store::contract::stored_model::TrainingMarker;
use crate::use_cases::app::App;
use crate::use_cases::channel_usage::report_unresolved_opt_outs;
use crate::use_cases::expire_history::expire_history;
use crate::use_cases::expire_idle_customers::expire_idle_customers;
use crate::use_cases::learn_acceptances::learn_acceptances;
use crate::use_cases::leases::with_lease;
use crate::use_cases::train_model::{TrainError, current_model, interrupted_training, train_model};
use crate::use_cases::volumes::recover_expired_reservations;

/// Interval at which gauges are set, and clock and store are checked.
pub const POLL_INTERVAL: Duration = Duration::from_secs(1);

/// Interval at which acceptances are counted anew in a store that is shared.
const ACCEPTANCES_INTERVAL: Duration = Duration::from_secs(6 * 3600);

/// Counts the acceptances of offers at the start; each training does so again. In a store that is shared one of the processes
/// counts them, at an interval.
pub async fn count_acceptances(app: Arc<App>) {
    loop {
        let counted = with_lease(&app, Job::CountingAcceptances, ACCEPTANCES_INTERVAL, learn_acceptances(&app)).await;
        if let Err(error) = counted {
            tracing::error!(%error, "counting acceptances failed");
        }
        if !app.is_store_shared() {
            return;
        }
        tokio::time::sleep(ACCEPTANCES_INTERVAL / ATTEMPTS_PER_INTERVAL).await;
    }
}

/// Trains once when there is history and no model, then at the given interval; never without an interval. When the process
/// died during the last training, the next one would kill it again: it waits for the interval, or for an operator.
pub async fn train_on_schedule(app: Arc<App>, interval: Option<Duration>) {
    if trains_at_start(&app, interval).await {
        train_and_log(&app).await;
    }
    let Some(interval) = interval else { return };
    loop {
        tokio::time::sleep(interval).await;
        if !was_trained_elsewhere(&app, interval) && has_history(&app).await {
            train_and_log(&app).await;
        }
    }
}

async fn trains_at_start(app: &App, interval: Option<Duration>) -> bool {
    let is_interrupted = is_interrupted(app).await;
    interval.is_some() && !is_interrupted && current_model(app).is_none() && has_history(app).await
}

/// Whether an earlier process died during a training; says so in the log.
async fn is_interrupted(app: &App) -> bool {
    match interrupted_training(app).await {
        Ok(None) => false,
        Ok(Some(TrainingMarker { started_at, attempts })) => {
            tracing::error!(
                %started_at,
                attempts,
                "the process died during the last training, perhaps for want of memory; the next one is at the training \
                 interval, or when an operator starts it"
            );
            true
        }
        Err(error) => {
            tracing::error!(%error, "reading the marker of the last training failed");
            true
        }
    }
}

/// Whether another process that shares the store has trained in this interval.
fn was_trained_elsewhere(app: &App, interval: Duration) -> bool {
    app.is_store_shared() && current_model(app).is_some_and(|model| app.now() < model.trained_at + interval / 2)
}

async fn has_history(app: &App) -> bool {
    app.store().counts().await.is_ok_and(|counts| counts.events > 0)
}

async fn train_and_log(app: &Arc<App>) {
    match train_model(app).await {
        Ok(_) | Err(TrainError::AlreadyRunning | TrainError::Superseded) => {}
        Err(TrainError::NotPossible(reason)) => tracing::warn!(%reason, "training not possible"),
        Err(TrainError::TooLittleMemory(reason)) => tracing::warn!(%reason, "training not possible"),
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

/// Number of times in an interval that a process looks whether a job of a shared store is due: another process may have died.
const ATTEMPTS_PER_INTERVAL: u32 = 24;
/// Interval of the retention sweep.
const RETENTION_SWEEP_INTERVAL: Duration = Duration::from_secs(86_400);

/// Deletes expired history and idle customers, and counts unresolved opt-outs, at the start and every day; in a store that is
/// shared one of the processes does.
pub async fn sweep_expired_history(app: Arc<App>) {
    loop {
        let sweep = async {
            expire_history(&app).await?;
            expire_idle_customers(&app).await?;
            report_unresolved_opt_outs(&app).await
        };
        if let Err(error) = with_lease(&app, Job::Retention, RETENTION_SWEEP_INTERVAL, sweep).await {
            tracing::error!(%error, "retention sweep failed");
        }
        let attempts = if app.is_store_shared() { ATTEMPTS_PER_INTERVAL } else { 1 };
        tokio::time::sleep(RETENTION_SWEEP_INTERVAL / attempts).await;
    }
}

/// Sets the gauges of the model.
pub fn set_model_gauges(app: &App) {
    if let Some(model) = current_model(app) {
        metrics::gauge!("tactful_model_age_seconds").set(app.now().since(model.trained_at).as_secs_f64());
    }
}

/// Sets the gauges of the numbers of stored records.
pub async fn set_record_gauges(app: &App) {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::event::{Event, EventKind, OrderLine};
    use crate::domain::ids::{CustomerId, EventId, ProductId};
    use crate::domain::policy::Policy;
    use crate::domain::time::{DAY, Timestamp};
    use crate::model::training_settings::TrainingSettings;
    use crate::store::contract::store::Store;
    use crate::store::memory::store::MemoryStore;
    use crate::use_cases::app::Clock;
    use crate::use_cases::record_events::record_events;
    use crate::use_cases::train_model::stop_training;

    struct FixedClock;

    impl Clock for FixedClock {
        fn now(&self) -> Timestamp {
            Timestamp::from_unix_ms(1_700_000_000_000).expect("in range")
        }
    }

    /// A shop with a small history and no model; `died` leaves the marker of a training that did not end.
    async fn open_shop(died: bool) -> Arc<App> {
        let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
        if died {
            let marker = TrainingMarker { started_at: FixedClock.now() - DAY, attempts: 1 };
            store.put_training_marker(Some(marker)).await.expect("stored");
        }
        let limits = TrainingSettings::new(1, 1 << 28);
        let app = App::open(store, Arc::new(FixedClock), Policy::default(), limits).await.expect("opens");
        let bought = |number: u32| Event {
            id: EventId::new(format!("e{number}")).expect("valid"),
            customer: Some(CustomerId::new(format!("c{}", number % 7)).expect("valid")),
            at: FixedClock.now() - DAY * (number % 50),
            kind: EventKind::Purchase(OrderLine {
                product: ProductId::new(format!("p{}", number % 5)).expect("valid"),
                order: None,
                quantity: 1,
                unit_price: None,
            }),
        };
        let events: Vec<Event> = (0..60).map(bought).collect();
        record_events(&app, &events).await.expect("recorded");
        Arc::new(app)
    }

    /// Broken by: a training at the start that killed the process before; an interval that is off and trains all the same.
    #[tokio::test]
    async fn a_training_that_died_waits_for_the_interval_or_an_operator() {
        let day = Some(DAY);
        assert!(trains_at_start(open_shop(false).await.as_ref(), day).await);
        assert!(!trains_at_start(open_shop(false).await.as_ref(), None).await);
        let died = open_shop(true).await;
        assert!(!trains_at_start(&died, day).await);
        train_model(&died).await.expect("an operator may start it");
        assert_eq!(interrupted_training(&died).await.expect("reads"), None, "it ended by itself");

        let died = open_shop(true).await;
        let schedule = tokio::spawn(train_on_schedule(Arc::clone(&died), Some(Duration::from_millis(1))));
        while current_model(&died).is_none() {
            tokio::task::yield_now().await;
        }
        schedule.abort();
    }

    /// Broken by: a shutdown that leaves the marker of the training that it ends.
    #[tokio::test]
    async fn a_shutdown_is_no_death() {
        let app = open_shop(false).await;
        let training = tokio::spawn({
            let app = Arc::clone(&app);
            async move { train_model(&app).await }
        });
        while app.store().load_training_marker().await.expect("reads").is_none() {
            tokio::task::yield_now().await;
        }
        stop_training(&app).await.expect("stopped");
        assert_eq!(app.store().load_training_marker().await.expect("reads"), None);
        training.await.expect("does not panic").expect("trained");
    }
}
