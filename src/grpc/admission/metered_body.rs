//! Request body that acquires and releases the permits of its call as messages arrive.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use http_body::{Frame, SizeHint};
use prost::bytes::Bytes;
use tokio::sync::{AcquireError, OwnedSemaphorePermit};
use tokio::time::Sleep;
use tonic::Status;
use tonic::body::Body;

use super::message_framing::MessageFraming;
use super::permits::{CallPermits, PermitPool};
use crate::config::settings::CallLimits;
use crate::grpc::method::CallKind;
use crate::grpc::status::busy;

/// Bytes that a call may buffer without a permit: more than a CrossSell request takes, so that uploads cannot starve those.
const FREE_BYTES: u64 = 16 << 10;
/// Largest message of the health and reflection services, which the configured limit does not cover.
const LIBRARY_MESSAGE_BYTES_MAX: usize = 4 << 20;

/// Limits that apply to each body.
#[derive(Debug, Clone, Copy)]
pub(super) struct BodyLimits {
    stream_idle_timeout: Duration,
    message_bytes_max: u64,
}

impl BodyLimits {
    pub(super) fn new(limits: &CallLimits) -> Self {
        Self {
            stream_idle_timeout: limits.stream_idle_timeout,
            message_bytes_max: limits.message_bytes_max.max(LIBRARY_MESSAGE_BYTES_MAX) as u64,
        }
    }
}

type AcquireRequest = Pin<Box<dyn Future<Output = Result<OwnedSemaphorePermit, AcquireError>> + Send>>;

/// Request body that meters what its call holds.
pub(super) struct MeteredBody {
    body: Body,
    pool: Arc<PermitPool>,
    limits: BodyLimits,
    permits: CallPermits,
    call_kind: CallKind,
    framing: MessageFraming,
    /// Bytes of incomplete or unanswered messages, by the lengths that they announce: permits for a whole message are acquired when
    /// its length is read.
    buffered_bytes: u64,
    /// Input that was read and waits for a request permit.
    pending_input: Option<Input>,
    has_ended: bool,
    /// Acquisition of a request permit that was not available at once.
    acquiring: Option<AcquireRequest>,
    idle_wait: Option<IdleWait>,
}

enum Input {
    Frame(Frame<Bytes>),
    End,
}

/// Wait for client input.
struct IdleWait {
    timeout: Pin<Box<Sleep>>,
    /// Permit of a pending upload; `None` between two frames of one message.
    permit: Option<OwnedSemaphorePermit>,
}

impl MeteredBody {
    pub(super) fn new(
        body: Body,
        call_kind: CallKind,
        pool: Arc<PermitPool>,
        permits: CallPermits,
        limits: BodyLimits,
    ) -> Self {
        Self {
            body,
            pool,
            limits,
            permits,
            call_kind,
            framing: MessageFraming::default(),
            buffered_bytes: 0,
            pending_input: None,
            has_ended: false,
            acquiring: None,
            idle_wait: None,
        }
    }
}

impl http_body::Body for MeteredBody {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let this = &mut *self;
        if this.has_ended {
            return Poll::Ready(None);
        }
        if this.pending_input.is_none() {
            let Poll::Ready(read) = Pin::new(&mut this.body).poll_frame(cx) else { return this.poll_idle(cx) };
            this.pending_input = Some(match read.transpose()? {
                Some(frame) => {
                    this.meter(&frame)?;
                    Input::Frame(frame)
                }
                None => Input::End,
            });
        }
        // An incomplete message needs no permit yet: it cannot be worked on.
        let is_complete = this.framing.is_at_boundary() || matches!(this.pending_input, Some(Input::End));
        if this.call_kind != CallKind::Exempt && is_complete {
            ready!(this.poll_request_permit(cx));
        }
        match this.pending_input.take() {
            Some(Input::Frame(frame)) => Poll::Ready(Some(Ok(frame))),
            Some(Input::End) | None => {
                this.has_ended = true;
                Poll::Ready(None)
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.pending_input.is_none() && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl MeteredBody {
    /// Acquires permits for the bytes that a frame adds, and releases those of messages that were answered.
    #[allow(clippy::result_large_err, reason = "every method answers with a Status")]
    fn meter(&mut self, frame: &Frame<Bytes>) -> Result<(), Status> {
        if let Some(idle_wait) = &mut self.idle_wait {
            idle_wait.permit = None;
        }
        let Some(data) = frame.data_ref() else { return Ok(()) };
        if self.call_kind != CallKind::Unary {
            // All complete messages have been answered, or this frame would not be read.
            self.buffered_bytes = self.framing.incomplete_len();
            self.permits.shrink_bytes(self.buffered_bytes.saturating_sub(FREE_BYTES));
        }
        let permitted = self.buffered_bytes.max(FREE_BYTES);
        self.buffered_bytes += self.framing.parse(data, self.limits.message_bytes_max);
        let missing = self.buffered_bytes.saturating_sub(permitted);
        if missing > 0 {
            self.permits.add_bytes(self.pool.try_acquire_bytes(missing).ok_or_else(busy)?);
        }
        if self.framing.is_at_boundary() {
            self.idle_wait = None;
        }
        Ok(())
    }

    /// Releases the request permit, and waits for client input until the stream's idle timeout.
    fn poll_idle<T>(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<T, Status>>> {
        self.permits.set_request(None);
        let timeout = self.limits.stream_idle_timeout;
        let idle_wait = self
            .idle_wait
            .get_or_insert_with(|| IdleWait { timeout: Box::pin(tokio::time::sleep(timeout)), permit: None });
        if idle_wait.permit.is_none() {
            match self.pool.try_acquire_pending_upload() {
                Some(permit) => idle_wait.permit = Some(permit),
                None => return Poll::Ready(Some(Err(busy()))),
            }
        }
        ready!(idle_wait.timeout.as_mut().poll(cx));
        let message = "timed out waiting for the client's next message; earlier messages of a stream remain recorded";
        Poll::Ready(Some(Err(Status::deadline_exceeded(message))))
    }

    fn poll_request_permit(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.permits.has_request() {
            return Poll::Ready(());
        }
        if self.acquiring.is_none()
            && let Some(permit) = self.pool.try_acquire_request()
        {
            self.permits.set_request(Some(permit));
            return Poll::Ready(());
        }
        let pool = &self.pool;
        let acquiring = self.acquiring.get_or_insert_with(|| Box::pin(pool.acquire_request()));
        let permit = ready!(acquiring.as_mut().poll(cx));
        self.acquiring = None;
        self.permits.set_request(permit.ok());
        Poll::Ready(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Frames(std::vec::IntoIter<Bytes>);

    impl http_body::Body for Frames {
        type Data = Bytes;
        type Error = Status;

        fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
            Poll::Ready(self.0.next().map(|bytes| Ok(Frame::data(bytes))))
        }
    }

    /// Clients that fill their frames send messages like this. Broken by: releasing bytes only where a frame starts with a message.
    #[test]
    fn stream_holds_bytes_of_one_message_however_frames_split_it() {
        let limits = CallLimits { buffered_bytes_max: 64 << 10, ..CallLimits::default() };
        let pool = Arc::new(PermitPool::new(&limits));
        let available = pool.available_bytes();
        let bytes = [&[0, 0, 0, 100, 0][..], &vec![7; 100 << 8]].concat().repeat(1_000);
        let frames: Vec<Bytes> = bytes.chunks(16_384).map(Bytes::copy_from_slice).collect();
        let permits = CallPermits::default();
        let body = Body::new(Frames(frames.into_iter()));
        let limits = BodyLimits::new(&limits);
        let body = MeteredBody::new(body, CallKind::ClientStream, Arc::clone(&pool), permits.clone(), limits);
        let mut body = Box::pin(body);
        let mut cx = Context::from_waker(std::task::Waker::noop());
        while let Poll::Ready(Some(frame)) = http_body::Body::poll_frame(body.as_mut(), &mut cx) {
            frame.expect("it fits");
        }
        drop((body, permits));
        assert_eq!(pool.available_bytes(), available);
    }
}
