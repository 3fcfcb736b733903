//! A server to test: started on a free port, stopped in order, and clients of it.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use tactful::config::{Settings, WrittenSettings};
use tactful::domain::time::Timestamp;
use tactful::grpc::generated::tactful::v1::catalog_service_client::CatalogServiceClient;
use tactful::grpc::generated::tactful::v1::customer_service_client::CustomerServiceClient;
use tactful::grpc::generated::tactful::v1::feedback_service_client::FeedbackServiceClient;
use tactful::grpc::generated::tactful::v1::model_service_client::ModelServiceClient;
use tactful::grpc::generated::tactful::v1::offer_service_client::OfferServiceClient;
use tactful::grpc::generated::tactful::v1::policy_service_client::PolicyServiceClient;
use tactful::grpc::generated::tactful::v1::relationship_service_client::RelationshipServiceClient;
use tactful::server::serve::{RunError, Server};
use tactful::use_cases::app::{App, Clock};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tonic::transport::{Channel, Endpoint};
use tonic_health::pb::health_client::HealthClient;

/// Longer than anything here takes; only a test that would hang gets there.
const PATIENCE: Duration = Duration::from_secs(60);

/// A running server. Dropped, it stops; to see it stop in order, call [`Running::stop`].
pub struct Running {
    pub address: SocketAddr,
    pub clock: Arc<HandClock>,
    pub channel: Channel,
    /// The system behind the server, to look at what a caller cannot see.
    pub app: Arc<App>,
    stop: oneshot::Sender<()>,
    ended: JoinHandle<Result<(), RunError>>,
}

impl Running {
    /// With everything in memory, and a clock that stands still.
    pub async fn in_memory() -> Self {
        Self::with(in_memory(), HandClock::new()).await
    }

    /// With everything in a directory.
    pub async fn on_disk(directory: &Path, clock: Arc<HandClock>) -> Self {
        Self::with(on_disk(directory), clock).await
    }

    pub async fn with(settings: Settings, clock: Arc<HandClock>) -> Self {
        let server = Server::build(settings, Some(Arc::clone(&clock) as Arc<dyn Clock>)).await.expect("starts");
        let (address, app) = (server.local_addr(), Arc::clone(server.app()));
        let (stop, stopped) = oneshot::channel();
        let ended = tokio::spawn(server.run(async {
            // A dropped sender asks to stop as well.
            let _asked = stopped.await;
        }));
        let endpoint = Endpoint::from_shared(format!("http://{address}")).expect("an address is a valid URI");
        let channel = endpoint.connect().await.expect("the listener is bound");
        Self { address, clock, channel, app, stop, ended }
    }

    pub fn offers(&self) -> OfferServiceClient<Channel> {
        OfferServiceClient::new(self.channel.clone())
    }

    pub fn feedback(&self) -> FeedbackServiceClient<Channel> {
        FeedbackServiceClient::new(self.channel.clone())
    }

    pub fn relationships(&self) -> RelationshipServiceClient<Channel> {
        RelationshipServiceClient::new(self.channel.clone())
    }

    pub fn catalog(&self) -> CatalogServiceClient<Channel> {
        CatalogServiceClient::new(self.channel.clone())
    }

    pub fn customers(&self) -> CustomerServiceClient<Channel> {
        CustomerServiceClient::new(self.channel.clone())
    }

    pub fn models(&self) -> ModelServiceClient<Channel> {
        ModelServiceClient::new(self.channel.clone())
    }

    pub fn policies(&self) -> PolicyServiceClient<Channel> {
        PolicyServiceClient::new(self.channel.clone())
    }

    pub fn readiness(&self) -> HealthClient<Channel> {
        HealthClient::new(self.channel.clone())
    }

    /// Asks the server to stop; what is returned is ready when it has.
    pub fn ask_to_stop(self) -> JoinHandle<Result<(), RunError>> {
        let Self { stop, ended, .. } = self;
        stop.send(()).expect("the server listens for the stop");
        ended
    }

    /// Stops the server in order and waits until nothing of it is left, so that its directory is free.
    pub async fn stop(self) {
        let store = Arc::downgrade(self.app.store());
        let stopped = within_patience(self.ask_to_stop()).await;
        stopped.expect("does not panic").expect("stops in order");
        until(async || store.strong_count() == 0).await;
    }
}

pub fn written() -> WrittenSettings {
    WrittenSettings {
        listen: Some("127.0.0.1:0".into()),
        metrics_listen: Some("off".into()),
        store: Some("memory".into()),
        train_every: Some("off".into()),
        training_threads: Some("1".into()),
        ..WrittenSettings::default()
    }
}

pub fn in_memory() -> Settings {
    written().check().expect("the settings hold together")
}

pub fn on_disk(directory: &Path) -> Settings {
    let data_dir = Some(directory.to_str().expect("a path in UTF-8").to_owned());
    let written = WrittenSettings { store: Some("sled".into()), data_dir, ..written() };
    written.check().expect("the settings hold together")
}

/// Waits for something that happens by itself, without sleeping.
pub async fn until(mut happened: impl AsyncFnMut() -> bool) {
    within_patience(async {
        while !happened().await {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

pub async fn within_patience<T>(what: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, what).await.expect("happens within a minute")
}

/// A clock that is moved by hand, and that can keep whoever reads it waiting.
pub struct HandClock {
    ms: AtomicI64,
    gate: Mutex<Gate>,
    opened: Condvar,
}

#[derive(Default)]
struct Gate {
    is_shut: bool,
    waiting: usize,
}

impl HandClock {
    pub fn new() -> Arc<Self> {
        let ms = AtomicI64::new(1_700_000_000_000);
        Arc::new(Self { ms, gate: Mutex::default(), opened: Condvar::new() })
    }

    pub fn advance(&self, span: Duration) {
        self.ms.fetch_add(i64::try_from(span.as_millis()).expect("a short span"), Ordering::SeqCst);
    }

    /// From now on whoever reads the clock waits, until what is returned is dropped. Needs a runtime of many threads.
    pub fn shut(&self) -> Shut<'_> {
        self.gate.lock().expect("nobody panics with it").is_shut = true;
        Shut(self)
    }

    pub fn somebody_waits(&self) -> bool {
        self.gate.lock().expect("nobody panics with it").waiting > 0
    }
}

/// Keeps the clock shut.
pub struct Shut<'a>(&'a HandClock);

impl Drop for Shut<'_> {
    fn drop(&mut self) {
        self.0.gate.lock().expect("nobody panics with it").is_shut = false;
        self.0.opened.notify_all();
    }
}

impl Clock for HandClock {
    fn now(&self) -> Timestamp {
        let mut gate = self.gate.lock().expect("nobody panics with it");
        if gate.is_shut {
            gate.waiting += 1;
            // A thread that blocks unannounced may take the runtime's timers with it.
            gate = tokio::task::block_in_place(|| self.opened.wait_while(gate, |gate| gate.is_shut))
                .expect("nobody panics with it");
            gate.waiting -= 1;
        }
        drop(gate);
        Timestamp::from_unix_ms(self.ms.load(Ordering::SeqCst)).expect("in range")
    }
}
