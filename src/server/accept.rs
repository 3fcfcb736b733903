//! Accepts connections up to a limit, and performs TLS handshakes, concurrently.
//!
//! Idle clients cannot use up the limit: when it is reached, the connection whose handshake has been pending for longest is
//! closed. Two timeouts that the transport lacks are here, too: a connection that does not complete the HTTP/2 preface is
//! closed, and so is one that does not reconnect after a GOAWAY.

use std::collections::VecDeque;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::task::AbortHandle;
use tokio::time::{Instant, Sleep};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::server::Connected;

use super::protocol_mismatch::ProtocolMismatch;
use super::security::ReloadableSecurity;
use super::tls::identities;
use crate::config::settings::ConnectionLimits;
use crate::grpc::access::Peer;

/// Number of accepted connections that may wait for the transport.
const ACCEPTED_MAX: usize = 64;
/// Pause after `accept` failed, as it does when the process is out of file descriptors.
const ACCEPT_RETRY_DELAY: Duration = Duration::from_millis(50);

/// Length of the HTTP/2 client preface (RFC 9113); until it is complete, the transport applies no timeout.
const PREFACE_LEN: usize = 24;

/// Accepted connection with the identity of its peer and its connection permit.
#[derive(Debug)]
pub(super) struct Connection {
    stream: Stream,
    peer: Peer,
    /// Number of bytes of the preface that have not arrived.
    preface_left: usize,
    /// Time by which the preface must be complete, and afterwards by which the connection must have closed.
    deadline: Pin<Box<Sleep>>,
    age_max: Duration,
    _permit: OwnedSemaphorePermit,
}

#[derive(Debug)]
enum Stream {
    Plain(TcpStream),
    /// Boxed: its state is large.
    Tls(Box<TlsStream<TcpStream>>),
}

/// Accepts connections in a background task, which ends when the returned stream is dropped. Without `security` they are plain
/// text.
pub(super) fn accept(
    listener: TcpListener,
    limits: ConnectionLimits,
    security: Option<Arc<ReloadableSecurity>>,
) -> ReceiverStream<io::Result<Connection>> {
    let (accepted, incoming) = mpsc::channel(ACCEPTED_MAX);
    let permits = Arc::new(Semaphore::new(limits.connections_max));
    tokio::spawn(async move {
        let mut pending = PendingHandshakes { oldest_first: VecDeque::new(), len_max: 2 * limits.connections_max };
        loop {
            let stream = tokio::select! {
                () = accepted.closed() => return,
                accepted = listener.accept() => accepted,
            };
            let stream = match stream {
                Ok((stream, _)) => stream,
                Err(error) => {
                    tracing::warn!(%error, "accept failed");
                    tokio::time::sleep(ACCEPT_RETRY_DELAY).await;
                    continue;
                }
            };
            let permit = Arc::clone(&permits).try_acquire_owned().ok();
            if permit.is_none() {
                metrics::counter!("tactful_connections_rejected_total").increment(1);
                if !pending.close_oldest() {
                    continue;
                }
            }
            let permits = Arc::clone(&permits);
            let accepted = accepted.clone();
            let (limits, security) = (limits.clone(), security.clone());
            let handshake = tokio::spawn(async move {
                // A stalled TLS handshake counts as pending, like a connection that sends nothing.
                let established = async {
                    let permit = match permit {
                        Some(permit) => permit,
                        // The connection that was closed releases its permit in a moment. The semaphore is never closed.
                        None => permits.acquire_owned().await.ok()?,
                    };
                    establish(stream, permit, &limits, security.as_deref()).await
                };
                if let Ok(Some(connection)) = tokio::time::timeout(limits.first_bytes_timeout, established).await {
                    // An error means that the server has stopped.
                    let _stopped = accepted.send(Ok(connection)).await;
                }
            });
            pending.push(handshake.abort_handle());
        }
    });
    ReceiverStream::new(incoming)
}

/// Connections whose handshake is pending; completed ones are removed lazily.
struct PendingHandshakes {
    oldest_first: VecDeque<AbortHandle>,
    len_max: usize,
}

impl PendingHandshakes {
    fn push(&mut self, handshake: AbortHandle) {
        if self.oldest_first.len() >= self.len_max {
            self.oldest_first.retain(|handshake| !handshake.is_finished());
        }
        self.oldest_first.push_back(handshake);
    }

    /// Closes the oldest pending connection; false if none is pending.
    fn close_oldest(&mut self) -> bool {
        while let Some(handshake) = self.oldest_first.pop_front() {
            if !handshake.is_finished() {
                handshake.abort();
                return true;
            }
        }
        false
    }
}

/// Waits for the first byte, so that a connection that sends nothing costs only its socket, and performs the TLS handshake.
async fn establish(
    stream: TcpStream,
    permit: OwnedSemaphorePermit,
    limits: &ConnectionLimits,
    security: Option<&ReloadableSecurity>,
) -> Option<Connection> {
    // Without it a small response waits for the acknowledgement of the previous one: 44 ms instead of 3.
    stream.set_nodelay(true).ok()?;
    let address = stream.peer_addr().ok();
    let mut first = [0; 3];
    let first_len = stream.peek(&mut first).await.ok()?;
    if first_len == 0 {
        return None;
    }
    let config = security.and_then(|security| security.tls().clone());
    if let Some(mismatch) = ProtocolMismatch::of(&first[..first_len], config.is_some()) {
        if config.is_some() {
            metrics::counter!("tactful_tls_handshake_failures_total").increment(1);
        }
        let address = address.map(tracing::field::display);
        tracing::info!(address, sentence = mismatch.sentence(), "connection with the wrong protocol rejected");
        mismatch.reject(stream).await;
        return None;
    }
    let connection = |stream, peer| Connection {
        stream,
        peer,
        preface_left: PREFACE_LEN,
        deadline: Box::pin(tokio::time::sleep(limits.first_bytes_timeout)),
        // GOAWAY is sent up to a tenth later.
        age_max: limits.connection_age_max.mul_f64(1.1) + limits.connection_age_grace,
        _permit: permit,
    };
    let Some(config) = config else {
        return Some(connection(Stream::Plain(stream), Peer::default()));
    };
    let stream = match TlsAcceptor::from(config).accept(stream).await {
        Ok(stream) => stream,
        Err(error) => {
            metrics::counter!("tactful_tls_handshake_failures_total").increment(1);
            let address = address.map(tracing::field::display);
            tracing::info!(%error, address, "TLS handshake failed");
            return None;
        }
    };
    let certificate = stream.get_ref().1.peer_certificates().and_then(<[_]>::first);
    let peer = Peer { identities: certificate.map(identities).unwrap_or_default().into() };
    Some(connection(Stream::Tls(Box::new(stream)), peer))
}

impl Connected for Connection {
    type ConnectInfo = Peer;

    fn connect_info(&self) -> Peer {
        self.peer.clone()
    }
}

/// Evaluates an expression for either kind of stream.
macro_rules! with_stream {
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
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let connection = self.as_mut();
        let read = with_stream!(connection, stream => stream.poll_read(cx, buf));
        if read.is_pending() {
            ready!(self.deadline.as_mut().poll(cx));
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        if self.preface_left > 0 {
            self.preface_left = self.preface_left.saturating_sub(buf.filled().len() - before);
            if self.preface_left == 0 {
                let close_at = Instant::now() + self.age_max;
                self.deadline.as_mut().reset(close_at);
            }
        }
        read
    }
}

impl AsyncWrite for Connection {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        with_stream!(self, stream => stream.poll_write(cx, buf))
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        with_stream!(self, stream => stream.poll_flush(cx))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        with_stream!(self, stream => stream.poll_shutdown(cx))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        with_stream!(self, stream => stream.poll_write_vectored(cx, bufs))
    }

    fn is_write_vectored(&self) -> bool {
        match &self.stream {
            Stream::Plain(stream) => stream.is_write_vectored(),
            Stream::Tls(stream) => stream.is_write_vectored(),
        }
    }
}
