//! Accepts connections: without delay, up to a limit, and only those that say something, and shake hands where TLS is on.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::server::Connected;

use super::security::CurrentSecurity;
use super::tls::identities;
use crate::config::Limits;
use crate::grpc::access::Peer;

/// Accepted connections that wait to be served.
const WAITING_MAX: usize = 64;
/// How long to wait after the system refused to accept, as it does when it is out of file handles.
const AFTER_FAILURE: Duration = Duration::from_millis(50);

/// A connection, who is at its other end, and its place among those allowed.
#[derive(Debug)]
pub struct Connection {
    stream: Stream,
    peer: Peer,
    _place: OwnedSemaphorePermit,
}

#[derive(Debug)]
enum Stream {
    Plain(TcpStream),
    /// Boxed: its state is large.
    Tls(Box<TlsStream<TcpStream>>),
}

/// Accepts in the background; the stream ends when its receiver is dropped.
#[must_use]
pub fn accept(
    listener: TcpListener,
    limits: Limits,
    security: Arc<CurrentSecurity>,
) -> ReceiverStream<io::Result<Connection>> {
    let (accepted, waiting) = mpsc::channel(WAITING_MAX);
    let places = Arc::new(Semaphore::new(limits.connections_max));
    tokio::spawn(async move {
        loop {
            let stream = tokio::select! {
                () = accepted.closed() => return,
                accepted = listener.accept() => accepted,
            };
            let stream = match stream {
                Ok((stream, _)) => stream,
                Err(error) => {
                    tracing::warn!(%error, "cannot accept a connection");
                    tokio::time::sleep(AFTER_FAILURE).await;
                    continue;
                }
            };
            let Ok(place) = Arc::clone(&places).try_acquire_owned() else {
                metrics::counter!("tactful_connections_refused_total").increment(1);
                continue;
            };
            let accepted = accepted.clone();
            let security = Arc::clone(&security);
            tokio::spawn(async move {
                // A handshake that stalls costs no more than a silent connection.
                let admitted = tokio::time::timeout(limits.first_bytes_within, admit(stream, place, &security)).await;
                if let Ok(Some(connection)) = admitted {
                    // An error means that the server has stopped.
                    let _stopped = accepted.send(Ok(connection)).await;
                }
            });
        }
    });
    ReceiverStream::new(waiting)
}

/// Waits for the first byte, so that a silent connection costs no more than its socket, and shakes hands.
async fn admit(stream: TcpStream, place: OwnedSemaphorePermit, security: &CurrentSecurity) -> Option<Connection> {
    // Without it small answers wait for the acknowledgement of the one before: 44 ms instead of 3.
    stream.set_nodelay(true).ok()?;
    let address = stream.peer_addr().ok();
    let mut first = [0];
    if stream.peek(&mut first).await.ok()? == 0 {
        return None;
    }
    let Some(config) = security.tls().clone() else {
        return Some(Connection { stream: Stream::Plain(stream), peer: Peer::default(), _place: place });
    };
    let stream = match TlsAcceptor::from(config).accept(stream).await {
        Ok(stream) => stream,
        Err(error) => {
            metrics::counter!("tactful_tls_handshakes_failed_total").increment(1);
            tracing::info!(%error, ?address, "a TLS handshake failed");
            return None;
        }
    };
    let certificate = stream.get_ref().1.peer_certificates().and_then(<[_]>::first);
    let peer = Peer { identities: certificate.map(identities).unwrap_or_default().into() };
    Some(Connection { stream: Stream::Tls(Box::new(stream)), peer, _place: place })
}

impl Connected for Connection {
    type ConnectInfo = Peer;

    fn connect_info(&self) -> Peer {
        self.peer.clone()
    }
}

/// The same call on either kind of stream.
macro_rules! of_stream {
    ($connection:ident, $stream:ident => $call:expr) => {
        match &mut $connection.get_mut().stream {
            Stream::Plain($stream) => {
                let $stream = Pin::new($stream);
                $call
            }
            Stream::Tls($stream) => {
                let $stream = Pin::new($stream);
                $call
            }
        }
    };
}

impl AsyncRead for Connection {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        of_stream!(self, stream => stream.poll_read(cx, buf))
    }
}

impl AsyncWrite for Connection {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        of_stream!(self, stream => stream.poll_write(cx, buf))
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        of_stream!(self, stream => stream.poll_flush(cx))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        of_stream!(self, stream => stream.poll_shutdown(cx))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        of_stream!(self, stream => stream.poll_write_vectored(cx, bufs))
    }

    fn is_write_vectored(&self) -> bool {
        match &self.stream {
            Stream::Plain(stream) => stream.is_write_vectored(),
            Stream::Tls(stream) => stream.is_write_vectored(),
        }
    }
}
