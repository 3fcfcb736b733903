//! The line in which calls stand that queue up.
//!
//! A call is refused when it waited too long for its turn while others queued up behind it; after a mere pause of the machine
//! there are few of those, and all are served. Where some queue up, they stand in line and take turns, and between any two
//! turns others are read, and refused: the runtime's own queue serves first what came last, and leaves the rest, connections among
//! it, unread.
//!
//! A wait starts when the headers have been read, which only [`super::observe::Observe`] sees.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Fewer that wait need no line.
const LINE_MIN: u64 = 8;

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
struct Pace {
    /// When somebody last had a turn while others stood behind.
    moved: Option<Instant>,
    /// Between two turns, on average over the latest.
    average: Duration,
}

impl Pace {
    /// How many turns count for the average.
    const LATEST: u32 = 32;

    /// Somebody stands where nobody stood: those before may have left without a turn.
    fn begin(&mut self) {
        self.moved = None;
    }

    fn moved_on(&mut self, now: Instant, is_empty: bool) {
        if let Some(moved) = self.moved {
            let took = now.saturating_duration_since(moved);
            self.average = (self.average * (Self::LATEST - 1) + took) / Self::LATEST;
        }
        self.moved = (!is_empty).then_some(now);
    }

    /// How long somebody waits behind so many.
    fn lasts(&self, standing: u64) -> Duration {
        self.average.saturating_mul(u32::try_from(standing).unwrap_or(u32::MAX))
    }
}

/// Counts a call that stands in line, until it has its turn or is given up.
struct Standing<'a>(&'a AtomicU64);

impl Drop for Standing<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Turns, and who stands for them.
pub struct Line {
    /// Taken by calls that begin while some wait.
    turns: Arc<Semaphore>,
    /// Calls that stand for one.
    standing: AtomicU64,
    pace: Mutex<Pace>,
    queue_delay_max: Duration,
    queue_free: u64,
}

impl Line {
    /// With so many turns at once. A call that waits longer than `queue_delay_max` is refused, unless fewer than `queue_free` came
    /// meanwhile.
    pub fn new(turns_max: usize, queue_delay_max: Duration, queue_free: u64) -> Self {
        let turns = Arc::new(Semaphore::new(turns_max));
        Self { turns, standing: AtomicU64::new(0), pace: Mutex::default(), queue_delay_max, queue_free }
    }

    /// Whether a call that waited so has a chance.
    pub fn has_room(&self, wait: Wait) -> bool {
        let standing = self.standing.load(Ordering::Relaxed);
        let is_long = standing >= self.queue_free && self.pace().lasts(standing) > self.queue_delay_max;
        !self.is_too_late(wait) && !is_long
    }

    /// The turn of a call that has room and waited so until now; at once where nobody else waits. `wait` says how it has waited
    /// later. `None`: the turn came too late.
    pub async fn turn(&self, until_now: Wait, wait: impl Fn() -> Wait) -> Option<Turn> {
        let nobody_waits = until_now.behind < LINE_MIN && self.turns.available_permits() > 0;
        if nobody_waits {
            return Some(Turn(None));
        }
        let standing = self.stand();
        // An error means that turns are closed, which nobody does.
        let turn = Arc::clone(&self.turns).acquire_owned().await.ok()?;
        drop(standing);
        if self.is_too_late(wait()) {
            return None;
        }
        let is_last = self.standing.load(Ordering::Relaxed) == 0;
        self.pace().moved_on(Instant::now(), is_last);
        // Others are read first, and join the line or are refused.
        tokio::task::yield_now().await;
        Some(Turn(Some(turn)))
    }

    fn stand(&self) -> Standing<'_> {
        if self.standing.fetch_add(1, Ordering::Relaxed) == 0 {
            self.pace().begin();
        }
        Standing(&self.standing)
    }

    fn is_too_late(&self, wait: Wait) -> bool {
        wait.time > self.queue_delay_max && wait.behind >= self.queue_free
    }

    fn pace(&self) -> MutexGuard<'_, Pace> {
        self.pace.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::future::Future;
    use std::task::{Context, Waker};

    use super::*;

    /// Broken by: a line whose last turn is remembered when the others left without one.
    #[tokio::test]
    async fn a_line_that_all_have_left_begins_anew() {
        let line = Line::new(2, Duration::from_millis(100), 64);
        let waited = Wait { time: Duration::ZERO, behind: LINE_MIN };
        let stand = || Box::pin(line.turn(waited, || waited));
        let mut cx = Context::from_waker(Waker::noop());
        let turns = u32::try_from(line.turns.available_permits()).expect("few");
        let mut all = Arc::clone(&line.turns).try_acquire_many_owned(turns).expect("nobody has one");
        let (mut first, mut second) = (stand(), stand());
        assert!(first.as_mut().poll(&mut cx).is_pending() && second.as_mut().poll(&mut cx).is_pending());
        drop(all.split(1));
        let turn = first.await;
        assert!(turn.is_some() && line.pace().moved.is_some());
        drop(second);
        let mut third = stand();
        assert!(third.as_mut().poll(&mut cx).is_pending());
        assert_eq!(line.pace().moved, None, "the pause before it is no turn");
        drop(turn);
    }

    /// Broken by: a pause without a line that counts as a turn, or an old pace that is never forgotten.
    #[test]
    fn a_line_lasts_as_long_as_its_latest_turns_took() {
        let mut pace = Pace::default();
        let mut now = Instant::now();
        let mut turns = |pace: &mut Pace, took: Duration, is_last: bool| {
            for _ in 0..10 * Pace::LATEST {
                now += took;
                pace.moved_on(now, is_last);
            }
        };
        turns(&mut pace, Duration::from_secs(1), true);
        assert_eq!(pace.lasts(100), Duration::ZERO, "nobody stood behind");
        turns(&mut pace, Duration::from_millis(4), false);
        turns(&mut pace, Duration::from_millis(1), false);
        let lasts = pace.lasts(100).as_millis();
        assert!((99..=101).contains(&lasts), "100 turns of 1 ms last {lasts} ms");
    }
}
