//! Which calls are served, and what each may hold while it is.
//!
//! A call is refused when it would wait too long for its turn ([`super::line`]). One that is served takes a place once its message
//! is there, and gives it back while its caller is waited for, so that bodies that trickle in take nothing away from others.
//! What unfinished and unanswered messages hold in memory is limited over all calls.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use http::{HeaderMap, Request, Response};
use http_body::{Frame, SizeHint};
use prost::bytes::Bytes;
use tokio::sync::{AcquireError, OwnedSemaphorePermit, Semaphore};
use tokio::time::Sleep;
use tonic::Status;
use tonic::body::Body;

use super::line::{Line, Turn, Wait};
use super::status::busy;

/// What a call may hold without asking: more than a question takes, so that uploads cannot keep questions out.
const BYTES_FREE: u64 = 16 << 10;
/// What health and reflection take, which have no limit of ours.
const LIBRARY_MESSAGE_BYTES_MAX: usize = 4 << 20;
/// A flag and four bytes of length stand before every message.
const PREFIX_LEN: usize = 5;

/// What calls may take, over all connections.
#[derive(Debug, Clone, Copy)]
pub struct CallLimits {
    /// The longest that a call may take.
    pub request_timeout: Duration,
    /// Calls at once that have something to do.
    pub requests_max: usize,
    /// Calls at once that have their turn, where some stand in line.
    pub turns_max: usize,
    /// A call that waited longer for its turn is refused, unless fewer than `queue_free` came meanwhile.
    pub queue_delay_max: Duration,
    /// See `queue_delay_max`.
    pub queue_free: u64,
    /// Calls at once that wait for more from their callers.
    pub pending_uploads_max: usize,
    /// Bytes of messages that are not whole or not answered.
    pub buffered_bytes_max: usize,
    /// The longest wait for a caller's next message.
    pub stream_idle_timeout: Duration,
    /// The largest message; one that says to be larger is refused without being read.
    pub message_bytes_max: usize,
}

/// Places, and memory for messages.
pub struct Admission {
    /// Calls at once that have something to do.
    places: Arc<Semaphore>,
    line: Line,
    /// Calls at once that wait for more from their callers.
    waits: Arc<Semaphore>,
    /// Bytes of messages that are not whole or not answered, beyond what is free.
    bytes: Arc<Semaphore>,
    stream_idle_timeout: Duration,
    message_bytes_max: u64,
}

/// What kind of call it is, as far as its messages go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// One message from the caller; takes a place.
    One,
    /// As many messages as the caller likes; takes a place for each.
    Many,
    /// Health and reflection: without a turn or a place, so that a busy server is not taken for an unhealthy one.
    Free,
}

/// What a call holds; given back when the last clone is dropped.
#[derive(Clone, Default)]
pub struct Held(Arc<Mutex<Permits>>);

#[derive(Default)]
struct Permits {
    place: Option<OwnedSemaphorePermit>,
    bytes: Option<OwnedSemaphorePermit>,
}

impl Permits {
    /// Gives back the bytes beyond these.
    fn shrink_bytes(&mut self, kept: u64) {
        let Some(bytes) = &mut self.bytes else { return };
        let kept = usize::try_from(kept).unwrap_or(usize::MAX);
        drop(bytes.split(bytes.num_permits().saturating_sub(kept)));
    }
}

impl Admission {
    /// By these limits.
    pub fn new(limits: &CallLimits) -> Arc<Self> {
        Arc::new(Self {
            places: Arc::new(Semaphore::new(limits.requests_max)),
            line: Line::new(limits.turns_max, limits.queue_delay_max, limits.queue_free),
            waits: Arc::new(Semaphore::new(limits.pending_uploads_max)),
            bytes: Arc::new(Semaphore::new(limits.buffered_bytes_max)),
            stream_idle_timeout: limits.stream_idle_timeout,
            message_bytes_max: limits.message_bytes_max.max(LIBRARY_MESSAGE_BYTES_MAX) as u64,
        })
    }

    /// Whether a call that waited so has a chance. Asked before anything else, so that a refusal costs little: under overload
    /// there are many.
    pub fn has_room(&self, wait: Wait) -> bool {
        self.line.has_room(wait) && self.has_place()
    }

    /// The turn of a call that has room and waited so until now; `wait` says how it has waited later. `None`: the turn came too late,
    /// or there is no place any more.
    pub async fn turn(&self, until_now: Wait, wait: impl Fn() -> Wait) -> Option<Turn> {
        let turn = self.line.turn(until_now, wait).await?;
        self.has_place().then_some(turn)
    }

    fn has_place(&self) -> bool {
        self.places.available_permits() > 0
    }

    /// The call with its body under watch.
    pub fn watch(self: &Arc<Self>, kind: Kind, request: Request<Body>) -> (Request<Body>, Held) {
        let held = Held::default();
        let watched = request.map(|body| {
            Body::new(Watched {
                body,
                admission: Arc::clone(self),
                held: held.clone(),
                kind,
                messages: Messages::default(),
                unanswered: 0,
                read: None,
                has_ended: false,
                entering: None,
                pause: None,
            })
        });
        (watched, held)
    }
}

/// [`busy`] as an answer. Made once: under overload it is most of what the server says.
pub fn busy_answer() -> Response<Body> {
    static HEADERS: LazyLock<HeaderMap> = LazyLock::new(|| busy().into_http::<Body>().headers().clone());
    let mut answer = Response::new(Body::default());
    answer.headers_mut().clone_from(&HEADERS);
    answer
}

impl Held {
    fn with<T>(&self, change: impl FnOnce(&mut Permits) -> T) -> T {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn has_place(&self) -> bool {
        self.with(|permits| permits.place.is_some())
    }
}

type Entering = Pin<Box<dyn Future<Output = Result<OwnedSemaphorePermit, AcquireError>> + Send>>;

/// A body that takes and gives back what its call may hold.
struct Watched {
    body: Body,
    admission: Arc<Admission>,
    held: Held,
    kind: Kind,
    messages: Messages,
    /// Bytes of messages that are not whole or not answered, as they say of themselves: room for all of a message is made when its
    /// length is read.
    unanswered: u64,
    /// What was read and waits for a place.
    read: Option<Read>,
    has_ended: bool,
    entering: Option<Entering>,
    pause: Option<Pause>,
}

enum Read {
    Frame(Frame<Bytes>),
    End,
}

/// The caller is waited for.
struct Pause {
    ends: Pin<Box<Sleep>>,
    /// `None` between two frames of one message.
    wait: Option<OwnedSemaphorePermit>,
}

impl http_body::Body for Watched {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let this = &mut *self;
        if this.has_ended {
            return Poll::Ready(None);
        }
        if this.read.is_none() {
            let Poll::Ready(read) = Pin::new(&mut this.body).poll_frame(cx) else { return this.poll_pause(cx) };
            this.read = Some(match read.transpose()? {
                Some(frame) => {
                    this.count(&frame)?;
                    Read::Frame(frame)
                }
                None => Read::End,
            });
        }
        // Half a message is nothing to do.
        let is_whole = this.messages.is_between() || matches!(this.read, Some(Read::End));
        if this.kind != Kind::Free && is_whole {
            ready!(this.poll_place(cx));
        }
        match this.read.take() {
            Some(Read::Frame(frame)) => Poll::Ready(Some(Ok(frame))),
            Some(Read::End) | None => {
                this.has_ended = true;
                Poll::Ready(None)
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.read.is_none() && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Watched {
    /// Counts what a frame adds to what the call holds.
    #[allow(clippy::result_large_err, reason = "every method answers with a Status")]
    fn count(&mut self, frame: &Frame<Bytes>) -> Result<(), Status> {
        if let Some(pause) = &mut self.pause {
            pause.wait = None;
        }
        let Some(data) = frame.data_ref() else { return Ok(()) };
        if self.kind != Kind::One {
            // All that came whole has been answered, or this would not be read.
            self.unanswered = self.messages.length;
            self.held.with(|permits| permits.shrink_bytes(self.unanswered.saturating_sub(BYTES_FREE)));
        }
        let before = self.unanswered.max(BYTES_FREE);
        self.unanswered += self.messages.read(data, self.admission.message_bytes_max);
        let more = self.unanswered.saturating_sub(before);
        if more > 0 {
            // More than there ever is, where it does not fit.
            let more = u32::try_from(more).unwrap_or(u32::MAX);
            let permit = Arc::clone(&self.admission.bytes).try_acquire_many_owned(more).map_err(|_| busy())?;
            self.held.with(|permits| match &mut permits.bytes {
                Some(bytes) => bytes.merge(permit),
                none => *none = Some(permit),
            });
        }
        if self.messages.is_between() {
            self.pause = None;
        }
        Ok(())
    }

    /// Nothing is there: gives the place back, and waits for the caller for as long as that may take.
    fn poll_pause<T>(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<T, Status>>> {
        self.held.with(|permits| permits.place = None);
        let limit = self.admission.stream_idle_timeout;
        let pause = self.pause.get_or_insert_with(|| Pause { ends: Box::pin(tokio::time::sleep(limit)), wait: None });
        if pause.wait.is_none() {
            match Arc::clone(&self.admission.waits).try_acquire_owned() {
                Ok(wait) => pause.wait = Some(wait),
                Err(_) => return Poll::Ready(Some(Err(busy()))),
            }
        }
        ready!(pause.ends.as_mut().poll(cx));
        let told = "the next message did not come in time; of a stream, what came before stays";
        Poll::Ready(Some(Err(Status::deadline_exceeded(told))))
    }

    fn poll_place(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.held.has_place() {
            return Poll::Ready(());
        }
        if self.entering.is_none()
            && let Ok(place) = Arc::clone(&self.admission.places).try_acquire_owned()
        {
            self.held.with(|permits| permits.place = Some(place));
            return Poll::Ready(());
        }
        let places = &self.admission.places;
        let entering = self.entering.get_or_insert_with(|| Box::pin(Arc::clone(places).acquire_owned()));
        let place = ready!(entering.as_mut().poll(cx));
        self.entering = None;
        // An error means that the places are closed, which nobody does.
        self.held.with(|permits| permits.place = place.ok());
        Poll::Ready(())
    }
}

/// Where messages begin and end in the bytes of a body.
#[derive(Debug, Default)]
struct Messages {
    /// Read of the prefix so far.
    prefix: [u8; PREFIX_LEN],
    prefix_len: usize,
    /// Of the message after the prefix, still to come.
    left: u64,
    /// What is counted of the message that has begun: its length, unless it is too long to be taken.
    length: u64,
}

impl Messages {
    /// Nothing of a message is missing.
    fn is_between(&self) -> bool {
        self.prefix_len == 0
    }

    /// The lengths of the messages that begin in these bytes, but for those that are too long to be taken.
    fn read(&mut self, mut bytes: &[u8], taken_max: u64) -> u64 {
        let mut begun = 0;
        while !bytes.is_empty() {
            if self.prefix_len < PREFIX_LEN {
                self.prefix[self.prefix_len] = bytes[0];
                self.prefix_len += 1;
                bytes = &bytes[1..];
                if self.prefix_len == PREFIX_LEN {
                    let [_flag, length @ ..] = self.prefix;
                    self.left = u32::from_be_bytes(length).into();
                    self.length = if self.left <= taken_max { self.left } else { 0 };
                    begun += self.length;
                }
            } else {
                let taken = usize::try_from(self.left).unwrap_or(usize::MAX).min(bytes.len());
                self.left -= taken as u64;
                bytes = &bytes[taken..];
            }
            if self.prefix_len == PREFIX_LEN && self.left == 0 {
                self.prefix_len = 0;
                self.length = 0;
            }
        }
        begun
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Limits;
    use crate::server::limits::of_calls;

    /// Broken by: an end that is seen a byte early or late, wherever frames cut the messages.
    #[test]
    fn messages_end_where_they_end_however_they_are_cut() {
        let bytes = [[0, 0, 0, 0, 3].as_slice(), &[7; 3], &[0; 5], &[0, 0, 0, 1, 0], &[7; 256]].concat();
        let ends = [8, 13, bytes.len()];
        for cut in 1..bytes.len() {
            let mut messages = Messages::default();
            let begun = messages.read(&bytes[..cut], u64::MAX);
            assert_eq!(messages.is_between(), ends.contains(&cut), "after {cut} bytes");
            assert_eq!(begun + messages.read(&bytes[cut..], u64::MAX), 3 + 256);
            assert!(messages.is_between());
        }
    }

    /// As clients send them that fill frames. Broken by: giving back only where a frame begins with a message.
    #[test]
    fn a_stream_holds_one_message_however_frames_cut_it() {
        struct Frames(std::vec::IntoIter<Bytes>);
        impl http_body::Body for Frames {
            type Data = Bytes;
            type Error = Status;
            fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
                Poll::Ready(self.0.next().map(|bytes| Ok(Frame::data(bytes))))
            }
        }
        let limits = Limits { buffered_bytes_max: 64 << 10, ..Limits::default() };
        let admission = Admission::new(&of_calls(&limits));
        let whole = admission.bytes.available_permits();
        let bytes = [&[0, 0, 0, 100, 0][..], &vec![7; 100 << 8]].concat().repeat(1_000);
        let frames: Vec<Bytes> = bytes.chunks(16_384).map(Bytes::copy_from_slice).collect();
        let request = Request::new(Body::new(Frames(frames.into_iter())));
        let (request, held) = admission.watch(Kind::Many, request);
        let mut body = Box::pin(request.into_body());
        let mut cx = Context::from_waker(std::task::Waker::noop());
        while let Poll::Ready(Some(frame)) = http_body::Body::poll_frame(body.as_mut(), &mut cx) {
            frame.expect("it fits");
        }
        drop((body, held));
        assert_eq!(admission.bytes.available_permits(), whole);
    }
}
