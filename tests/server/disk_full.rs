//! A full disk: the server reports it, turns not ready and exits; nothing that was acknowledged is lost.
//!
//! Simulated by a limit on the file size (`ulimit -f`), at which writes fail as on a full disk.

use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use tactful::grpc::generated::tactful::v1 as wire;
use tonic::transport::Channel;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;
use wire::feedback_service_client::FeedbackServiceClient;
use wire::{CustomerEvent, EventKind, GetCustomerRequest, RecordEventsRequest};

/// Maximum file size in blocks of 512 bytes: 24 MB.
const LIMIT_BLOCKS: u32 = 48_000;
/// More batches than fit.
const BATCHES: usize = 2_000;

/// Process that is killed when dropped.
struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        // Errors mean that it has ended already.
        let _ended = self.0.kill();
        let _reaped = self.0.wait();
    }
}

/// Starts a server; `limit` is its maximum file size in blocks of 512 bytes.
fn start(data_dir: &Path, limit: Option<u32>) -> (Process, String, impl BufRead) {
    // The signal is ignored, because it would end the process before it can report the error.
    let limit = limit.map_or_else(String::new, |blocks| format!("trap '' XFSZ; ulimit -f {blocks}; "));
    let script = format!(
        "{limit}exec '{}' serve --listen 127.0.0.1:0 --metrics-listen off --training-interval off --log-format json --data-dir '{}'",
        env!("CARGO_BIN_EXE_tactful"),
        data_dir.display()
    );
    let started = Command::new("sh").args(["-c", &script]).stderr(Stdio::piped()).spawn();
    let mut process = Process(started.expect("a shell"));
    let mut log = BufReader::new(process.0.stderr.take().expect("piped"));
    let mut line = String::new();
    loop {
        line.clear();
        assert!(log.read_line(&mut line).expect("reads") > 0, "the server did not start");
        let record: serde_json::Value = serde_json::from_str(&line).unwrap_or_default();
        if record["message"] == "serving" {
            let url = format!("http://{}", record["address"].as_str().expect("an address"));
            return (process, url, log);
        }
    }
}

fn batch(number: usize, at: prost_types::Timestamp) -> RecordEventsRequest {
    let event = |step: usize| CustomerEvent {
        event_id: format!("{number}-{step}-{}", "x".repeat(80)),
        customer_id: format!("customer-{}", number % 20),
        kind: EventKind::Visit.into(),
        event_time: Some(at),
        ..CustomerEvent::default()
    };
    RecordEventsRequest { events: (0..100).map(event).collect() }
}

fn is_ok(result: &wire::EntryResult) -> bool {
    result.status.as_ref().is_some_and(|status| status.code == 0)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_stops_the_server_with_a_clear_error_and_loses_no_acknowledged_event() {
    let directory = tempfile::tempdir().expect("a directory");
    let (mut process, url, mut log) = start(directory.path(), Some(LIMIT_BLOCKS));
    let channel = Channel::from_shared(url).expect("an address").connect().await.expect("it listens");
    let mut health = HealthClient::new(channel.clone());
    let watching = HealthCheckRequest { service: "tactful.v1.OfferService".to_owned() };
    let mut health = health.watch(watching).await.expect("it is watched").into_inner();
    let mut feedback = FeedbackServiceClient::new(channel);
    let at = prost_types::Timestamp { seconds: jiff::Timestamp::now().as_second() - 86_400, nanos: 0 };
    let mut acknowledged = 0;
    while acknowledged < BATCHES {
        match feedback.record_events(batch(acknowledged, at)).await {
            Ok(answer) if answer.get_ref().results.iter().all(is_ok) => acknowledged += 1,
            _ => break,
        }
    }
    assert!((10..BATCHES).contains(&acknowledged), "{acknowledged} batches fitted");
    let mut seen = Vec::new();
    while let Some(now) = health.message().await.expect("the stream ends, and does not hold up the server's end") {
        seen.push(now.status());
    }
    assert_eq!(seen, [ServingStatus::Serving, ServingStatus::NotServing]);
    let ended = process.0.wait().expect("it ends");
    let mut text = String::new();
    log.read_to_string(&mut text).expect("reads");
    assert!(!ended.success() && text.contains("the store failed"), "{ended}: {text}");
    assert!(text.contains("error: the store failed") && text.contains("File too large"), "{text}");
    assert!(!text.contains("panicked"), "{text}");

    // There is space again.
    let (_process, url, _log) = start(directory.path(), None);
    let channel = Channel::from_shared(url).expect("an address").connect().await.expect("it listens");
    let mut feedback = FeedbackServiceClient::new(channel.clone());
    for number in 0..acknowledged {
        let answer = feedback.record_events(batch(number, at)).await.expect("answers").into_inner();
        assert!(answer.results.iter().all(|result| result.duplicate), "batch {number} of {acknowledged} was lost");
    }
    let mut customers = wire::customer_service_client::CustomerServiceClient::new(channel);
    customers.get_customer(GetCustomerRequest { customer_id: "customer-0".into() }).await.expect("is known");
}
