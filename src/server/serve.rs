//! Builds the server, runs it, and shuts it down in order.

use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::MissedTickBehavior;
use tonic::transport::server::Router;
use tonic_health::ServingStatus;
use tonic_health::server::HealthReporter;
use tower::layer::util::{Identity, Stack};

use super::accept::accept;
use super::background::{
    POLL_INTERVAL, count_acceptances, recover_reservations, set_model_gauges, set_record_gauges, sweep_expired_history,
    train_on_schedule,
};
use super::clock::{ClockMonitor, ServerClock, is_divergence_trusted};
#[cfg(feature = "postgres")]
use super::database;
use super::health;
use super::readiness::{Readiness, ReadinessCondition};
use super::replica::{ContactFailure, StoreContact, follow, follow_once, report};
use super::security::{ReloadableSecurity, SecurityError};
use super::transport::transport;
use crate::config::memory_limit::memory_limit_bytes;
use crate::config::settings::{PolicyFile, Settings, StorageSettings, StoreKind};
use crate::domain::policy::Policy;
use crate::grpc::access::{AccessLayer, ReloadableAccessControl};
use crate::grpc::completion::DetachedCalls;
use crate::grpc::generated::FILE_DESCRIPTOR_SET;
use crate::grpc::layers::{CallLayers, call_layers};
use crate::grpc::services::Services;
use crate::model::training_settings::TrainingSettings;
use crate::store::contract::error::StoreError;
use crate::store::contract::store::Store;
use crate::store::memory::store::MemoryStore;
#[cfg(feature = "postgres")]
use crate::store::postgres::schema::OpenPostgresError;
use crate::store::sled::store::SledStore;
use crate::use_cases::app::{App, Clock};
use crate::use_cases::finish_merge::finish_unfinished_merges;
use crate::use_cases::follow_store::{remove_replica, report_replica};
use crate::use_cases::policies::{PolicyError, activate_policy, create_policy};
use crate::use_cases::retention::Retention;
use crate::use_cases::train_model::stop_training;

/// Error returned when the server does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The address cannot be bound.
    #[error("listen: cannot serve on {address}")]
    Listen {
        /// The configured address.
        address: SocketAddr,
        /// Cause reported by the system.
        #[source]
        source: std::io::Error,
    },
    /// Certificates, keys or access rules cannot be used.
    #[error(transparent)]
    Security(#[from] SecurityError),
    /// The store failed to open.
    #[error("opening the store failed")]
    Store(#[from] StoreError),
    /// The database of the store cannot be used.
    #[cfg(feature = "postgres")]
    #[error(transparent)]
    Database(#[from] OpenPostgresError),
    /// The policy of the settings cannot be stored or activated.
    #[error("policy")]
    Policy(#[from] PolicyError),
    /// The descriptors for server reflection are invalid.
    #[error("starting server reflection failed")]
    Reflection(#[from] tonic_reflection::server::Error),
}

/// Error returned when the server stops before the stop signal, or does not shut down cleanly.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The transport failed.
    #[error("the transport failed")]
    Transport(#[from] tonic::transport::Error),
    /// The store failed, so the server can keep none of its promises; restart it once the cause is fixed.
    #[error(transparent)]
    StoreFailed(StoreError),
    /// The store was not flushed at shutdown.
    #[error("closing the store failed")]
    Close(#[from] StoreError),
}

/// Maximum time to wait at shutdown for calls that continue without their clients.
const DETACHED_MAX: Duration = Duration::from_secs(5);

/// Number of checks after which the records of a shared store are counted again.
const RECORD_GAUGES_EVERY: u64 = 60;

type GuardedRouter = Router<Stack<AccessLayer, Stack<CallLayers, Identity>>>;

/// Server that is bound and ready to run.
pub struct Server {
    settings: Settings,
    listener: TcpListener,
    local_addr: SocketAddr,
    router: GuardedRouter,
    /// Calls that continue without their clients.
    detached: DetachedCalls,
    health: HealthReporter,
    /// Address and task of the separate health port.
    separate_health: Option<(SocketAddr, JoinSet<()>)>,
    security: Arc<ReloadableSecurity>,
    app: Arc<App>,
    /// Clock to monitor for jumps; `None` when a test passes in its own.
    monitored_clock: Option<Arc<ServerClock>>,
    /// Contact with a store that other processes share.
    contact: Arc<StoreContact>,
}

impl Server {
    /// Binds the ports, then opens the store. Tests pass in a clock of their own.
    ///
    /// # Errors
    /// If an address is in use, a file is invalid or the store does not open.
    pub async fn build(settings: Settings, clock: Option<Arc<dyn Clock>>) -> Result<Self, StartError> {
        let address = settings.network.listen;
        let listener = TcpListener::bind(address).await.map_err(|source| StartError::Listen { address, source })?;
        let local_addr = listener.local_addr().map_err(|source| StartError::Listen { address, source })?;
        let security = Arc::new(ReloadableSecurity::load(settings.security.clone())?);
        let health = health::starting().await;
        let separate_health = match settings.network.health_listen {
            None => None,
            Some(address) => {
                let serving = health::serve_separately(address, &health).await;
                Some(serving.map_err(|source| StartError::Listen { address, source })?)
            }
        };
        let store = open_store(&settings.storage).await?;
        let (clock, monitored_clock) = if let Some(clock) = clock {
            (clock, None)
        } else {
            let clock = Arc::new(ServerClock::starting_at(settings.lifecycle.clock_start));
            (Arc::clone(&clock) as Arc<dyn Clock>, Some(clock))
        };
        let training =
            TrainingSettings::new(settings.retraining.training_threads, settings.retraining.training_memory_mib << 20);
        let retention = Retention {
            events: settings.storage.event_retention,
            decisions: settings.storage.decision_retention,
            idle_customers: settings.storage.idle_customer_retention,
        };
        let app = Arc::new(
            App::open(store, clock, Policy::default(), training)
                .await?
                .with_retention(retention)
                .with_process_memory(memory_limit_bytes()),
        );
        let contact = Arc::new(StoreContact::new());
        // Before anything depends on the time, or on being known to other replicas.
        follow_once(&app, &contact, monitored_clock.as_deref()).await?;
        if let Err(error) = report_replica(&app).await {
            // Commits may be stalled, and offers can still be previewed.
            tracing::warn!(%error, "the replica is not known to others yet");
        }
        if let Some(PolicyFile { policy, text }) = &settings.lifecycle.policy {
            create_policy(&app, policy.clone(), text.clone()).await?;
            activate_policy(&app, &policy.version).await?;
        }
        finish_unfinished_merges(&app).await?;
        let detached = DetachedCalls::default();
        let router = router(&settings, &app, security.access(), detached.clone())?;
        Ok(Self {
            settings,
            listener,
            local_addr,
            router,
            detached,
            health,
            separate_health,
            security,
            app,
            monitored_clock,
            contact,
        })
    }

    /// Bound address of the gRPC port.
    pub fn local_addr(&self) -> SocketAddr {
        self.local_addr
    }

    /// Bound address of the separate health port.
    pub fn health_addr(&self) -> Option<SocketAddr> {
        self.separate_health.as_ref().map(|(address, _)| *address)
    }

    /// Application context behind the server.
    pub fn app(&self) -> &Arc<App> {
        &self.app
    }

    /// Serves until `stop_signal` resolves or the store fails, then shuts down in order: report not ready, drain, flush.
    ///
    /// # Errors
    /// If the store or the transport fails.
    pub async fn run(self, stop_signal: impl Future<Output = ()> + Send) -> Result<(), RunError> {
        let Self {
            settings,
            listener,
            local_addr,
            router,
            detached,
            health,
            separate_health,
            security,
            app,
            monitored_clock,
            contact,
        } = self;
        // Serves until it is dropped at the end.
        let _separate_health = separate_health;
        let router = router.add_service(health::service(&health));
        health::set_all(&health, ServingStatus::Serving).await;
        let (drain, mut draining) = watch::channel(false);
        let drain_started = async move {
            // An error means that the sender was dropped; then draining starts as well.
            let _started = draining.wait_for(|&draining| draining).await;
        };
        let serving = tokio::spawn(router.serve_with_incoming_shutdown(
            accept(listener, settings.connections.clone(), Some(Arc::clone(&security))),
            drain_started,
        ));
        let training = tokio::spawn(train_on_schedule(Arc::clone(&app), settings.retraining.training_interval));
        let mut background = JoinSet::new();
        background.spawn(sweep_expired_history(Arc::clone(&app)));
        background.spawn(recover_reservations(Arc::clone(&app)));
        background.spawn(count_acceptances(Arc::clone(&app)));
        if app.is_store_shared() {
            background.spawn(follow(Arc::clone(&app), Arc::clone(&contact), monitored_clock.clone()));
            background.spawn(report(Arc::clone(&app), Arc::clone(&contact)));
        }
        let monitoring = tokio::spawn(monitor_readiness(Arc::clone(&app), health.clone(), monitored_clock, contact));
        background.spawn(reload_security(security));
        tracing::info!(address = %local_addr, "serving");

        let failure = tokio::select! {
            () = stop_signal => None,
            failure = app.store().failed() => Some(failure),
        };
        let step = ShutdownStep::start("report not ready");
        background.abort_all();
        monitoring.abort();
        // No task may set SERVING after this. The error of an aborted task is expected.
        let _ended = monitoring.await;
        health::shut_down(&health).await;
        step.finish();

        let step = ShutdownStep::start("drain");
        // An error means that the transport has ended already.
        let _ended = drain.send(true);
        match tokio::time::timeout(settings.lifecycle.drain_timeout, serving).await {
            Ok(Ok(served)) => served?,
            Ok(Err(panicked)) => tracing::error!(%panicked, "transport task panicked"),
            Err(_) => {
                let drain_timeout_seconds = settings.lifecycle.drain_timeout.as_secs_f64();
                tracing::warn!(drain_timeout_seconds, "drain timed out; calls in progress were cancelled");
            }
        }
        if !detached.finish(DETACHED_MAX).await {
            tracing::warn!("changes of clients that had gone did not end in time");
        }
        step.finish();

        training.abort();
        if let Some(failure) = failure {
            return Err(RunError::StoreFailed(failure));
        }
        let step = ShutdownStep::start("flush");
        stop_training(&app).await?;
        if let Err(error) = remove_replica(&app).await {
            // Other replicas wait for it a little longer.
            tracing::warn!(%error, "the replica was not removed");
        }
        app.store().close().await?;
        step.finish();
        Ok(())
    }
}

/// Opens the configured backend; nothing else in the server knows which one it is.
async fn open_store(settings: &StorageSettings) -> Result<Arc<dyn Store>, StartError> {
    match settings.store {
        StoreKind::Memory => Ok(Arc::new(MemoryStore::new())),
        StoreKind::Sled => {
            let started = Instant::now();
            let store = SledStore::open_with_cache(&settings.data_dir, settings.store_cache_mib << 20).await?;
            let directory = settings.data_dir.display();
            tracing::info!(%directory, seconds = started.elapsed().as_secs_f64(), "store opened");
            Ok(Arc::new(store))
        }
        StoreKind::Postgres => open_database(settings).await,
    }
}

#[cfg(feature = "postgres")]
async fn open_database(settings: &StorageSettings) -> Result<Arc<dyn Store>, StartError> {
    // The settings were checked together.
    let no_url = || StoreError::Failed { detail: "the store has no URL".to_owned() };
    let store = database::open(&settings.database().ok_or_else(no_url)?).await?;
    tracing::info!("store opened in a database");
    Ok(store)
}

#[cfg(not(feature = "postgres"))]
#[expect(clippy::unused_async, reason = "as with the feature")]
async fn open_database(_: &StorageSettings) -> Result<Arc<dyn Store>, StartError> {
    Err(StoreError::Failed { detail: "this program was built without the feature postgres".to_owned() }.into())
}

/// Router of all services with their limits; defaults of the library that are unlimited are limited here.
fn router(
    settings: &Settings,
    app: &Arc<App>,
    access: ReloadableAccessControl,
    detached: DetachedCalls,
) -> Result<GuardedRouter, tonic_reflection::server::Error> {
    let reflection = || {
        tonic_reflection::server::Builder::configure()
            .register_encoded_file_descriptor_set(FILE_DESCRIPTOR_SET)
            .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
    };
    let Services { offers, feedback, relationships, catalog, customers, models, policies, backups } =
        Services::new(app, settings.calls.message_bytes_max);
    let router = transport(&settings.connections)
        // Without the library's grace period: with it connections are closed after both times, without a GOAWAY (tonic 0.14.9).
        // `accept` closes those that did not reconnect.
        .max_connection_age(with_jitter(settings.connections.connection_age_max))
        .layer(call_layers(&settings.calls, settings.logging.slow_call_threshold, detached))
        .layer(AccessLayer::new(access))
        .add_service(offers)
        .add_service(feedback)
        .add_service(relationships)
        .add_service(catalog)
        .add_service(customers)
        .add_service(models)
        .add_service(policies)
        .add_service(backups)
        // Older grpcurl speaks only v1alpha.
        .add_service(reflection().build_v1()?)
        .add_service(reflection().build_v1alpha()?);
    Ok(router)
}

/// Adds jitter of a tenth either way, so that replicas that start together do not send GOAWAY at the same time.
fn with_jitter(span: Duration) -> Duration {
    let random = getrandom::u32().expect("the operating system provides random numbers");
    span.mul_f64(0.9 + 0.2 * f64::from(random) / f64::from(u32::MAX))
}

/// Updates gauges and the readiness of each service, periodically.
async fn monitor_readiness(
    app: Arc<App>,
    health: HealthReporter,
    clock: Option<Arc<ServerClock>>,
    contact: Arc<StoreContact>,
) {
    let mut readiness = Readiness::default();
    let mut clock = clock.map(|clock| (ClockMonitor::new(clock.reading()), clock));
    let mut checks = tokio::time::interval(POLL_INTERVAL);
    // Checks stay a second apart also after one that took long.
    checks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let is_shared = app.is_store_shared();
    for check in 0_u64.. {
        checks.tick().await;
        set_model_gauges(&app);
        // Counting a database's records costs it more than counting those that this process has counted itself.
        if !is_shared || check.is_multiple_of(RECORD_GAUGES_EVERY) {
            set_record_gauges(&app).await;
        }
        let verdict = clock.as_mut().map(|(monitor, clock)| monitor.judge(clock.reading()));
        if let Some(step_ms) = verdict.and_then(|verdict| verdict.accepted_step_ms) {
            tracing::warn!(step_ms, "step of the clock accepted after a calm minute");
        }
        let store_divergence_ms = clock.as_ref().and_then(|(_, clock)| clock.store_divergence_ms());
        // A store that failed stops the server elsewhere.
        let is_stalled = tokio::time::timeout(POLL_INTERVAL, app.store().durable()).await.is_err();
        let failure = contact.failure(Instant::now()).filter(|_| is_shared);
        if is_shared {
            let age = contact.snapshot_age(Instant::now());
            metrics::gauge!("tactful_snapshot_age_seconds").set(age.as_secs_f64());
        }
        let changed = readiness.record(|condition| match condition {
            ReadinessCondition::ClockUntrusted => {
                let is_store_trusted = store_divergence_ms.is_none_or(is_divergence_trusted);
                !is_store_trusted || verdict.is_some_and(|verdict| !verdict.is_trusted)
            }
            ReadinessCondition::DiskStalled => is_stalled,
            ReadinessCondition::DatabaseLost => failure == Some(ContactFailure::Lost),
            ReadinessCondition::CommitsStalled => failure == Some(ContactFailure::CommitsStalled),
            ReadinessCondition::SnapshotStale => failure == Some(ContactFailure::SnapshotStale),
        });
        for condition in &changed {
            let (condition, applies) = (condition.as_str(), readiness.applies(*condition));
            let clock_divergence_ms = store_divergence_ms.or(verdict.map(|verdict| verdict.divergence_ms));
            tracing::error!(condition, applies, clock_divergence_ms, "readiness of services changed");
        }
        if !changed.is_empty() {
            health::set_each(&health, &readiness).await;
        }
    }
}

/// Reloads certificates and access rules when they change. Polls, because a mounted secret changes by a swapped symbolic link,
/// which few file watchers notice.
async fn reload_security(security: Arc<ReloadableSecurity>) {
    let mut checks = tokio::time::interval(POLL_INTERVAL);
    loop {
        checks.tick().await;
        let security = Arc::clone(&security);
        // Reading files must not block a thread of the runtime. An error means that the runtime shuts down.
        if tokio::task::spawn_blocking(move || security.reload_if_changed()).await.is_err() {
            return;
        }
    }
}

/// Step of the shutdown, which logs its duration.
struct ShutdownStep {
    name: &'static str,
    started: Instant,
}

impl ShutdownStep {
    fn start(name: &'static str) -> Self {
        Self { name, started: Instant::now() }
    }

    fn finish(self) {
        tracing::info!(step = self.name, seconds = self.started.elapsed().as_secs_f64(), "shutdown step finished");
    }
}
