//! Small shop: a kettle with five complements, and a ladder of two toasters.

use std::time::Duration;

use prost_types::Timestamp;
use tactful::domain::time::DAY;
use tactful::grpc::generated::tactful::v1::{
    BatchUpsertProductsRequest, Cap, CapKind, CustomerEvent, FeatureValue, GetCustomerRequest, GetCustomerResponse,
    Product, RecordEventsRequest, feature_value,
};
use tactful::use_cases::app::Clock;

use super::faults::is_ok;
use super::harness::{ManualClock, TestServer};
use crate::support::wire_shop::{complement, gbp, on_ladder, product, purchase};

pub const REQUEST_ID: &str = "8e3b1a52-0c7e-4a8e-9f0a-6f8d2f3c1b7d";
pub const COMPLEMENTS: [&str; 5] = ["teapot", "infuser", "descaler", "tea", "mug"];

/// Starts a server with the catalogue and with customer Ada, who bought the kettle and the small toaster a month ago.
pub async fn open_shop() -> TestServer {
    let server = TestServer::in_memory().await;
    stock(&server).await;
    server
}

pub async fn stock(server: &TestServer) {
    let products = COMPLEMENTS.iter().map(|name| complement(name, "kettle")).chain([
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

fn toaster(name: &str, tier: u32, slots: f64, price: i64) -> Product {
    let slots = FeatureValue { value: Some(feature_value::Value::Number(slots)) };
    let features = [("slots".to_owned(), slots)].into();
    on_ladder("toasters", tier, Product { price: Some(gbp(price)), features, ..product(name) })
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

/// Records events that must all be new.
pub async fn record(server: &TestServer, events: Vec<CustomerEvent>) {
    let response = server.feedback().record_events(RecordEventsRequest { events }).await.expect("records").into_inner();
    assert!(response.results.iter().all(|result| is_ok(result) && !result.duplicate), "{response:?}");
}

/// Returns the stored customer; `None` when there is none.
pub async fn stored_customer(server: &TestServer, customer: &str) -> Option<GetCustomerResponse> {
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
