//! The table of threats: somebody keeps calling while a server is attacked, and every call is answered.
//!
//! How quickly is not judged here: `cargo bench --bench threats` measures it. What each test was seen to be broken by, it says;
//! against rapid resets and headers without end the transport guards by itself.

use std::path::Path;
use std::time::Duration;

use tokio::sync::mpsc;
use tonic::Code;
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint};

use super::attacks::{Outcome, STREAM_EVENTS, Size, Threat, attack, call};
use super::caller::Caller;
use super::frames::{GOAWAY, RawConnection};
use super::memory::Watch;
use crate::support::certificates::Authority;
use crate::support::long_form::short_or_long;
use crate::support::running_server::{RunningServer, stock};

/// What an attack may cost in memory.
const GROWTH_MAX: u64 = 64 << 20;

/// Attacks a server while somebody calls, and checks what must hold whatever the attack is.
async fn survived(threat: Threat, server: &mut RunningServer, caller: Channel) -> Outcome {
    stock(&caller).await;
    // Whatever a first call allocates is there before it is measured.
    let warm_up = Caller::start(caller.clone());
    tokio::time::sleep(Duration::from_millis(300)).await;
    warm_up.stop().await.expect("nothing has happened yet");

    let memory = Watch::start(server.pid());
    let calling = Caller::start(caller.clone());
    let outcome = attack(threat, server.address(), short_or_long(Size::SHORT, Size::LONG)).await;
    let took = calling.stop().await.unwrap_or_else(|status| panic!("a call failed: {status:?}\n{}", server.log()));
    assert!(!took.is_empty(), "somebody called all the while");
    let growth = memory.stop().await;
    eprintln!("{threat}: {} calls, {} MiB more, {outcome:?}", took.len(), growth >> 20);
    assert!(growth < GROWTH_MAX, "{} MiB more", growth >> 20);
    assert!(server.is_alive() && server.panic().is_none(), "{}", server.log());
    outcome
}

async fn plain(threat: Threat, arguments: &[&str]) -> Outcome {
    let directory = tempfile::tempdir().expect("a directory");
    let mut server = RunningServer::start_on(directory.path(), "127.0.0.1:0", arguments);
    let caller = server.connect().await;
    survived(threat, &mut server, caller).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rapid_resets_end_their_connection() {
    let outcome = plain(Threat::RapidReset, &[]).await;
    assert!(outcome.closed > 0, "the first connection does not bear all of it");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn headers_without_end_end_their_connection() {
    let outcome = plain(Threat::ContinuationFlood, &[]).await;
    assert!(outcome.closed > 0, "the first connection does not bear all of it");
}

/// Broken by: `--streams-per-connection-max 100000`.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn streams_beyond_the_limit_are_refused() {
    let outcome = plain(Threat::ManyStreams, &[]).await;
    assert!(outcome.closed > 0 || outcome.reset > 0, "{outcome:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn silent_connections_are_closed() {
    let outcome = plain(Threat::SilentConnections, &[]).await;
    assert_eq!(outcome.closed, short_or_long(Size::SHORT, Size::LONG).connections);
}

/// Broken by: a deadline that the first byte ends.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_of_one_byte_are_closed() {
    let outcome = plain(Threat::OneByteConnections, &[]).await;
    assert_eq!(outcome.closed, short_or_long(Size::SHORT, Size::LONG).connections);
}

/// Broken by: a place that a call keeps while its message trickles in.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn slow_bodies_take_no_place() {
    plain(Threat::SlowBodies, short_or_long(&["--requests-max", "100"], &[])).await;
}

/// Broken by: a place that a stream keeps while it pauses.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn idle_streams_take_no_place() {
    plain(Threat::IdleStreams, short_or_long(&["--requests-max", "100"], &[])).await;
}

/// Broken by: `--message-bytes-max 8000000`.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn huge_messages_are_refused() {
    let outcome = plain(Threat::HugeMessages, &[]).await;
    assert!(outcome.codes.iter().all(|&code| code == Code::OutOfRange), "{outcome:?}");
}

/// Broken by: messages that are not counted before they are whole.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn unfinished_messages_share_a_limited_memory() {
    let outcome = plain(Threat::UnfinishedMessages, &[]).await;
    assert!(outcome.codes.contains(&Code::ResourceExhausted), "{outcome:?}");
}

/// Broken by: decoding before fields are counted, which took 2.3 GB.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn empty_entries_are_counted_before_they_are_decoded() {
    let outcome = plain(Threat::EmptyEntries, &[]).await;
    assert!(outcome.codes.iter().all(|&code| code == Code::InvalidArgument), "{outcome:?}");
}

/// Broken by: a handshake without a time limit.
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
    let caller = endpoint.tls_config(tls).expect("TLS").connect().await.expect("connects");
    let outcome = survived(Threat::StalledHandshakes, &mut server, caller).await;
    assert_eq!(outcome.closed, short_or_long(Size::SHORT, Size::LONG).connections);
}

/// Broken by: refusing whoever comes when all places are taken.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn silent_connections_keep_nobody_out() {
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

/// Broken by: the transport's own grace, with which a connection is cut off and never asked.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_of_age_are_asked_to_move_on_and_their_calls_are_answered() {
    let directory = tempfile::tempdir().expect("a directory");
    let server = RunningServer::start_on(directory.path(), "127.0.0.1:0", &["--connection-age-max", "300ms"]);
    let (stream, events) = mpsc::channel(1);
    let call = tokio::spawn(call(server.connect().await, STREAM_EVENTS, events));
    for _ in 0..3 {
        let mut connection = RawConnection::open(server.address()).await.expect("connects");
        let asked = tokio::time::timeout(Duration::from_secs(60), connection.comes(GOAWAY)).await;
        assert!(asked.expect("something happens to it"), "it was cut off");
    }
    drop(stream);
    assert_eq!(call.await.expect("does not panic"), Code::Ok);
}
