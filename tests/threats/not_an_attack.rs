//! What looks like an attack to the transport and is none: callers who do well must not lose their connection over it.

use std::time::{Duration, SystemTime};

use prost::Message;
use prost::bytes::Bytes;
use tactful::grpc::generated::tactful::v1::{CustomerEvent, StreamEventsRequest};
use tokio::sync::mpsc;
use tonic::Code;

use super::attacks::{STREAM_EVENTS, call};
use super::frames::message;
use crate::support::running_server::{RunningServer, stock};

/// A purchase in a message of its own.
fn part(number: usize) -> Bytes {
    let event = CustomerEvent {
        event_id: format!("e{number}"),
        customer_id: format!("c{}", number % 100),
        kind: 1,
        product_id: "kettle".into(),
        event_time: Some((SystemTime::now() - Duration::from_secs(3_600)).into()),
        ..CustomerEvent::default()
    };
    message(&StreamEventsRequest { events: vec![event] }.encode_to_vec()).into()
}

/// Each message is a frame, and many are there before the first is recorded.
/// Broken by: a window of a connection that is as small as that of a stream, by which the transport sizes what it bears.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_of_many_small_messages_is_read_to_its_end() {
    const PARTS: usize = 5_000;
    let directory = tempfile::tempdir().expect("a directory");
    let server = RunningServer::start(directory.path());
    let channel = server.connect().await;
    stock(&channel).await;
    let (send, chunks) = mpsc::channel(PARTS);
    for number in 0..PARTS {
        send.try_send(part(number)).expect("there is room for all");
    }
    drop(send);
    assert_eq!(call(channel, STREAM_EVENTS, chunks).await, Code::Ok, "{}", server.log());
}
