//! A small shop: a kettle with five things that go with it, and two toasters one above the other.

use std::time::Duration;

use prost_types::Timestamp;
use tactful::domain::time::DAY;
use tactful::grpc::generated::tactful::v1::{
    BatchUpsertProductsRequest, Cap, CapKind, CrossSellRequest, CustomerEvent, EventKind, FeatureValue,
    GetCustomerRequest, GetCustomerResponse, Money, Product, RecordEventsRequest, ServingMode, UpSellRequest,
    feature_value,
};
use tactful::use_cases::app::Clock;

use super::faults::is_ok;
use super::harness::{ManualClock, TestServer};

pub const REQUEST_ID: &str = "8e3b1a52-0c7e-4a8e-9f0a-6f8d2f3c1b7d";
pub const COMPLEMENTS: [&str; 5] = ["teapot", "infuser", "descaler", "tea", "mug"];

/// A server whose shop is stocked and whose customer Ada has had the kettle and the small toaster for a month.
pub async fn open_shop() -> TestServer {
    let server = TestServer::in_memory().await;
    stock(&server).await;
    server
}

pub async fn stock(server: &TestServer) {
    let complement = |name: &str| Product { compatible_with: vec!["kettle".into()], ..product(name) };
    let products = COMPLEMENTS.iter().map(|name| complement(name)).chain([
        product("kettle"),
        toaster("small-toaster", 1, 2.0, 30),
        toaster("big-toaster", 2, 4.0, 60),
    ]);
    let request = BatchUpsertProductsRequest { products: products.collect() };
    let response = server.catalog().batch_upsert_products(request).await.expect("upserts").into_inner();
    assert!(response.results.iter().all(is_ok));
    let at = ago(&server.clock, DAY * 30);
    record(server, vec![purchase("ada-1", "ada", "kettle", at), purchase("ada-2", "ada", "small-toaster", at)]).await;
}

pub fn product(name: &str) -> Product {
    Product { product_id: name.into(), title: format!("The {name}"), ..Product::default() }
}

fn toaster(name: &str, tier: u32, slots: f64, price: i64) -> Product {
    let slots = FeatureValue { value: Some(feature_value::Value::Number(slots)) };
    Product {
        ladder: "toasters".into(),
        tier,
        price: Some(gbp(price)),
        features: [("slots".to_owned(), slots)].into(),
        ..product(name)
    }
}

pub fn gbp(units: i64) -> Money {
    Money { currency_code: "GBP".into(), units, nanos: 0 }
}

pub fn now(clock: &ManualClock) -> Timestamp {
    timestamp(clock.now().unix_ms())
}

pub fn ago(clock: &ManualClock, span: Duration) -> Timestamp {
    timestamp((clock.now() - span).unix_ms())
}

pub fn in_future(clock: &ManualClock, span: Duration) -> Timestamp {
    timestamp((clock.now() + span).unix_ms())
}

fn timestamp(unix_ms: i64) -> Timestamp {
    let nanos = i32::try_from(unix_ms.rem_euclid(1000)).expect("below 1000") * 1_000_000;
    Timestamp { seconds: unix_ms.div_euclid(1000), nanos }
}

pub fn event(id: &str, customer: &str, kind: EventKind, at: Timestamp) -> CustomerEvent {
    CustomerEvent {
        event_id: id.into(),
        customer_id: customer.into(),
        kind: kind.into(),
        event_time: Some(at),
        ..CustomerEvent::default()
    }
}

pub fn purchase(id: &str, customer: &str, product: &str, at: Timestamp) -> CustomerEvent {
    CustomerEvent { product_id: product.into(), ..event(id, customer, EventKind::Purchase, at) }
}

pub fn complaint(id: &str, customer: &str, case: &str, at: Timestamp) -> CustomerEvent {
    CustomerEvent { case_id: case.into(), severity: Some(2), ..event(id, customer, EventKind::Complaint, at) }
}

/// Records events that must all be new.
pub async fn record(server: &TestServer, events: Vec<CustomerEvent>) {
    let answer = server.feedback().record_events(RecordEventsRequest { events }).await.expect("records").into_inner();
    assert!(answer.results.iter().all(|result| is_ok(result) && !result.duplicate), "{answer:?}");
}

pub fn cross_sell(customer: &str) -> CrossSellRequest {
    CrossSellRequest { customer_id: customer.into(), ..CrossSellRequest::default() }
}

pub fn up_sell(customer: &str) -> UpSellRequest {
    UpSellRequest { customer_id: customer.into(), ..UpSellRequest::default() }
}

pub fn preview(customer: &str) -> CrossSellRequest {
    CrossSellRequest { mode: ServingMode::Preview.into(), ..cross_sell(customer) }
}

/// What is kept of a customer; `None` when nothing is.
pub async fn kept(server: &TestServer, customer: &str) -> Option<GetCustomerResponse> {
    match server.customers().get_customer(GetCustomerRequest { customer_id: customer.into() }).await {
        Ok(response) => Some(response.into_inner()),
        Err(status) => {
            assert_eq!(status.code(), tonic::Code::NotFound, "{status:?}");
            None
        }
    }
}

pub fn cap(caps: &[Cap], kind: CapKind) -> &Cap {
    caps.iter().find(|cap| cap.kind() == kind).expect("the cap applies")
}
