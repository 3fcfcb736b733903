//! Resilience against each kind of attack: a steady client keeps calling while the server is attacked, and every call succeeds.
//!
//! Latency is not judged here: `cargo bench --bench threats` measures it. Each test names a change that was seen to break it, except
//! for rapid resets and endless headers, against which the transport itself protects.

use std::path::Path;
use std::time::Duration;

use tokio::sync::mpsc;
use tonic::Code;
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint};

use super::attacks::{AttackOutcome, AttackSize, STREAM_EVENTS, Threat, attack, call};
use super::frames::{GOAWAY, RawConnection};
use super::memory::PeakMemory;
use super::steady_client::SteadyClient;
use crate::support::certificates::Authority;
use crate::support::long_form::short_or_long;
use crate::support::running_server::{RunningServer, stock};

/// Maximum growth of the server's memory in an attack.
const GROWTH_MAX: u64 = 64 << 20;

/// Attacks a server while a steady client calls it, and asserts that the calls succeed and that memory stays bounded.
async fn assert_survives(threat: Threat, server: &mut RunningServer, channel: Channel) -> AttackOutcome {
    stock(&channel).await;
    // The first calls allocate buffers that are not to be measured.
    let warm_up = SteadyClient::start(channel.clone());
    tokio::time::sleep(Duration::from_millis(300)).await;
    warm_up.stop().await.expect("the attack has not started");

    let memory = PeakMemory::watch(server.pid());
    let client = SteadyClient::start(channel.clone());
    let outcome = attack(threat, server.address(), short_or_long(AttackSize::SHORT, AttackSize::LONG)).await;
    let latencies = client.stop().await.unwrap_or_else(|status| panic!("a call failed: {status:?}\n{}", server.log()));
    assert!(!latencies.is_empty(), "the client called during the attack");
    let growth = memory.stop().await;
    eprintln!("{threat}: {} calls, memory grew by {} MiB, {outcome:?}", latencies.len(), growth >> 20);
    assert!(growth < GROWTH_MAX, "memory grew by {} MiB", growth >> 20);
    assert!(server.is_alive() && server.panic().is_none(), "{}", server.log());
    outcome
}

async fn attack_without_tls(threat: Threat, arguments: &[&str]) -> AttackOutcome {
    let directory = tempfile::tempdir().expect("a directory");
    let mut server = RunningServer::start_on(directory.path(), "127.0.0.1:0", arguments);
    let channel = server.connect().await;
    assert_survives(threat, &mut server, channel).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rapid_resets_close_their_connection() {
    let outcome = attack_without_tls(Threat::RapidReset, &[]).await;
    assert!(outcome.closed > 0, "the first connection does not survive the whole flood");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn endless_headers_close_their_connection() {
    let outcome = attack_without_tls(Threat::ContinuationFlood, &[]).await;
    assert!(outcome.closed > 0, "the first connection does not survive the whole flood");
}

/// Broken by: `--streams-per-connection-max 100000`.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn streams_beyond_the_limit_are_rejected() {
    let outcome = attack_without_tls(Threat::ManyStreams, &[]).await;
    assert!(outcome.closed > 0 || outcome.reset > 0, "{outcome:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn silent_connections_are_closed() {
    let outcome = attack_without_tls(Threat::SilentConnections, &[]).await;
    assert_eq!(outcome.closed, short_or_long(AttackSize::SHORT, AttackSize::LONG).connections);
}

/// Broken by: a deadline that the first byte cancels.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_byte_connections_are_closed() {
    let outcome = attack_without_tls(Threat::OneByteConnections, &[]).await;
    assert_eq!(outcome.closed, short_or_long(AttackSize::SHORT, AttackSize::LONG).connections);
}

/// Broken by: a permit that a call holds while its message trickles in.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn slow_bodies_hold_no_permit() {
    attack_without_tls(Threat::SlowBodies, short_or_long(&["--requests-max", "100"], &[])).await;
}

/// Broken by: a permit that a stream holds while it is idle.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn idle_streams_hold_no_permit() {
    attack_without_tls(Threat::IdleStreams, short_or_long(&["--requests-max", "100"], &[])).await;
}

/// Broken by: `--message-bytes-max 8000000`.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn huge_messages_are_rejected() {
    let outcome = attack_without_tls(Threat::HugeMessages, &[]).await;
    assert!(outcome.codes.iter().all(|&code| code == Code::OutOfRange), "{outcome:?}");
}

/// Broken by: counting messages only once they are complete.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn unfinished_messages_share_limited_memory() {
    let outcome = attack_without_tls(Threat::UnfinishedMessages, &[]).await;
    assert!(outcome.codes.contains(&Code::ResourceExhausted), "{outcome:?}");
}

/// Broken by: decoding before counting fields, which took 2.3 GB.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn empty_entries_are_counted_before_they_are_decoded() {
    let outcome = attack_without_tls(Threat::EmptyEntries, &[]).await;
    assert!(outcome.codes.iter().all(|&code| code == Code::InvalidArgument), "{outcome:?}");
}

/// Broken by: a handshake without a timeout.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn stalled_handshakes_are_closed() {
    let directory = tempfile::tempdir().expect("a directory");
    let authority = Authority::new();
    let [certificate, key] = authority.server();
    let write = |name: &str, text: String| -> String {
        let path = directory.path().join(name);
        std::fs::write(&path, text).expect("writes");
        path.to_str().expect("UTF-8").to_owned()
    };
    let (certificate, key) = (write("tls.crt", certificate), write("tls.key", key));
    let data: &Path = &directory.path().join("data");
    let mut server = RunningServer::start_on(data, "127.0.0.1:0", &["--tls-cert", &certificate, "--tls-key", &key]);
    let tls = ClientTlsConfig::new().ca_certificate(Certificate::from_pem(authority.pem())).domain_name("localhost");
    let endpoint = Endpoint::from_shared(format!("https://{}", server.address())).expect("a URI");
    let channel = endpoint.tls_config(tls).expect("TLS").connect().await.expect("connects");
    let outcome = assert_survives(Threat::StalledHandshakes, &mut server, channel).await;
    assert_eq!(outcome.closed, short_or_long(AttackSize::SHORT, AttackSize::LONG).connections);
}

/// Broken by: rejecting new connections once the maximum is reached.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn silent_connections_do_not_block_new_ones() {
    let directory = tempfile::tempdir().expect("a directory");
    let server = RunningServer::start_on(directory.path(), "127.0.0.1:0", &["--connections-max", "20"]);
    let mut silent = Vec::new();
    for _ in 0..50 {
        silent.push(tokio::net::TcpStream::connect(server.address()).await.expect("connects"));
    }
    for _ in 0..5 {
        stock(&server.connect().await).await;
    }
}

/// Broken by: the transport's own grace period, with which a connection is cut off without GOAWAY.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn old_connections_get_goaway_and_their_calls_complete() {
    let directory = tempfile::tempdir().expect("a directory");
    let server = RunningServer::start_on(directory.path(), "127.0.0.1:0", &["--connection-age-max", "300ms"]);
    let (stream, events) = mpsc::channel(1);
    let call = tokio::spawn(call(server.connect().await, STREAM_EVENTS, events));
    for _ in 0..3 {
        let mut connection = RawConnection::open(server.address()).await.expect("connects");
        let goaway = tokio::time::timeout(Duration::from_secs(60), connection.receives(GOAWAY)).await;
        assert!(goaway.expect("the connection ends"), "it was cut off without GOAWAY");
    }
    drop(stream);
    assert_eq!(call.await.expect("does not panic"), Code::Ok);
}
