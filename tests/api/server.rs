//! The server itself: errors at start, readiness, limits, shutdown and reflection.

use std::sync::Arc;
use std::time::Duration;

use tactful::config::settings::Settings;
use tactful::grpc::generated::tactful::v1::{
    GetCustomerRequest, GetModelRequest, GetRelationshipHealthRequest, StreamEventsRequest,
};
use tactful::grpc::services::SERVICE_NAMES;
use tactful::server::serve::{Server, StartError};
use tactful::store::contract::error::StoreError;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_stream::StreamExt;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Code, Status};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_reflection::pb::{v1, v1alpha};

use super::faults::{kind, refusal, retry_after};
use super::harness::{ManualClock, TestServer, in_memory, on_disk, until, within_timeout, written};
use super::shop::ago;
use crate::support::wire_shop::purchase;

async fn start_error(settings: Settings) -> (StartError, String) {
    let Err(error) = Server::build(settings, Some(ManualClock::new())).await else { panic!("must not start") };
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(&error);
    while let Some(source) = cause {
        text = format!("{text}: {source}");
        cause = source.source();
    }
    (error, text)
}

/// Starts a stream of events: one event is recorded, and the stream stays open until its sender is dropped.
async fn start_stream(server: &TestServer) -> (mpsc::Sender<StreamEventsRequest>, JoinHandle<Result<u64, Status>>) {
    let (sender, parts) = mpsc::channel(1);
    let event = purchase("e1", "ada", "kettle", ago(&server.clock, Duration::from_secs(60)));
    sender.send(StreamEventsRequest { events: vec![event] }).await.expect("the stream is open");
    let mut feedback = server.feedback();
    let call = tokio::spawn(async move {
        feedback.stream_events(ReceiverStream::new(parts)).await.map(|answer| answer.into_inner().recorded)
    });
    let store = server.app.store();
    until(async || store.counts().await.expect("counts").events == 1).await;
    (sender, call)
}

#[tokio::test]
async fn an_address_in_use_is_reported_with_the_address() {
    let first = TestServer::in_memory().await;
    let taken = written().with("listen", first.address.to_string());
    let (error, text) = start_error(taken.check().expect("valid settings")).await;
    assert!(matches!(error, StartError::Listen { address, .. } if address == first.address), "{text}");
    assert!(text.contains(&first.address.to_string()) && text.contains("in use"), "{text}");
}

#[tokio::test]
async fn a_data_directory_is_locked_until_the_server_has_stopped() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let first = TestServer::on_disk(directory.path(), ManualClock::new()).await;
    let (error, text) = start_error(on_disk(directory.path())).await;
    assert!(matches!(error, StartError::Store(StoreError::Locked { .. })), "{text}");
    assert!(text.contains("in use by another process") && text.contains(directory.path().to_str().expect("UTF-8")));
    first.stop().await;
    TestServer::on_disk(directory.path(), ManualClock::new()).await.stop().await;
}

#[tokio::test]
async fn a_directory_that_cannot_be_created_is_reported_with_its_path() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let file = directory.path().join("file");
    std::fs::write(&file, "not a directory").expect("writable");
    for path in [file.join("data"), file] {
        let (error, text) = start_error(on_disk(&path)).await;
        assert!(matches!(error, StartError::Store(StoreError::Failed { .. })), "{text}");
        assert!(text.contains(path.to_str().expect("UTF-8")), "{text}");
    }
    let (_, text) = start_error(on_disk(&directory.path().join("missing").join("data"))).await;
    assert!(text.contains("missing/data: the parent directory does not exist"), "{text}");
}

#[tokio::test]
async fn a_directory_of_another_format_is_rejected_with_both_formats() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    TestServer::on_disk(directory.path(), ManualClock::new()).await.stop().await;
    // A process that another test starts at this moment holds the lock until it runs a program of its own.
    until(async || {
        let opened = sled::Config::new().path(directory.path()).segment_size(2 << 20).open();
        opened.and_then(|db| db.open_tree("meta")?.insert("format", b"9")).is_ok()
    })
    .await;
    let (error, text) = start_error(on_disk(directory.path())).await;
    assert!(matches!(error, StartError::Store(StoreError::OtherFormat { .. })), "{text}");
    assert!(text.contains("has format 9, but this version of tactful reads format 4 only"), "{text}");
}

#[tokio::test]
async fn the_server_and_every_service_are_ready() {
    let server = TestServer::in_memory().await;
    for service in SERVICE_NAMES.into_iter().chain([""]) {
        let request = HealthCheckRequest { service: service.into() };
        let answer = server.readiness().check(request).await.expect("answers").into_inner();
        assert_eq!(answer.status(), ServingStatus::Serving, "{service:?}");
    }
    let status = refusal(server.readiness().check(HealthCheckRequest { service: "no.such.Service".into() }).await);
    assert_eq!(status.code(), Code::NotFound);
}

#[tokio::test]
async fn shutdown_reports_not_ready_and_completes_the_call_in_progress() {
    let server = TestServer::in_memory().await;
    let (sender, call) = start_stream(&server).await;
    let mut watches = Vec::new();
    for service in ["", "tactful.v1.OfferService"] {
        let request = HealthCheckRequest { service: service.into() };
        let mut statuses = server.readiness().watch(request).await.expect("watches").into_inner();
        let now = within_timeout(statuses.next()).await.expect("a first status").expect("a status");
        assert_eq!(now.status(), ServingStatus::Serving);
        watches.push(statuses);
    }

    let address = server.address;
    let stopped = server.start_shutdown();
    for mut statuses in watches {
        let then = within_timeout(statuses.next()).await.expect("a change").expect("a status");
        assert_eq!(then.status(), ServingStatus::NotServing);
    }
    assert!(!call.is_finished() && !stopped.is_finished(), "the server waits for the call in progress");
    drop(sender);
    assert_eq!(within_timeout(call).await.expect("does not panic").expect("is answered"), 1);
    within_timeout(stopped).await.expect("does not panic").expect("stops in order");
    assert!(tokio::net::TcpStream::connect(address).await.is_err(), "the port is closed");
}

#[tokio::test]
async fn shutdown_cancels_calls_that_outlast_the_drain() {
    let written = written().with("drain-timeout", "1ms");
    let server = TestServer::with(written.check().expect("valid settings"), ManualClock::new()).await;
    let (_sender, _call) = start_stream(&server).await;
    within_timeout(server.start_shutdown()).await.expect("does not panic").expect("stops in order");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_call_over_the_limit_is_rejected_with_a_retry_delay() {
    let written = written().with("requests-max", "1");
    let server = TestServer::with(written.check().expect("valid settings"), ManualClock::new()).await;
    let clock = Arc::clone(&server.clock);
    let shut = clock.block_readers();
    let mut relationships = server.relationships();
    let call = tokio::spawn(async move {
        loop {
            match relationships.get_relationship_health(of_ada()).await {
                // The calls below may have the permit when this one comes.
                Err(status) if status.code() == Code::ResourceExhausted => tokio::task::yield_now().await,
                answer => return answer,
            }
        }
    });

    // Background work may read the clock as well; the call gets the permit in a moment.
    let mut status = Status::unknown("");
    until(async || {
        let answer = tokio::time::timeout(Duration::from_millis(100), server.customers().get_customer(ada())).await;
        status = answer.ok().and_then(Result::err).unwrap_or_else(|| Status::unknown(""));
        status.code() == Code::ResourceExhausted
    })
    .await;
    assert_eq!(kind(&status), (Code::ResourceExhausted, "SERVER_BUSY".into()));
    assert_eq!(retry_after(&status), Some(Duration::from_millis(500)));
    let ready = server.readiness().check(HealthCheckRequest::default()).await.expect("is never rejected").into_inner();
    assert_eq!(ready.status(), ServingStatus::Serving);

    drop(shut);
    within_timeout(call).await.expect("does not panic").expect("is answered");
    server.relationships().get_relationship_health(of_ada()).await.expect("there is a permit again");
}

fn of_ada() -> GetRelationshipHealthRequest {
    GetRelationshipHealthRequest { customer_id: "ada".into() }
}

fn ada() -> GetCustomerRequest {
    GetCustomerRequest { customer_id: "ada".into() }
}

/// Broken by: a queueing delay that is not measured from the headers.
#[tokio::test]
async fn a_call_queued_for_too_long_is_rejected_with_a_retry_delay() {
    let mut settings = in_memory();
    (settings.calls.queue_delay_max, settings.calls.shed_backlog_min) = (Duration::ZERO, 0);
    let server = TestServer::with(settings.clone(), ManualClock::new()).await;
    let status = refusal(server.relationships().get_relationship_health(of_ada()).await);
    assert_eq!(kind(&status), (Code::ResourceExhausted, "SERVER_BUSY".into()));
    assert_eq!(retry_after(&status), Some(Duration::from_millis(500)));
    let ready = server.readiness().check(HealthCheckRequest::default()).await.expect("is never rejected").into_inner();
    assert_eq!(ready.status(), ServingStatus::Serving);

    // A pause of the machine alone rejects no call.
    settings.calls.shed_backlog_min = 10;
    let server = TestServer::with(settings, ManualClock::new()).await;
    server.relationships().get_relationship_health(of_ada()).await.expect("is answered");
}

/// Broken by: a permit that is held while the server waits for the client.
#[tokio::test]
async fn an_idle_stream_holds_no_permit() {
    let written = written().with("requests-max", "1");
    let server = TestServer::with(written.check().expect("valid settings"), ManualClock::new()).await;
    let (sender, call) = start_stream(&server).await;
    until(async || server.relationships().get_relationship_health(of_ada()).await.is_ok()).await;
    let event = purchase("e2", "ada", "kettle", ago(&server.clock, Duration::from_secs(60)));
    sender.send(StreamEventsRequest { events: vec![event] }).await.expect("the stream is open");
    drop(sender);
    assert_eq!(within_timeout(call).await.expect("does not panic").expect("is answered"), 2);
}

/// Broken by: an unlimited wait for a stream.
#[tokio::test]
async fn a_stream_idle_for_too_long_is_ended_and_its_events_stay() {
    let written = written().with("stream-idle-timeout", "50ms");
    let server = TestServer::with(written.check().expect("valid settings"), ManualClock::new()).await;
    let (_sender, call) = start_stream(&server).await;
    let status = within_timeout(call).await.expect("does not panic").expect_err("is ended");
    assert_eq!(status.code(), Code::DeadlineExceeded, "{status:?}");
    assert_eq!(server.app.store().counts().await.expect("counts").events, 1);
}

#[tokio::test]
async fn uploads_over_the_limit_are_rejected_with_a_retry_delay() {
    let written = written().with("pending-uploads-max", "1");
    let server = TestServer::one(written.check().expect("valid settings"), ManualClock::new()).await;
    let (_sender, _call) = start_stream(&server).await;
    let (_second, parts) = mpsc::channel::<StreamEventsRequest>(1);
    let mut feedback = server.feedback();
    let refused = within_timeout(feedback.stream_events(ReceiverStream::new(parts))).await;
    assert_eq!(kind(&refusal(refused)), (Code::ResourceExhausted, "SERVER_BUSY".into()));
}

#[tokio::test]
async fn a_stream_may_take_longer_than_other_calls() {
    let written = written().with("request-timeout", "1ns");
    let server = TestServer::with(written.check().expect("valid settings"), ManualClock::new()).await;
    let (sender, call) = start_stream(&server).await;
    drop(sender);
    assert_eq!(within_timeout(call).await.expect("does not panic").expect("is answered"), 1);
}

#[tokio::test]
async fn a_method_that_does_not_exist_is_unimplemented() {
    let server = TestServer::in_memory().await;
    let mut grpc = tonic::client::Grpc::new(server.channel.clone());
    grpc.ready().await.expect("ready");
    let path = http::uri::PathAndQuery::from_static("/tactful.v1.OfferService/Guess");
    let codec = tonic_prost::ProstCodec::<GetModelRequest, GetModelRequest>::default();
    let status = refusal(grpc.unary(tonic::Request::new(GetModelRequest {}), path, codec).await);
    assert_eq!(status.code(), Code::Unimplemented);
}

fn names(mut names: Vec<String>) -> Vec<String> {
    names.sort();
    names
}

fn expected_names() -> Vec<String> {
    let others = ["grpc.health.v1.Health", "grpc.reflection.v1.ServerReflection"];
    SERVICE_NAMES.into_iter().chain(others).map(ToOwned::to_owned).collect()
}

/// Messages that the server packs into the details of a status.
const ERROR_DETAILS: [&str; 4] = ["ErrorInfo", "BadRequest", "RetryInfo", "PreconditionFailure"];

/// Broken by: descriptors without the messages of error details.
#[tokio::test]
async fn reflection_v1_lists_every_service_and_knows_its_file() {
    use v1::server_reflection_client::ServerReflectionClient;
    use v1::server_reflection_request::MessageRequest;
    use v1::server_reflection_response::MessageResponse;
    let server = TestServer::with(in_memory(), ManualClock::new()).await;
    let ask = async |message| {
        let request = v1::ServerReflectionRequest { host: String::new(), message_request: Some(message) };
        let mut client = ServerReflectionClient::new(server.channel.clone());
        let answers = client.server_reflection_info(tokio_stream::iter([request])).await.expect("answers");
        let answer = answers.into_inner().next().await.expect("one answer").expect("an answer");
        answer.message_response.expect("a message")
    };
    let MessageResponse::ListServicesResponse(listed) = ask(MessageRequest::ListServices(String::new())).await else {
        panic!("a list of services")
    };
    let listed = names(listed.service.into_iter().map(|service| service.name).collect());
    assert_eq!(listed, names(expected_names()));
    let symbol = MessageRequest::FileContainingSymbol("tactful.v1.OfferService".into());
    let MessageResponse::FileDescriptorResponse(file) = ask(symbol).await else { panic!("a file") };
    assert!(!file.file_descriptor_proto.is_empty());
    for detail in ERROR_DETAILS {
        let symbol = MessageRequest::FileContainingSymbol(format!("google.rpc.{detail}"));
        let answer = ask(symbol).await;
        assert!(matches!(answer, MessageResponse::FileDescriptorResponse(_)), "{detail}: {answer:?}");
    }
}

#[tokio::test]
async fn reflection_v1alpha_lists_every_service_and_knows_its_file() {
    use v1alpha::server_reflection_client::ServerReflectionClient;
    use v1alpha::server_reflection_request::MessageRequest;
    use v1alpha::server_reflection_response::MessageResponse;
    let server = TestServer::in_memory().await;
    let ask = async |message| {
        let request = v1alpha::ServerReflectionRequest { host: String::new(), message_request: Some(message) };
        let mut client = ServerReflectionClient::new(server.channel.clone());
        let answers = client.server_reflection_info(tokio_stream::iter([request])).await.expect("answers");
        let answer = answers.into_inner().next().await.expect("one answer").expect("an answer");
        answer.message_response.expect("a message")
    };
    let MessageResponse::ListServicesResponse(listed) = ask(MessageRequest::ListServices(String::new())).await else {
        panic!("a list of services")
    };
    let listed = names(listed.service.into_iter().map(|service| service.name).collect());
    let expected = expected_names().into_iter().map(|name| name.replace("reflection.v1", "reflection.v1alpha"));
    assert_eq!(listed, names(expected.collect()));
    let symbol = MessageRequest::FileContainingSymbol("tactful.v1.OfferService".into());
    let MessageResponse::FileDescriptorResponse(file) = ask(symbol).await else { panic!("a file") };
    assert!(!file.file_descriptor_proto.is_empty());
    for detail in ERROR_DETAILS {
        let symbol = MessageRequest::FileContainingSymbol(format!("google.rpc.{detail}"));
        let answer = ask(symbol).await;
        assert!(matches!(answer, MessageResponse::FileDescriptorResponse(_)), "{detail}: {answer:?}");
    }
}
