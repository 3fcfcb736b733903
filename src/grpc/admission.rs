//! Which calls are served, and what each may hold while it is.
//!
//! A call is refused when it waited too long for its turn while others queued up behind it; after a mere pause of the machine
//! there are few of those, and all are served. Where some queue up, they stand in line and take turns, and between any two
//! turns others are read, and refused: the runtime's own queue serves first what came last, and leaves the rest, connections among
//! it, unread. A call that is served takes a
//! place once its message is there, and gives it back while its caller is waited for, so that bodies that trickle in
//! take nothing away from others. What unfinished and unanswered messages hold in memory is limited over all calls.
//!
//! A wait starts when the headers have been read, which only [`super::observe::Observe`] sees.

use std::collections::HashMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use http::{HeaderMap, Request, Response};
use http_body::{Frame, SizeHint};
use prost::bytes::Bytes;
use tokio::sync::{AcquireError, OwnedSemaphorePermit, Semaphore};
use tokio::time::Sleep;
use tonic::body::Body;
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt};

/// How long a caller that was refused should wait.
const RETRY_AFTER: Duration = Duration::from_millis(500);
/// What a call may hold without asking: more than a question takes, so that uploads cannot keep questions out.
const BYTES_FREE: u64 = 16 << 10;
/// What health and reflection take, which have no limit of ours.
const LIBRARY_MESSAGE_BYTES_MAX: usize = 4 << 20;
/// Fewer that wait need no line.
const LINE_MIN: u64 = 8;
/// Calls at once that have their turn, for each core: more answer no more, and keep more from being read.
const TURNS_A_CORE: usize = 8;
/// A flag and four bytes of length stand before every message.
const PREFIX_LEN: usize = 5;

/// What calls may take, over all connections.
#[derive(Debug, Clone, Copy)]
pub struct CallLimits {
    /// The longest that a call may take.
    pub request_timeout: Duration,
    /// Calls at once that have something to do.
    pub requests_max: usize,
    /// A call that waited longer for its turn is refused, unless fewer than `queue_free` came meanwhile.
    pub queue_max: Duration,
    /// See `queue_max`.
    pub queue_free: u64,
    /// Calls at once that wait for more from their callers.
    pub waits_max: usize,
    /// Bytes of messages that are not whole or not answered.
    pub unanswered_bytes_max: usize,
    /// The longest wait for a caller's next message.
    pub pause_max: Duration,
    /// The largest message; one that says to be larger is refused without being read.
    pub message_bytes_max: usize,
}

/// Places, and memory for messages.
pub struct Admission {
    /// Calls at once that have something to do.
    places: Arc<Semaphore>,
    /// Taken by calls that begin while some wait.
    turns: Arc<Semaphore>,
    /// Calls that stand in line for one.
    standing: AtomicU64,
    line: Mutex<Line>,
    /// Calls at once that wait for more from their callers.
    waits: Arc<Semaphore>,
    /// Bytes of messages that are not whole or not answered, beyond what is free.
    bytes: Arc<Semaphore>,
    queue_max: Duration,
    queue_free: u64,
    pause_max: Duration,
    message_bytes_max: u64,
}

/// How a call waited for its turn.
#[derive(Debug, Clone, Copy)]
pub struct Wait {
    /// Since its headers were read.
    pub time: Duration,
    /// Calls that came meanwhile.
    pub behind: u64,
}

/// A call's turn; given back or dropped, it is the next one's. Empty where nobody waits.
pub struct Turn(Option<OwnedSemaphorePermit>);

impl Turn {
    /// Lets the next one begin: the call waits for something else.
    pub fn give_back(&mut self) {
        self.0 = None;
    }
}

/// How quickly the line moves on.
#[derive(Debug, Default)]
struct Line {
    /// When somebody last had a turn while others stood behind.
    moved: Option<Instant>,
    /// Between two turns, on average over the latest.
    pace: Duration,
}

impl Line {
    /// How many turns count for the average.
    const LATEST: u32 = 32;

    /// Somebody stands where nobody stood: those before may have left without a turn.
    fn begin(&mut self) {
        self.moved = None;
    }

    fn moved_on(&mut self, now: Instant, is_empty: bool) {
        if let Some(moved) = self.moved {
            let took = now.saturating_duration_since(moved);
            self.pace = (self.pace * (Self::LATEST - 1) + took) / Self::LATEST;
        }
        self.moved = (!is_empty).then_some(now);
    }

    /// How long somebody waits behind so many.
    fn lasts(&self, standing: u64) -> Duration {
        self.pace.saturating_mul(u32::try_from(standing).unwrap_or(u32::MAX))
    }
}

/// Counts a call that stands in line, until it has its turn or is given up.
struct Standing<'a>(&'a AtomicU64);

impl<'a> Standing<'a> {
    /// And whether it is the first.
    fn new(standing: &'a AtomicU64) -> (Self, bool) {
        let before = standing.fetch_add(1, Ordering::Relaxed);
        (Self(standing), before == 0)
    }
}

impl Drop for Standing<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
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
    #[must_use]
    pub fn new(limits: &CallLimits) -> Arc<Self> {
        Arc::new(Self {
            places: Arc::new(Semaphore::new(limits.requests_max)),
            turns: Arc::new(Semaphore::new(TURNS_A_CORE * std::thread::available_parallelism().map_or(1, usize::from))),
            standing: AtomicU64::new(0),
            line: Mutex::default(),
            waits: Arc::new(Semaphore::new(limits.waits_max)),
            bytes: Arc::new(Semaphore::new(limits.unanswered_bytes_max)),
            queue_max: limits.queue_max,
            queue_free: limits.queue_free,
            pause_max: limits.pause_max,
            message_bytes_max: limits.message_bytes_max.max(LIBRARY_MESSAGE_BYTES_MAX) as u64,
        })
    }

    /// Whether a call that waited so has a chance. Asked before anything else, so that a refusal costs little: under overload
    /// there are many.
    #[must_use]
    pub fn has_room(&self, wait: Wait) -> bool {
        let standing = self.standing.load(Ordering::Relaxed);
        let is_line_long = standing >= self.queue_free && self.line().lasts(standing) > self.queue_max;
        !self.is_too_late(wait) && !is_line_long && self.has_place()
    }

    /// The turn of a call that has room and waited so until now; at once where nobody else waits. `wait` says how it has waited
    /// later. `None`: the turn came too late, or there is no place any more.
    pub async fn turn(&self, until_now: Wait, wait: impl Fn() -> Wait) -> Option<Turn> {
        let nobody_waits = until_now.behind < LINE_MIN && self.turns.available_permits() > 0;
        if nobody_waits {
            return Some(Turn(None));
        }
        let (standing, is_first) = Standing::new(&self.standing);
        if is_first {
            self.line().begin();
        }
        // An error means that turns are closed, which nobody does.
        let turn = Arc::clone(&self.turns).acquire_owned().await.ok()?;
        drop(standing);
        if self.is_too_late(wait()) {
            return None;
        }
        let is_last = self.standing.load(Ordering::Relaxed) == 0;
        self.line().moved_on(Instant::now(), is_last);
        // Others are read first, and join the line or are refused.
        tokio::task::yield_now().await;
        self.has_place().then_some(Turn(Some(turn)))
    }

    fn has_place(&self) -> bool {
        self.places.available_permits() > 0
    }

    fn is_too_late(&self, wait: Wait) -> bool {
        wait.time > self.queue_max && wait.behind >= self.queue_free
    }

    fn line(&self) -> MutexGuard<'_, Line> {
        self.line.lock().unwrap_or_else(PoisonError::into_inner)
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

/// What a call is told that is refused.
#[must_use]
pub fn busy() -> Status {
    let mut details = ErrorDetails::with_error_info("SERVER_BUSY", "tactful", HashMap::<String, String>::new());
    details.set_retry_info(Some(RETRY_AFTER));
    Status::with_error_details(Code::ResourceExhausted, "the server is busy; try again in half a second", details)
}

/// [`busy`] as an answer. Made once: under overload it is most of what the server says.
#[must_use]
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
        let limit = self.admission.pause_max;
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
        let limits = Limits { unanswered_bytes_max: 64 << 10, ..Limits::default() };
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

    /// Broken by: a line whose last turn is remembered when the others left without one.
    #[tokio::test]
    async fn a_line_that_all_have_left_begins_anew() {
        let admission = Admission::new(&of_calls(&Limits::default()));
        let waited = Wait { time: Duration::ZERO, behind: LINE_MIN };
        let stand = || Box::pin(admission.turn(waited, || waited));
        let mut cx = Context::from_waker(std::task::Waker::noop());
        let turns = u32::try_from(admission.turns.available_permits()).expect("few");
        let mut all = Arc::clone(&admission.turns).try_acquire_many_owned(turns).expect("nobody has one");
        let (mut first, mut second) = (stand(), stand());
        assert!(first.as_mut().poll(&mut cx).is_pending() && second.as_mut().poll(&mut cx).is_pending());
        drop(all.split(1));
        let turn = first.await;
        assert!(turn.is_some() && admission.line().moved.is_some());
        drop(second);
        let mut third = stand();
        assert!(third.as_mut().poll(&mut cx).is_pending());
        assert_eq!(admission.line().moved, None, "the pause before it is no turn");
        drop(turn);
    }

    /// Broken by: a pause without a line that counts as a turn, or an old pace that is never forgotten.
    #[test]
    fn a_line_lasts_as_long_as_its_latest_turns_took() {
        let mut line = Line::default();
        let mut now = Instant::now();
        let mut turns = |line: &mut Line, pace: Duration, is_last: bool| {
            for _ in 0..10 * Line::LATEST {
                now += pace;
                line.moved_on(now, is_last);
            }
        };
        turns(&mut line, Duration::from_secs(1), true);
        assert_eq!(line.lasts(100), Duration::ZERO, "nobody stood behind");
        turns(&mut line, Duration::from_millis(4), false);
        turns(&mut line, Duration::from_millis(1), false);
        let lasts = line.lasts(100).as_millis();
        assert!((99..=101).contains(&lasts), "100 turns of 1 ms last {lasts} ms");
    }
}
