//! Builds the server, runs it, and stops it in order.

use std::future::Future;
use std::net::SocketAddr;
use std::path::Path;
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
    POLL_INTERVAL, count_acceptances, recover_reservations, set_gauges, sweep_expired_history, train_on_schedule,
};
use super::clock::{DIVERGENCE_MAX, ServerClock};
use super::health;
use super::limits;
use super::readiness::{Condition, Readiness};
use super::security::CurrentSecurity;
use crate::config::{Limits, Settings, StoreSetting, WrittenPolicy};
use crate::domain::policy::Policy;
use crate::grpc::access::{AccessLayer, ReloadableAccessControl};
use crate::grpc::generated::FILE_DESCRIPTOR_SET;
use crate::grpc::layers::{CallLayers, call_layers};
use crate::grpc::services::Services;
use crate::model::train::TrainingSettings;
use crate::store::contract::error::StoreError;
use crate::store::contract::store::Store;
use crate::store::memory::store::MemoryStore;
use crate::store::sled::store::SledStore;
use crate::use_cases::app::{App, Clock};
use crate::use_cases::policies::{PolicyError, activate_policy, create_policy};
use crate::use_cases::retention::Retention;

/// Why the server did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The address cannot be had.
    #[error("listen: cannot serve on {address}")]
    Listen {
        /// The address asked for.
        address: SocketAddr,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// Certificates, keys or access rules cannot be used.
    #[error("{0}")]
    Security(String),
    /// The store does not open.
    #[error("the store does not open")]
    Store(#[from] StoreError),
    /// The policy of the settings cannot be kept or put into force.
    #[error("policy")]
    Policy(#[from] PolicyError),
    /// The descriptors for reflection do not decode.
    #[error("server reflection does not start")]
    Reflection(#[from] tonic_reflection::server::Error),
}

/// Why the server stopped without being asked to.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The transport failed.
    #[error("the transport failed")]
    Transport(#[from] tonic::transport::Error),
    /// The store failed, and with it every promise; restart once its cause is mended.
    #[error(transparent)]
    StoreFailed(StoreError),
    /// The store did not flush at the stop.
    #[error("the store did not close")]
    Close(#[from] StoreError),
}

type GuardedRouter = Router<Stack<AccessLayer, Stack<CallLayers, Identity>>>;

/// A server that is bound and ready to run.
pub struct Server {
    settings: Settings,
    listener: TcpListener,
    local_addr: SocketAddr,
    router: GuardedRouter,
    health: HealthReporter,
    /// Where the health service is served alone, and by which task.
    health_alone: Option<(SocketAddr, JoinSet<()>)>,
    security: Arc<CurrentSecurity>,
    app: Arc<App>,
    /// The server's own clock, when time is not passed in by a test.
    watched_clock: Option<Arc<ServerClock>>,
}

impl Server {
    /// Binds, then opens the store. With a clock of one's own time is what it says.
    ///
    /// # Errors
    /// When the address is taken or the store does not open.
    pub async fn build(settings: Settings, clock: Option<Arc<dyn Clock>>) -> Result<Self, StartError> {
        let address = settings.listen;
        let listener = TcpListener::bind(address).await.map_err(|source| StartError::Listen { address, source })?;
        let local_addr = listener.local_addr().map_err(|source| StartError::Listen { address, source })?;
        let security = CurrentSecurity::open(settings.security.clone()).map_err(StartError::Security)?;
        let security = Arc::new(security);
        let health = health::loading().await;
        let health_alone = match settings.health_listen {
            None => None,
            Some(address) => {
                let served = health::serve_alone(address, &health).await;
                Some(served.map_err(|source| StartError::Listen { address, source })?)
            }
        };
        let store = open_store(&settings.store).await?;
        let (clock, watched_clock) = if let Some(clock) = clock {
            (clock, None)
        } else {
            let clock = Arc::new(ServerClock::starting_at(settings.now));
            (Arc::clone(&clock) as Arc<dyn Clock>, Some(clock))
        };
        let training = TrainingSettings::new(settings.training_threads, settings.training_memory_bytes);
        let retention = Retention { events: settings.keep_events, decisions: settings.keep_decisions };
        let app = Arc::new(App::open(store, clock, Policy::default(), training).await?.with_retention(retention));
        if let Some(WrittenPolicy { policy, text }) = &settings.policy {
            create_policy(&app, policy.clone(), text.clone()).await?;
            activate_policy(&app, &policy.version).await?;
        }
        let router = router(&settings, &app, security.access())?;
        Ok(Self { settings, listener, local_addr, router, health, health_alone, security, app, watched_clock })
    }

    /// Where the server is bound.
    pub fn local_addr(&self) -> SocketAddr {
        self.local_addr
    }

    /// Where the health service is served alone.
    pub fn health_addr(&self) -> Option<SocketAddr> {
        self.health_alone.as_ref().map(|(address, _)| *address)
    }

    /// The system behind the server.
    pub fn app(&self) -> &Arc<App> {
        &self.app
    }

    /// Serves until `stop` is ready or the store fails, then stops in order: not ready, drain, flush.
    ///
    /// # Errors
    /// When the store or the transport fails.
    pub async fn run(self, stop: impl Future<Output = ()> + Send) -> Result<(), RunError> {
        let Self { settings, listener, local_addr, router, health, health_alone, security, app, watched_clock } = self;
        // Answers until it is dropped at the end.
        let _health_alone = health_alone;
        let router = router.add_service(health::service(&health));
        health::tell(&health, ServingStatus::Serving).await;
        let (drain, draining) = watch::channel(false);
        let drained = async move {
            let mut draining = draining;
            // An error means that the sender is gone: time to drain as well.
            let _asked = draining.wait_for(|&draining| draining).await;
        };
        let serving = tokio::spawn(
            router
                .serve_with_incoming_shutdown(accept(listener, settings.limits, Some(Arc::clone(&security))), drained),
        );
        let training = tokio::spawn(train_on_schedule(Arc::clone(&app), settings.train_every));
        let mut background = JoinSet::new();
        background.spawn(sweep_expired_history(Arc::clone(&app)));
        background.spawn(recover_reservations(Arc::clone(&app)));
        background.spawn(count_acceptances(Arc::clone(&app)));
        let looking = tokio::spawn(look_after(Arc::clone(&app), health.clone(), watched_clock));
        background.spawn(watch_files(security));
        tracing::info!(address = %local_addr, "serving");

        let failure = tokio::select! {
            () = stop => None,
            failure = app.store().failed() => Some(failure),
        };
        let stage = Stage::begin("not ready");
        background.abort_all();
        looking.abort();
        // Nobody may say SERVING after this. An error means that it has ended, which is what was asked for.
        let _ended = looking.await;
        health::tell_the_end(&health).await;
        stage.end();

        let stage = Stage::begin("drain");
        // Nobody listens any more when the transport ended by itself.
        let _unheard = drain.send(true);
        match tokio::time::timeout(settings.drain, serving).await {
            Ok(Ok(served)) => served?,
            Ok(Err(panicked)) => tracing::error!(%panicked, "serving ended in a panic"),
            Err(_) => tracing::warn!(drain = ?settings.drain, "calls still in progress were cut off"),
        }
        stage.end();

        training.abort();
        if let Some(failure) = failure {
            return Err(RunError::StoreFailed(failure));
        }
        let stage = Stage::begin("flush");
        app.store().close().await?;
        stage.end();
        Ok(())
    }
}

/// Opens the backend that the settings name; nothing else in the server knows which one it is.
async fn open_store(setting: &StoreSetting) -> Result<Arc<dyn Store>, StoreError> {
    match setting {
        StoreSetting::Memory => Ok(Arc::new(MemoryStore::new())),
        StoreSetting::Sled(directory) => {
            let started = Instant::now();
            let store = SledStore::open(Path::new(directory)).await?;
            tracing::info!(directory = %directory.display(), seconds = started.elapsed().as_secs_f64(), "store opened");
            Ok(Arc::new(store))
        }
    }
}

/// Every service with its limits; what the library leaves open by default is closed here.
fn router(
    settings: &Settings,
    app: &Arc<App>,
    access: ReloadableAccessControl,
) -> Result<GuardedRouter, tonic_reflection::server::Error> {
    let limits: Limits = settings.limits;
    let reflection = || {
        tonic_reflection::server::Builder::configure()
            .register_encoded_file_descriptor_set(FILE_DESCRIPTOR_SET)
            .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
    };
    let Services { offers, feedback, relationships, catalog, customers, models, policies, backups } =
        Services::new(app, limits.message_bytes_max);
    let router = limits::transport(&limits)
        // Without the library's grace: with it connections are cut off after both, and never asked (tonic 0.14.9). `accept` cuts
        // off those that did not move on.
        .max_connection_age(within_a_tenth(limits.connection_age))
        .layer(call_layers(&limits::of_calls(&limits), settings.slow_call))
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

/// Spread by a tenth either way, so that replicas started together do not turn their connections away together.
fn within_a_tenth(span: Duration) -> Duration {
    let [byte, ..] = *uuid::Uuid::new_v4().as_bytes();
    span.mul_f64(0.9 + 0.2 * f64::from(byte) / 255.0)
}

/// Sets gauges, and tells of each service whether it is ready.
async fn look_after(app: Arc<App>, health: HealthReporter, clock: Option<Arc<ServerClock>>) {
    let mut readiness = Readiness::default();
    let mut looks = tokio::time::interval(POLL_INTERVAL);
    // A look that took long is not made up for: looks are to be a second apart.
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        looks.tick().await;
        set_gauges(&app).await;
        let divergence = clock.as_ref().map_or(Duration::ZERO, |clock| clock.divergence());
        // A store that failed ends the server by itself.
        let is_stalled = tokio::time::timeout(POLL_INTERVAL, app.store().durable()).await.is_err();
        let changed = readiness.look(|condition| match condition {
            Condition::ClockUntrusted => divergence > DIVERGENCE_MAX,
            Condition::DiskStalled => is_stalled,
        });
        for condition in &changed {
            let is_in_force = readiness.is_in_force(*condition);
            tracing::error!(?condition, is_in_force, ?divergence, "the readiness of services changed");
        }
        if !changed.is_empty() {
            health::tell_each(&health, &readiness).await;
        }
    }
}

/// Takes certificates and access rules into use when they change. By looking, because a mounted secret changes by a link that
/// is swapped, which few watchers see.
async fn watch_files(security: Arc<CurrentSecurity>) {
    let mut looks = tokio::time::interval(POLL_INTERVAL);
    loop {
        looks.tick().await;
        let security = Arc::clone(&security);
        // Reading files must not hold a thread that serves. An error means that the runtime stops.
        if tokio::task::spawn_blocking(move || security.look_again()).await.is_err() {
            return;
        }
    }
}

/// One stage of the stop, and how long it took.
struct Stage {
    name: &'static str,
    began: Instant,
}

impl Stage {
    fn begin(name: &'static str) -> Self {
        Self { name, began: Instant::now() }
    }

    fn end(self) {
        tracing::info!(stage = self.name, seconds = self.began.elapsed().as_secs_f64(), "stopping");
    }
}
