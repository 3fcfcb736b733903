//! A stalled disk: writing services turn not ready and recover, and all others keep serving.

use std::sync::Arc;

use crate::harness::{ManualClock, TestServer, within_timeout};
use tactful::grpc::generated::tactful::v1::{
    CrossSellRequest, CustomerEvent, EventKind, GetRelationshipHealthRequest, RecordEventsRequest, ServingMode,
};
use tactful::use_cases::app::Clock;
use tonic::Code;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;

async fn status_of(server: &TestServer, service: &str) -> ServingStatus {
    let request = HealthCheckRequest { service: service.to_owned() };
    server.readiness().check(request).await.expect("answers").into_inner().status()
}

/// Broken by: a check that waits for the disk without a timeout, or a condition that makes the whole server not ready.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn writing_services_are_not_ready_while_the_disk_stalls() {
    let scenario = fail::FailScenario::setup();
    let directory = tempfile::tempdir().expect("a directory");
    let clock = ManualClock::new();
    let server = TestServer::on_disk(directory.path(), Arc::clone(&clock)).await;
    let watched = HealthCheckRequest { service: "tactful.v1.FeedbackService".to_owned() };
    let mut statuses = server.readiness().watch(watched).await.expect("watches").into_inner();
    let mut next = async || {
        let status = within_timeout(statuses.message()).await.expect("goes on");
        status.expect("does not end").status()
    };
    assert_eq!(next().await, ServingStatus::Serving);

    fail::cfg("store::after_flush", "pause").expect("a failpoint");
    let event = CustomerEvent {
        event_id: "e1".to_owned(),
        customer_id: "ada".to_owned(),
        kind: EventKind::Visit.into(),
        event_time: Some(prost_types::Timestamp { seconds: clock.now().unix_ms() / 1_000 - 3_600, nanos: 0 }),
        ..CustomerEvent::default()
    };
    let request = RecordEventsRequest { events: vec![event] };
    let mut feedback = server.feedback();
    let mut record = async || feedback.record_events(request.clone()).await;
    let unacknowledged = record().await.expect_err("an event that is not on disk is not acknowledged");
    assert_eq!(unacknowledged.code(), Code::DeadlineExceeded);
    assert_eq!(next().await, ServingStatus::NotServing);
    assert_eq!(status_of(&server, "tactful.v1.CatalogService").await, ServingStatus::NotServing);
    for service in ["", "tactful.v1.OfferService", "tactful.v1.RelationshipService"] {
        assert_eq!(status_of(&server, service).await, ServingStatus::Serving, "{service}");
    }
    let preview = CrossSellRequest {
        customer_id: "ada".to_owned(),
        mode: ServingMode::Preview.into(),
        ..CrossSellRequest::default()
    };
    server.offers().cross_sell(preview).await.expect("a preview needs no disk");
    let health = GetRelationshipHealthRequest { customer_id: "ada".to_owned() };
    server.relationships().get_relationship_health(health).await.expect("nor does health");

    fail::remove("store::after_flush");
    assert_eq!(next().await, ServingStatus::Serving);
    let results = record().await.expect("answers").into_inner().results;
    assert!(results[0].duplicate, "it was applied, and is on disk now: {results:?}");
    server.stop().await;
    scenario.teardown();
}
