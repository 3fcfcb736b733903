//! Client with minimal overhead, so that the server is measured: messages as bytes over HTTP/2, and only the status of a response
//! is decoded.

use http::{HeaderMap, Request};
use prost::Message;
use prost::bytes::{BufMut, Bytes, BytesMut};
use tonic::Status;

use super::roles::ServerProcess;

const CROSS_SELL: &str = "/tactful.v1.OfferService/CrossSell";
/// Flow-control window of a stream and of the connection.
const WINDOW_BYTES: u32 = 1 << 20;

/// Connection, cloned for each call.
#[derive(Clone)]
pub struct ThinClient {
    sender: h2::client::SendRequest<Bytes>,
    uri: http::Uri,
}

impl ThinClient {
    /// Connects to a server.
    pub async fn connect(server: &ServerProcess) -> Self {
        let stream = tokio::net::TcpStream::connect(&server.address).await.expect("it listens");
        stream.set_nodelay(true).expect("a socket");
        let mut builder = h2::client::Builder::new();
        builder.initial_window_size(WINDOW_BYTES).initial_connection_window_size(WINDOW_BYTES).enable_push(false);
        let (sender, connection) = builder.handshake(stream).await.expect("it speaks HTTP/2");
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                eprintln!("a connection ended: {error}");
            }
        });
        let uri = format!("http://{}{CROSS_SELL}", server.address).parse().expect("a URI");
        Self { sender, uri }
    }

    /// Sends a request and reads the response to its end.
    pub async fn cross_sell(self, request_message: impl Message) -> Result<(), Status> {
        let request = Request::post(self.uri)
            .header("content-type", "application/grpc")
            .header("te", "trailers")
            .body(())
            .expect("a request");
        match exchange(self.sender, request, grpc_frame(&request_message)).await {
            Ok(trailers) => match Status::from_header_map(&trailers) {
                Some(status) if status.code() == tonic::Code::Ok => Ok(()),
                Some(status) => Err(status),
                None => Err(Status::unknown("an answer without a status")),
            },
            Err(error) => Err(Status::unavailable(error.to_string())),
        }
    }
}

/// Exchanges the messages and returns the trailers, or the headers of a trailers-only response.
async fn exchange(
    sender: h2::client::SendRequest<Bytes>,
    request: Request<()>,
    message: Bytes,
) -> Result<HeaderMap, h2::Error> {
    let mut sender = sender.ready().await?;
    let (answer, mut body) = sender.send_request(request, false)?;
    body.send_data(message, true)?;
    let (head, mut body) = answer.await?.into_parts();
    while let Some(bytes) = body.data().await {
        let read = bytes?.len();
        body.flow_control().release_capacity(read)?;
    }
    Ok(body.trailers().await?.unwrap_or(head.headers))
}

/// Encodes an uncompressed gRPC frame.
fn grpc_frame(message: &impl Message) -> Bytes {
    let mut bytes = BytesMut::new();
    bytes.put_u8(0);
    bytes.put_u32(u32::try_from(message.encoded_len()).expect("a short message"));
    message.encode(&mut bytes).expect("it grows");
    bytes.freeze()
}
