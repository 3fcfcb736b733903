//! Streams of many small messages look like a flood to the transport, but must not lose their connection.

use std::time::{Duration, SystemTime};

use prost::Message;
use prost::bytes::Bytes;
use tactful::grpc::generated::tactful::v1::{CustomerEvent, StreamEventsRequest};
use tokio::sync::mpsc;
use tonic::Code;

use super::attacks::{STREAM_EVENTS, call};
use super::frames::message;
use crate::support::running_server::{RunningServer, stock};

/// Returns a message with one purchase.
fn message_with_purchase(number: usize) -> Bytes {
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

/// Each message is a frame, and many arrive before the first is recorded.
/// Broken by: a connection window as small as a stream window; the transport derives its tolerance of small frames from it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn stream_of_many_small_messages_is_accepted() {
    const MESSAGES: usize = 5_000;
    let directory = tempfile::tempdir().expect("a directory");
    let server = RunningServer::start(directory.path());
    let channel = server.connect().await;
    stock(&channel).await;
    let (send, chunks) = mpsc::channel(MESSAGES);
    for number in 0..MESSAGES {
        send.try_send(message_with_purchase(number)).expect("there is room for all");
    }
    drop(send);
    assert_eq!(call(channel, STREAM_EVENTS, chunks).await, Code::Ok, "{}", server.log());
}
