//! Server for tests: started on a free port, shut down in order, with clients.

use std::net::SocketAddr;
use std::path::Path;
use std::pin::Pin;
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, Weak};
use std::task::{Context, Poll};
use std::time::Duration;

use tactful::config::settings::{Settings, StoreKind};
use tactful::config::written::WrittenSettings;
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
use tactful::use_cases::follow_store::follow_store;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tonic::body::Body;
use tonic::transport::{Channel, Endpoint};
use tonic_health::pb::health_client::HealthClient;
use tower::{Service, ServiceExt};

/// Longer than any step takes; only a test that would hang reaches it.
const TIMEOUT: Duration = Duration::from_secs(60);

/// Running server. It stops when dropped; [`TestServer::stop`] checks that it shuts down in order. Over a database it is
/// [`REPLICAS`] servers that share one store.
pub struct TestServer {
    /// Address of the first replica.
    pub address: SocketAddr,
    pub clock: Arc<ManualClock>,
    pub channel: Replicas,
    /// Application context of the first replica, to inspect what clients cannot see.
    pub app: Arc<App>,
    stop: Vec<oneshot::Sender<()>>,
    ended: Vec<JoinHandle<Result<(), RunError>>>,
}

/// Number of servers over one database.
const REPLICAS: usize = 3;

impl TestServer {
    /// Starts with a store in memory, and a clock that stands still.
    pub async fn in_memory() -> Self {
        Self::with(in_memory(), ManualClock::new()).await
    }

    /// Starts with a store on disk.
    pub async fn on_disk(directory: &Path, clock: Arc<ManualClock>) -> Self {
        Self::with(on_disk(directory), clock).await
    }

    /// Starts servers, and has all calls go to the first.
    pub async fn one(settings: Settings, clock: Arc<ManualClock>) -> Self {
        let server = Box::pin(Self::with(settings, clock)).await;
        Self { channel: server.channel.first(), ..server }
    }

    pub async fn with(settings: Settings, clock: Arc<ManualClock>) -> Self {
        let first = Replica::start(settings.clone(), &clock).await;
        let (address, app) = (first.address, Arc::clone(&first.app));
        let mut replicas = vec![first];
        while settings.storage.store == StoreKind::Postgres && replicas.len() < REPLICAS {
            replicas.push(Replica::start(settings.clone(), &clock).await);
        }
        let channel = Replicas {
            channels: replicas.iter().map(|replica| replica.channel.clone()).collect(),
            apps: replicas.iter().map(|replica| Arc::downgrade(&replica.app)).collect(),
            calls: Arc::default(),
        };
        let (stop, ended) = replicas.into_iter().map(|replica| (replica.stop, replica.ended)).unzip();
        Self { address, clock, channel, app, stop, ended }
    }

    pub fn offers(&self) -> OfferServiceClient<Replicas> {
        OfferServiceClient::new(self.channel.clone())
    }

    pub fn feedback(&self) -> FeedbackServiceClient<Replicas> {
        FeedbackServiceClient::new(self.channel.clone())
    }

    pub fn relationships(&self) -> RelationshipServiceClient<Replicas> {
        RelationshipServiceClient::new(self.channel.clone())
    }

    pub fn catalog(&self) -> CatalogServiceClient<Replicas> {
        CatalogServiceClient::new(self.channel.clone())
    }

    pub fn customers(&self) -> CustomerServiceClient<Replicas> {
        CustomerServiceClient::new(self.channel.clone())
    }

    pub fn models(&self) -> ModelServiceClient<Replicas> {
        ModelServiceClient::new(self.channel.clone())
    }

    pub fn policies(&self) -> PolicyServiceClient<Replicas> {
        PolicyServiceClient::new(self.channel.clone())
    }

    pub fn readiness(&self) -> HealthClient<Replicas> {
        HealthClient::new(self.channel.clone())
    }

    /// Sends the stop signal; the returned task ends when the server has shut down.
    pub fn start_shutdown(self) -> JoinHandle<Result<(), RunError>> {
        let Self { stop, ended, .. } = self;
        for stop in stop {
            stop.send(()).expect("the server listens for the stop");
        }
        tokio::spawn(async {
            for ended in ended {
                ended.await.expect("does not panic")?;
            }
            Ok(())
        })
    }

    /// Shuts the server down and waits until all of it is dropped, so that its directory is unlocked.
    pub async fn stop(self) {
        let store = Arc::downgrade(self.app.store());
        let stopped = within_timeout(self.start_shutdown()).await;
        stopped.expect("does not panic").expect("stops in order");
        until(async || store.strong_count() == 0).await;
    }
}

/// One running server.
pub struct Replica {
    pub address: SocketAddr,
    pub app: Arc<App>,
    pub channel: Channel,
    pub stop: oneshot::Sender<()>,
    pub ended: JoinHandle<Result<(), RunError>>,
}

impl Replica {
    pub async fn start(settings: Settings, clock: &Arc<ManualClock>) -> Self {
        let clock = Arc::clone(clock) as Arc<dyn Clock>;
        let server = Server::build(settings, Some(clock)).await.expect("starts");
        let (address, app) = (server.local_addr(), Arc::clone(server.app()));
        let (stop, stopped) = oneshot::channel();
        let ended = tokio::spawn(server.run(async {
            // A dropped sender stops the server as well.
            let _stopped = stopped.await;
        }));
        let endpoint = Endpoint::from_shared(format!("http://{address}")).expect("an address is a valid URI");
        let channel = endpoint.connect().await.expect("the listener is bound");
        Self { address, app, channel, stop, ended }
    }
}

/// Connections to the replicas of a server. Each call goes to the next one, once all have followed what calls before it
/// published, so that tests need not wait for the polls.
#[derive(Clone)]
pub struct Replicas {
    channels: Arc<[Channel]>,
    /// Clients may outlive their server.
    apps: Arc<[Weak<App>]>,
    calls: Arc<AtomicUsize>,
}

impl Replicas {
    /// The first replica alone, for the limits of each server.
    fn first(&self) -> Self {
        let Self { channels, apps, calls } = self;
        Self { channels: channels[..1].into(), apps: apps[..1].into(), calls: Arc::clone(calls) }
    }

    async fn follow(&self) {
        if self.apps.len() == 1 {
            return;
        }
        for app in self.apps.iter().filter_map(Weak::upgrade) {
            let Some(shared) = app.store().shared() else { continue };
            // A store that does not answer is what some tests are about.
            if let Ok(published) = shared.published().await {
                let _followed = follow_store(&app, &published.numbers).await;
            }
        }
    }
}

impl Service<http::Request<Body>> for Replicas {
    type Response = http::Response<Body>;
    type Error = tonic::transport::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Self::Error>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let replicas = self.clone();
        let call = self.calls.fetch_add(1, Ordering::Relaxed);
        Box::pin(async move {
            replicas.follow().await;
            replicas.channels[call % replicas.channels.len()].clone().oneshot(request).await
        })
    }
}

/// Settings with a store in memory, or where `TACTFUL_TEST_STORE` is `postgres`, in a database.
pub fn written() -> WrittenSettings {
    #[cfg(feature = "postgres")]
    if std::env::var("TACTFUL_TEST_STORE").is_ok_and(|store| store == "postgres") {
        return in_database();
    }
    without_store().with("store", "memory")
}

/// Settings with a new store in a database.
#[cfg(feature = "postgres")]
pub fn in_database() -> WrittenSettings {
    let url = crate::support::postgres::new_store_url();
    without_store().with("store", "postgres").with("store-url", url).with("store-confirms", "engine")
}

pub fn without_store() -> WrittenSettings {
    WrittenSettings::default()
        .with("listen", "127.0.0.1:0")
        .with("metrics-listen", "off")
        .with("training-interval", "off")
        .with("training-threads", "1")
}

pub fn in_memory() -> Settings {
    written().check().expect("valid settings")
}

pub fn on_disk(directory: &Path) -> Settings {
    let data_dir = directory.to_str().expect("a path in UTF-8");
    written().with("store", "sled").with("data-dir", data_dir).check().expect("valid settings")
}

/// Waits for a condition, without sleeping.
pub async fn until(mut condition: impl AsyncFnMut() -> bool) {
    within_timeout(async {
        while !condition().await {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

pub async fn within_timeout<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(TIMEOUT, future).await.expect("happens within a minute")
}

/// Clock that tests advance, and that can block its readers.
pub struct ManualClock {
    ms: AtomicI64,
    gate: Mutex<Gate>,
    opened: Condvar,
}

#[derive(Default)]
struct Gate {
    is_closed: bool,
    waiting: usize,
}

impl ManualClock {
    pub fn new() -> Arc<Self> {
        let ms = AtomicI64::new(1_700_000_000_000);
        Arc::new(Self { ms, gate: Mutex::default(), opened: Condvar::new() })
    }

    pub fn advance(&self, span: Duration) {
        self.ms.fetch_add(i64::try_from(span.as_millis()).expect("a short span"), Ordering::SeqCst);
    }

    /// Blocks readers of the clock until the returned guard is dropped. Needs a multi-threaded runtime.
    pub fn block_readers(&self) -> BlockedClock<'_> {
        self.gate.lock().expect("not poisoned").is_closed = true;
        BlockedClock(self)
    }

    pub fn has_blocked_reader(&self) -> bool {
        self.gate.lock().expect("not poisoned").waiting > 0
    }
}

/// Guard that blocks the readers of a clock.
pub struct BlockedClock<'a>(&'a ManualClock);

impl Drop for BlockedClock<'_> {
    fn drop(&mut self) {
        self.0.gate.lock().expect("not poisoned").is_closed = false;
        self.0.opened.notify_all();
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        let mut gate = self.gate.lock().expect("not poisoned");
        if gate.is_closed {
            gate.waiting += 1;
            // A thread that blocks without block_in_place may stop the timers of the runtime.
            gate = tokio::task::block_in_place(|| self.opened.wait_while(gate, |gate| gate.is_closed))
                .expect("not poisoned");
            gate.waiting -= 1;
        }
        drop(gate);
        Timestamp::from_unix_ms(self.ms.load(Ordering::SeqCst)).expect("in range")
    }
}
