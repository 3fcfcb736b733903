//! Server for tests: started on a free port, shut down in order, with clients.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use tactful::config::settings::Settings;
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
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tonic::transport::{Channel, Endpoint};
use tonic_health::pb::health_client::HealthClient;

/// Longer than any step takes; only a test that would hang reaches it.
const TIMEOUT: Duration = Duration::from_secs(60);

/// Running server. It stops when dropped; [`TestServer::stop`] checks that it shuts down in order.
pub struct TestServer {
    pub address: SocketAddr,
    pub clock: Arc<ManualClock>,
    pub channel: Channel,
    /// Application context of the server, to inspect what clients cannot see.
    pub app: Arc<App>,
    stop: oneshot::Sender<()>,
    ended: JoinHandle<Result<(), RunError>>,
}

impl TestServer {
    /// Starts with a store in memory, and a clock that stands still.
    pub async fn in_memory() -> Self {
        Self::with(in_memory(), ManualClock::new()).await
    }

    /// Starts with a store on disk.
    pub async fn on_disk(directory: &Path, clock: Arc<ManualClock>) -> Self {
        Self::with(on_disk(directory), clock).await
    }

    pub async fn with(settings: Settings, clock: Arc<ManualClock>) -> Self {
        let server = Server::build(settings, Some(Arc::clone(&clock) as Arc<dyn Clock>)).await.expect("starts");
        let (address, app) = (server.local_addr(), Arc::clone(server.app()));
        let (stop, stopped) = oneshot::channel();
        let ended = tokio::spawn(server.run(async {
            // A dropped sender stops the server as well.
            let _stopped = stopped.await;
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

    /// Sends the stop signal; the returned task ends when the server has shut down.
    pub fn start_shutdown(self) -> JoinHandle<Result<(), RunError>> {
        let Self { stop, ended, .. } = self;
        stop.send(()).expect("the server listens for the stop");
        ended
    }

    /// Shuts the server down and waits until all of it is dropped, so that its directory is unlocked.
    pub async fn stop(self) {
        let store = Arc::downgrade(self.app.store());
        let stopped = within_timeout(self.start_shutdown()).await;
        stopped.expect("does not panic").expect("stops in order");
        until(async || store.strong_count() == 0).await;
    }
}

pub fn written() -> WrittenSettings {
    let written = WrittenSettings::default()
        .with("listen", "127.0.0.1:0")
        .with("metrics-listen", "off")
        .with("training-interval", "off")
        .with("training-threads", "1");
    with_store(written)
}

/// Adds a store in memory, or where `TACTFUL_TEST_STORE` is `postgres`, one in a database.
fn with_store(written: WrittenSettings) -> WrittenSettings {
    #[cfg(feature = "postgres")]
    if std::env::var("TACTFUL_TEST_STORE").is_ok_and(|store| store == "postgres") {
        let url = crate::support::postgres::new_store_url();
        return written.with("store", "postgres").with("store-url", url).with("store-confirms", "engine");
    }
    written.with("store", "memory")
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
