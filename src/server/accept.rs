//! Accepts connections: without delay, up to a limit, and only those that say something, and shake hands where TLS is on.
//!
//! Silent connections keep nobody out: when all places are taken, the one that has been silent for longest goes. What the transport
//! does not do is done here, too: a connection that begins and does not go on is closed, and so is one that does
//! not move on when it was asked to.

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

use super::security::CurrentSecurity;
use super::tls::identities;
use crate::config::Limits;
use crate::grpc::access::Peer;

/// Accepted connections that wait to be served.
const WAITING_MAX: usize = 64;
/// How long to wait after the system refused to accept, as it does when it is out of file handles.
const AFTER_FAILURE: Duration = Duration::from_millis(50);

/// With these bytes HTTP/2 begins; until they are there, the transport sets no limit of time.
const PREFACE_LEN: usize = 24;

/// A connection, who is at its other end, and its place among those allowed.
#[derive(Debug)]
pub struct Connection {
    stream: Stream,
    peer: Peer,
    /// Of the preface, still to come.
    preface_left: usize,
    /// The preface is there by then; later: the connection has moved on by then.
    deadline: Pin<Box<Sleep>>,
    age_max: Duration,
    _place: OwnedSemaphorePermit,
}

#[derive(Debug)]
enum Stream {
    Plain(TcpStream),
    /// Boxed: its state is large.
    Tls(Box<TlsStream<TcpStream>>),
}

/// Accepts in the background; the stream ends when its receiver is dropped. Without security: plain text.
pub fn accept(
    listener: TcpListener,
    limits: Limits,
    security: Option<Arc<CurrentSecurity>>,
) -> ReceiverStream<io::Result<Connection>> {
    let (accepted, waiting) = mpsc::channel(WAITING_MAX);
    let places = Arc::new(Semaphore::new(limits.connections_max));
    tokio::spawn(async move {
        let mut silent = Silent { oldest_first: VecDeque::new(), len_max: 2 * limits.connections_max };
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
            let place = Arc::clone(&places).try_acquire_owned().ok();
            if place.is_none() {
                metrics::counter!("tactful_connections_rejected_total").increment(1);
                if !silent.close_oldest() {
                    continue;
                }
            }
            let places = Arc::clone(&places);
            let accepted = accepted.clone();
            let security = security.clone();
            let admission = tokio::spawn(async move {
                // A handshake that stalls costs no more than a silent connection.
                let admitted = async {
                    let place = match place {
                        Some(place) => place,
                        // Whoever had to go leaves the place in a moment. An error means that places are closed, which
                        // nobody does.
                        None => places.acquire_owned().await.ok()?,
                    };
                    admit(stream, place, &limits, security.as_deref()).await
                };
                if let Ok(Some(connection)) = tokio::time::timeout(limits.first_bytes_within, admitted).await {
                    // An error means that the server has stopped.
                    let _stopped = accepted.send(Ok(connection)).await;
                }
            });
            silent.push(admission.abort_handle());
        }
    });
    ReceiverStream::new(waiting)
}

/// Connections that have not said enough to be served, and some that have.
struct Silent {
    oldest_first: VecDeque<AbortHandle>,
    len_max: usize,
}

impl Silent {
    fn push(&mut self, admission: AbortHandle) {
        if self.oldest_first.len() >= self.len_max {
            self.oldest_first.retain(|admission| !admission.is_finished());
        }
        self.oldest_first.push_back(admission);
    }

    /// Whether there was one.
    fn close_oldest(&mut self) -> bool {
        while let Some(admission) = self.oldest_first.pop_front() {
            if !admission.is_finished() {
                admission.abort();
                return true;
            }
        }
        false
    }
}

/// Waits for the first byte, so that a silent connection costs no more than its socket, and shakes hands.
async fn admit(
    stream: TcpStream,
    place: OwnedSemaphorePermit,
    limits: &Limits,
    security: Option<&CurrentSecurity>,
) -> Option<Connection> {
    // Without it small answers wait for the acknowledgement of the one before: 44 ms instead of 3.
    stream.set_nodelay(true).ok()?;
    let address = stream.peer_addr().ok();
    let mut first = [0];
    if stream.peek(&mut first).await.ok()? == 0 {
        return None;
    }
    let connection = |stream, peer| Connection {
        stream,
        peer,
        preface_left: PREFACE_LEN,
        deadline: Box::pin(tokio::time::sleep(limits.first_bytes_within)),
        // It is asked to move on up to a tenth later.
        age_max: limits.connection_age.mul_f64(1.1) + limits.connection_age_grace,
        _place: place,
    };
    let Some(config) = security.and_then(|security| security.tls().clone()) else {
        return Some(connection(Stream::Plain(stream), Peer::default()));
    };
    let stream = match TlsAcceptor::from(config).accept(stream).await {
        Ok(stream) => stream,
        Err(error) => {
            metrics::counter!("tactful_tls_handshake_failures_total").increment(1);
            tracing::info!(%error, ?address, "a TLS handshake failed");
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
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let connection = self.as_mut();
        let read = of_stream!(connection, stream => stream.poll_read(cx, buf));
        if read.is_pending() {
            ready!(self.deadline.as_mut().poll(cx));
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        if self.preface_left > 0 {
            self.preface_left = self.preface_left.saturating_sub(buf.filled().len() - before);
            if self.preface_left == 0 {
                let age_ends = Instant::now() + self.age_max;
                self.deadline.as_mut().reset(age_ends);
            }
        }
        read
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
