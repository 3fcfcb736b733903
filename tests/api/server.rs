//! Starting, stopping, health and limits.

use std::time::Duration;

use tactful::config::WrittenSettings;
use tactful::grpc::generated::tactful::v1 as wire;
use tactful::grpc::services::SERVICE_NAMES;
use tactful::server::serve::{Server, StartError};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Code;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;
use tonic_types::StatusExt;

use crate::harness::{Api, HandClock, bought, cross_sell, on_disk, reason, settings, written};

/// Why a server with these settings does not start, causes included.
async fn refusal(written: WrittenSettings) -> (StartError, String) {
    let Err(error) = Server::build(settings(written), Some(HandClock::new())).await else { panic!("it started") };
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(&error);
    while let Some(source) = cause {
        text = format!("{text}: {source}");
        cause = source.source();
    }
    (error, text)
}

#[tokio::test]
async fn a_port_in_use_is_told() {
    let api = Api::start_with(written(), HandClock::new()).await;
    let address = api.address.to_string();
    let (error, text) = refusal(WrittenSettings { listen: Some(address.clone()), ..written() }).await;
    assert!(matches!(error, StartError::Listen { .. }));
    assert!(text.contains(&address) && text.contains("in use"), "{text}");
}

#[tokio::test]
async fn a_data_directory_that_cannot_be_had_is_told() {
    let directory = tempfile::tempdir().expect("a directory");
    let api = Api::start_with(on_disk(directory.path()), HandClock::new()).await;
    let (_, locked) = refusal(on_disk(directory.path())).await;
    assert!(locked.contains("in use by another process"), "{locked}");
    api.stop().await.expect("stops");

    // Below a file nothing can be made, not even by root.
    let file = directory.path().join("file");
    std::fs::write(&file, "not a directory").expect("a file");
    let (_, unwritable) = refusal(on_disk(&file.join("data"))).await;
    assert!(unwritable.contains(&*file.to_string_lossy()), "{unwritable}");

    let other = directory.path().join("other");
    std::fs::create_dir(&other).expect("a directory");
    std::fs::write(other.join("letter.txt"), "somebody else's").expect("a file");
    let (_, foreign) = refusal(on_disk(&other)).await;
    assert!(foreign.contains(&*other.to_string_lossy()), "{foreign}");
    assert_eq!(std::fs::read_dir(&other).expect("readable").count(), 1, "nothing was put there");
}

#[tokio::test]
async fn health_is_told_for_the_server_and_each_service() {
    let api = Api::start_with(written(), HandClock::new()).await;
    let mut health = HealthClient::new(api.channel.clone());
    for service in SERVICE_NAMES.into_iter().chain([""]) {
        let checked = health.check(HealthCheckRequest { service: service.to_owned() }).await.expect("an answer");
        assert_eq!(checked.into_inner().status(), ServingStatus::Serving, "{service}");
    }
    let unknown = health.check(HealthCheckRequest { service: "nobody".to_owned() }).await.expect_err("unknown");
    assert_eq!(unknown.code(), Code::NotFound);
}

/// A stream is open when the stop begins; it is answered, watchers are told, and then the server ends.
#[tokio::test]
async fn a_stop_turns_not_ready_first_and_lets_calls_end() {
    let directory = tempfile::tempdir().expect("a directory");
    let api = Api::start_with(on_disk(directory.path()), HandClock::new()).await;
    api.fill().await;
    let mut watched = HealthClient::new(api.channel.clone())
        .watch(HealthCheckRequest { service: String::new() })
        .await
        .expect("watches")
        .into_inner();
    let mut next = async || watched.message().await.expect("told").expect("a status").status();
    assert_eq!(next().await, ServingStatus::Serving);

    let (send, parts) = mpsc::channel(1);
    let mut feedback = api.feedback();
    let streaming = tokio::spawn(async move { feedback.stream_events(ReceiverStream::new(parts)).await });
    let part = |id: &str| wire::StreamEventsRequest { events: vec![bought(id, "ann", "line", 1)] };
    send.send(part("before")).await.expect("open");
    let stopping = tokio::spawn(api.stop());
    assert_eq!(next().await, ServingStatus::NotServing);
    drop(watched);
    send.send(part("meanwhile")).await.expect("still open");
    drop(send);
    let tally = streaming.await.expect("no panic").expect("an answer").into_inner();
    assert_eq!(tally.recorded, 2);
    stopping.await.expect("no panic").expect("stops");
    // All was flushed and the lock is free.
    let api = Api::start_with(on_disk(directory.path()), HandClock::new()).await;
    assert_eq!(api.tactful.store().counts().await.expect("counts").events, 2);
    api.stop().await.expect("stops");
}

#[tokio::test]
async fn more_calls_than_allowed_are_shed_with_a_time_to_retry_and_health_is_not() {
    let api =
        Api::start_with(WrittenSettings { requests_max: Some("1".to_owned()), ..written() }, HandClock::new()).await;
    let (send, parts) = mpsc::channel::<wire::StreamEventsRequest>(1);
    let mut feedback = api.feedback();
    let streaming = tokio::spawn(async move { feedback.stream_events(ReceiverStream::new(parts)).await });
    // The stream holds the only place from some moment on.
    let shed = loop {
        match api.offers().cross_sell(cross_sell("ann")).await {
            Ok(_) => tokio::task::yield_now().await,
            Err(shed) => break shed,
        }
    };
    assert_eq!((shed.code(), reason(&shed).as_str()), (Code::ResourceExhausted, "SERVER_BUSY"));
    let retry = shed.get_error_details().retry_info().and_then(|info| info.retry_delay);
    assert_eq!(retry, Some(Duration::from_millis(500)));
    let mut health = HealthClient::new(api.channel.clone());
    health.check(HealthCheckRequest { service: String::new() }).await.expect("never shed");
    drop(send);
    streaming.await.expect("no panic").expect("an answer");
    api.offers().cross_sell(cross_sell("ann")).await.expect("the place is free again");
}
