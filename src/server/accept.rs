//! Accepts connections: without delay, up to a limit, and only those that say something.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::server::{Connected, TcpConnectInfo};

use crate::config::Limits;

/// Accepted connections that wait to be served.
const WAITING_MAX: usize = 64;
/// How long to wait after the system refused to accept, as it does when it is out of file handles.
const AFTER_FAILURE: Duration = Duration::from_millis(50);

/// A connection and its place among those allowed.
#[derive(Debug)]
pub struct Connection {
    stream: TcpStream,
    _place: OwnedSemaphorePermit,
}

/// Accepts in the background; the stream ends when its receiver is dropped.
#[must_use]
pub fn accept(listener: TcpListener, limits: Limits) -> ReceiverStream<io::Result<Connection>> {
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
            tokio::spawn(async move {
                if let Some(connection) = admit(stream, place, limits.first_bytes_within).await {
                    // An error means that the server has stopped.
                    let _stopped = accepted.send(Ok(connection)).await;
                }
            });
        }
    });
    ReceiverStream::new(waiting)
}

/// Waits for the first byte, so that a silent connection costs no more than its socket, and that not for long.
async fn admit(stream: TcpStream, place: OwnedSemaphorePermit, within: Duration) -> Option<Connection> {
    // Without it small answers wait for the acknowledgement of the one before: 44 ms instead of 3.
    stream.set_nodelay(true).ok()?;
    let mut first = [0];
    match tokio::time::timeout(within, stream.peek(&mut first)).await {
        Ok(Ok(1..)) => Some(Connection { stream, _place: place }),
        Ok(_) | Err(_) => None,
    }
}

impl Connected for Connection {
    type ConnectInfo = TcpConnectInfo;

    fn connect_info(&self) -> TcpConnectInfo {
        self.stream.connect_info()
    }
}

impl AsyncRead for Connection {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for Connection {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}
