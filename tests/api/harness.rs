//! A running server, its clients, and a small shop in it.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use tactful::config::{Settings, WrittenSettings};
use tactful::domain::time::Timestamp;
use tactful::grpc::generated::tactful::v1 as wire;
use tactful::server::serve::{RunError, Server};
use tactful::use_cases::tactful::{Clock, Tactful};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Status};
use tonic_types::StatusExt;
use wire::catalog_service_client::CatalogServiceClient;
use wire::customer_service_client::CustomerServiceClient;
use wire::feedback_service_client::FeedbackServiceClient;
use wire::model_service_client::ModelServiceClient;
use wire::offer_service_client::OfferServiceClient;
use wire::relationship_service_client::RelationshipServiceClient;

/// 2023-11-14T22:13:20Z, in seconds.
pub const NOW: i64 = 1_700_000_000;
pub const DAY: i64 = 86_400;

pub struct HandClock(AtomicI64);

impl HandClock {
    pub fn new() -> Arc<Self> {
        Arc::new(Self(AtomicI64::new(NOW * 1000)))
    }

    pub fn advance(&self, span: Duration) {
        self.0.fetch_add(i64::try_from(span.as_millis()).expect("a short span"), Ordering::SeqCst);
    }
}

impl Clock for HandClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_unix_ms(self.0.load(Ordering::SeqCst)).expect("in range")
    }
}

/// A server that runs until it is stopped or dropped.
pub struct Api {
    pub address: SocketAddr,
    pub clock: Arc<HandClock>,
    pub tactful: Arc<Tactful>,
    pub channel: Channel,
    stop: oneshot::Sender<()>,
    running: JoinHandle<Result<(), RunError>>,
}

/// Settings of a test: a free port, no metrics, no training of its own accord.
pub fn written() -> WrittenSettings {
    WrittenSettings {
        listen: Some("127.0.0.1:0".to_owned()),
        metrics_listen: Some("off".to_owned()),
        train_every: Some("off".to_owned()),
        store: Some("memory".to_owned()),
        ..WrittenSettings::default()
    }
}

pub fn on_disk(directory: &Path) -> WrittenSettings {
    let data_dir = Some(directory.display().to_string());
    WrittenSettings { store: Some("sled".to_owned()), data_dir, ..written() }
}

pub fn settings(written: WrittenSettings) -> Settings {
    written.check().expect("these hold together")
}

impl Api {
    /// On a store in memory, with the shop.
    pub async fn start() -> Self {
        let api = Self::start_with(written(), HandClock::new()).await;
        api.fill().await;
        api
    }

    pub async fn start_with(written: WrittenSettings, clock: Arc<HandClock>) -> Self {
        let server = Server::build(settings(written), Some(Arc::clone(&clock) as Arc<dyn Clock>)).await;
        let server = server.expect("starts");
        let (address, tactful) = (server.local_addr(), Arc::clone(server.tactful()));
        let (stop, stopped) = oneshot::channel();
        let running = tokio::spawn(server.run(async {
            // An error means that the test is over.
            let _over = stopped.await;
        }));
        let endpoint = Endpoint::from_shared(format!("http://{address}")).expect("an address");
        let channel = endpoint.connect().await.expect("the server listens");
        Self { address, clock, tactful, channel, stop, running }
    }

    /// Stops in order, and waits for the end.
    pub async fn stop(self) -> Result<(), RunError> {
        // An error means that it has ended already.
        let _ended = self.stop.send(());
        drop(self.channel);
        drop(self.tactful);
        self.running.await.expect("no panic")
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

    /// A telephone line with what goes with it, and two toasters.
    pub async fn fill(&self) {
        let goes_with_line =
            |id: &str, title: &str| wire::Product { requires: vec!["line".to_owned()], ..product(id, title) };
        let toaster = |id: &str, tier: u32, slots: f64, dollars: i64| wire::Product {
            ladder: "toasters".to_owned(),
            tier,
            price: Some(usd(dollars)),
            features: [("slots".to_owned(), feature(slots))].into(),
            ..product(id, "Toaster")
        };
        let products = vec![
            product("line", "Telephone line"),
            goes_with_line("voice-mail", "Voice mail"),
            goes_with_line("call-waiting", "Call waiting"),
            goes_with_line("long-distance", "Long distance"),
            goes_with_line("caller-id", "Caller id"),
            goes_with_line("directory", "Directory listing"),
            toaster("two-slot", 1, 2.0, 30),
            toaster("four-slot", 2, 4.0, 60),
        ];
        let request = wire::BatchUpsertProductsRequest { products };
        let answer = self.catalog().batch_upsert_products(request).await.expect("upserts").into_inner();
        assert_all_taken(&answer.results);
    }

    /// Records events that are all good.
    pub async fn record(&self, events: Vec<wire::CustomerEvent>) {
        let answer = self.feedback().record_events(wire::RecordEventsRequest { events }).await.expect("records");
        assert_all_taken(&answer.into_inner().results);
    }

    /// Ann has the line, and Bob the smaller toaster.
    pub async fn sell_to_ann_and_bob(&self) {
        self.record(vec![bought("ann-1", "ann", "line", 40), bought("bob-1", "bob", "two-slot", 40)]).await;
    }
}

pub fn product(id: &str, title: &str) -> wire::Product {
    wire::Product { product_id: id.to_owned(), title: title.to_owned(), ..wire::Product::default() }
}

pub fn usd(units: i64) -> wire::Money {
    wire::Money { currency_code: "USD".to_owned(), units, nanos: 0 }
}

pub fn feature(number: f64) -> wire::FeatureValue {
    wire::FeatureValue { value: Some(wire::feature_value::Value::Number(number)) }
}

#[allow(clippy::unnecessary_wraps, reason = "every field that takes one is optional")]
pub fn at(seconds: i64) -> Option<prost_types::Timestamp> {
    Some(prost_types::Timestamp { seconds, nanos: 0 })
}

pub fn event(id: &str, customer: &str, kind: wire::EventKind, days_ago: i64) -> wire::CustomerEvent {
    wire::CustomerEvent {
        event_id: id.to_owned(),
        customer_id: customer.to_owned(),
        kind: kind.into(),
        event_time: at(NOW - days_ago * DAY),
        ..wire::CustomerEvent::default()
    }
}

pub fn bought(id: &str, customer: &str, product: &str, days_ago: i64) -> wire::CustomerEvent {
    wire::CustomerEvent { product_id: product.to_owned(), ..event(id, customer, wire::EventKind::Purchase, days_ago) }
}

pub fn cross_sell(customer: &str) -> wire::CrossSellRequest {
    wire::CrossSellRequest { customer_id: customer.to_owned(), ..wire::CrossSellRequest::default() }
}

pub fn up_sell(customer: &str) -> wire::UpSellRequest {
    wire::UpSellRequest { customer_id: customer.to_owned(), ..wire::UpSellRequest::default() }
}

pub fn assert_all_taken(results: &[wire::EntryResult]) {
    for result in results {
        let status = result.status.as_ref().expect("every entry has a status");
        assert_eq!(status.code, 0, "{}", status.message);
    }
}

/// The fields that an error names, in order of name.
pub fn bad_fields(status: &Status) -> Vec<String> {
    assert_eq!(status.code(), Code::InvalidArgument, "{status}");
    let details = status.get_error_details();
    let bad_request = details.bad_request().expect("a bad request says what is bad");
    let mut fields: Vec<String> = bad_request.field_violations.iter().map(|fault| fault.field.clone()).collect();
    assert!(bad_request.field_violations.iter().all(|fault| !fault.description.is_empty()));
    fields.sort();
    fields
}

/// The stable reason of an error.
pub fn reason(status: &Status) -> String {
    let details = status.get_error_details();
    let info = details.error_info().expect("every error has a reason");
    assert_eq!(info.domain, "tactful");
    info.reason.clone()
}

/// The status of an entry of a batch, as one of a call.
pub fn entry_status(result: &wire::EntryResult) -> Status {
    use prost::Message;
    let status = result.status.as_ref().expect("every entry has a status");
    Status::with_details(Code::from_i32(status.code), status.message.clone(), status.encode_to_vec().into())
}
