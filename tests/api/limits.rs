//! Batches and messages at their limits, and beyond.

use tactful::domain::time::DAY;
use tactful::grpc::generated::tactful::v1::{
    BatchUpsertCustomersRequest, BatchUpsertProductsRequest, CustomerProfile, OfferOutcome, Product,
    RecordEventsRequest, RecordOutcomesRequest, StreamProductsRequest,
};
use tonic::Code;

use super::faults::{bad_fields, is_ok, refusal};
use super::harness::TestServer;
use super::shop::{REQUEST_ID, ago, stored_customer};
use crate::support::wire_shop::{product, purchase};

const TOO_MANY: [usize; 3] = [0, 1001, 10_001];

#[tokio::test]
async fn a_batch_of_a_thousand_is_taken() {
    let server = TestServer::in_memory().await;
    let at = ago(&server.clock, DAY);
    let events = (0..1000).map(|number| purchase(&format!("e{number}"), &format!("c{number}"), "kettle", at));
    let request = RecordEventsRequest { events: events.collect() };
    let results = server.feedback().record_events(request).await.expect("records").into_inner().results;
    assert!(results.len() == 1000 && results.iter().all(is_ok));

    let products = (0..1000).map(|number| product(&format!("p{number}")));
    let request = BatchUpsertProductsRequest { products: products.collect() };
    let results = server.catalog().batch_upsert_products(request).await.expect("upserts").into_inner().results;
    assert!(results.len() == 1000 && results.iter().all(is_ok));

    let profile = |number| CustomerProfile { customer_id: format!("d{number}"), ..CustomerProfile::default() };
    let request = BatchUpsertCustomersRequest { customers: (0..1000).map(profile).collect() };
    let results = server.customers().batch_upsert_customers(request).await.expect("upserts").into_inner().results;
    assert!(results.len() == 1000 && results.iter().all(is_ok));

    let outcome = OfferOutcome {
        customer_id: "c0".into(),
        decision_id: REQUEST_ID.into(),
        offer_id: "product/kettle".into(),
        kind: 1,
        ..OfferOutcome::default()
    };
    let request = RecordOutcomesRequest { outcomes: vec![outcome; 1000] };
    let results = server.feedback().record_outcomes(request).await.expect("answers").into_inner().results;
    assert!(results.len() == 1000 && !results.iter().any(is_ok), "each result reports an unknown decision");
}

#[tokio::test]
async fn an_empty_or_longer_batch_is_refused_whole() {
    let server = TestServer::in_memory().await;
    let at = ago(&server.clock, DAY);
    for count in TOO_MANY {
        let events = (0..count).map(|number| purchase(&format!("e{number}"), "ada", "kettle", at));
        let request = RecordEventsRequest { events: events.collect() };
        assert_eq!(bad_fields(&refusal(server.feedback().record_events(request).await)), ["events"]);

        let request = RecordOutcomesRequest { outcomes: vec![OfferOutcome::default(); count] };
        assert_eq!(bad_fields(&refusal(server.feedback().record_outcomes(request).await)), ["outcomes"]);

        let products = (0..count).map(|number| product(&format!("p{number}")));
        let request = BatchUpsertProductsRequest { products: products.collect() };
        assert_eq!(bad_fields(&refusal(server.catalog().batch_upsert_products(request).await)), ["products"]);

        let customer = CustomerProfile { customer_id: "ada".into(), ..CustomerProfile::default() };
        let request = BatchUpsertCustomersRequest { customers: vec![customer; count] };
        assert_eq!(bad_fields(&refusal(server.customers().batch_upsert_customers(request).await)), ["customers"]);
    }
    let counts = server.app.store().counts().await.expect("counts");
    assert_eq!((counts.customers, counts.products, counts.events, counts.decisions), (0, 0, 0, 0));
}

#[tokio::test]
async fn a_message_of_five_megabytes_is_refused_and_the_server_serves_on() {
    let server = TestServer::in_memory().await;
    let huge = Product { title: "t".repeat(5 << 20), ..product("huge") };
    let request = BatchUpsertProductsRequest { products: vec![huge.clone()] };
    let status = refusal(server.catalog().batch_upsert_products(request).await);
    assert_eq!(status.code(), Code::OutOfRange, "{status:?}");

    let part = StreamProductsRequest { products: vec![huge] };
    let status = refusal(server.catalog().stream_products(tokio_stream::iter([part])).await);
    assert_eq!(status.code(), Code::OutOfRange, "{status:?}");

    let request = BatchUpsertProductsRequest { products: vec![product("small")] };
    server.catalog().batch_upsert_products(request).await.expect("serves on");
    assert_eq!(server.app.store().counts().await.expect("counts").products, 1);
    assert_eq!(stored_customer(&server, "ada").await, None);
}
