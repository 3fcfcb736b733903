//! FIFO admission queue with load shedding by queueing delay.
//!
//! A request is shed when it waited longer than `queue_delay_max` while others queued up behind it; after a mere pause of the
//! machine few have, and all are served. Queued requests start one after the other, each with an execution permit, and between
//! any two the runtime reads further requests, which are queued or shed. Without the queue, the runtime's own run queue serves
//! last in, first out, and leaves the rest, connections among it, unread.
//!
//! The delay counts from when the transport has read the headers, which only [`super::shedding::Shedding`] observes.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::arrival::ArrivalStamp;
use crate::config::settings::CallLimits;

/// Minimum backlog at which requests queue; fewer start at once.
const QUEUED_BACKLOG_MIN: u64 = 8;

/// Time that a request has waited since its arrival.
#[derive(Debug, Clone, Copy)]
struct QueueDelay {
    time: Duration,
    /// Number of requests that arrived meanwhile.
    backlog: u64,
}

/// Permit to start executing; released when the call first waits for something, it passes to the next queued request. Empty for
/// a request that did not queue.
pub(crate) struct ExecutionPermit(Option<OwnedSemaphorePermit>);

impl ExecutionPermit {
    /// Lets the next queued request start.
    pub(crate) fn release(&mut self) {
        self.0 = None;
    }
}

/// Rate at which queued requests start.
#[derive(Debug, Default)]
struct DequeueRate {
    /// Time of the last start that left others queued.
    last_start: Option<Instant>,
    /// Moving average of the interval between two starts.
    interval: Duration,
}

impl DequeueRate {
    /// Number of intervals in the moving average.
    const WINDOW: u32 = 32;

    /// Forgets the last start when a request queues behind no other: earlier ones may have left without starting.
    fn reset(&mut self) {
        self.last_start = None;
    }

    fn record_start(&mut self, now: Instant, is_queue_empty: bool) {
        if let Some(last_start) = self.last_start {
            let interval = now.saturating_duration_since(last_start);
            self.interval = (self.interval * (Self::WINDOW - 1) + interval) / Self::WINDOW;
        }
        self.last_start = (!is_queue_empty).then_some(now);
    }

    /// Estimates the delay of a request behind this many queued ones.
    fn expected_delay(&self, queued: u64) -> Duration {
        self.interval.saturating_mul(u32::try_from(queued).unwrap_or(u32::MAX))
    }
}

/// Guard that counts a request as queued until it starts or is cancelled.
struct QueuedGuard<'a>(&'a AtomicU64);

impl Drop for QueuedGuard<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// FIFO queue of requests that wait to start executing.
pub(crate) struct AdmissionQueue {
    execution_permits: Arc<Semaphore>,
    /// Sequence number of the latest arrival.
    arrivals: AtomicU64,
    /// Number of queued requests.
    queued: AtomicU64,
    dequeue_rate: Mutex<DequeueRate>,
    queue_delay_max: Duration,
    shed_backlog_min: u64,
}

impl AdmissionQueue {
    pub(crate) fn new(limits: &CallLimits) -> Self {
        Self {
            execution_permits: Arc::new(Semaphore::new(limits.execution_permits)),
            arrivals: AtomicU64::new(0),
            queued: AtomicU64::new(0),
            dequeue_rate: Mutex::default(),
            queue_delay_max: limits.queue_delay_max,
            shed_backlog_min: limits.shed_backlog_min,
        }
    }

    /// Counts an arrival and stamps it with the current time.
    pub(crate) fn stamp(&self) -> ArrivalStamp {
        let sequence = self.arrivals.fetch_add(1, Ordering::Relaxed) + 1;
        ArrivalStamp { time: Instant::now(), sequence }
    }

    /// Whether a request is to be shed on arrival: it has waited too long already, or would before it starts.
    pub(crate) fn is_too_long_for(&self, arrival: ArrivalStamp) -> bool {
        let queued = self.queued.load(Ordering::Relaxed);
        let is_long =
            queued >= self.shed_backlog_min && self.dequeue_rate().expected_delay(queued) > self.queue_delay_max;
        is_long || self.is_overdue(arrival)
    }

    /// Acquires an execution permit, at once where no other request waits. Returns `None` when the request has to be shed because
    /// its permit came too late.
    pub(crate) async fn acquire(&self, arrival: ArrivalStamp) -> Option<ExecutionPermit> {
        let is_idle = self.backlog(arrival) < QUEUED_BACKLOG_MIN && self.execution_permits.available_permits() > 0;
        if is_idle {
            return Some(ExecutionPermit(None));
        }
        let queued = self.enqueue();
        // `acquire_owned` fails only for a closed semaphore, and this one is never closed.
        let permit = Arc::clone(&self.execution_permits).acquire_owned().await.ok()?;
        drop(queued);
        if self.is_overdue(arrival) {
            return None;
        }
        let is_queue_empty = self.queued.load(Ordering::Relaxed) == 0;
        self.dequeue_rate().record_start(Instant::now(), is_queue_empty);
        // Lets the runtime read further requests first, which are queued or shed.
        tokio::task::yield_now().await;
        Some(ExecutionPermit(Some(permit)))
    }

    fn enqueue(&self) -> QueuedGuard<'_> {
        if self.queued.fetch_add(1, Ordering::Relaxed) == 0 {
            self.dequeue_rate().reset();
        }
        QueuedGuard(&self.queued)
    }

    fn backlog(&self, arrival: ArrivalStamp) -> u64 {
        self.arrivals.load(Ordering::Relaxed).saturating_sub(arrival.sequence)
    }

    fn is_overdue(&self, arrival: ArrivalStamp) -> bool {
        let delay = QueueDelay { time: arrival.time.elapsed(), backlog: self.backlog(arrival) };
        delay.time > self.queue_delay_max && delay.backlog >= self.shed_backlog_min
    }

    fn dequeue_rate(&self) -> MutexGuard<'_, DequeueRate> {
        self.dequeue_rate.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::future::Future;
    use std::task::{Context, Waker};

    use super::*;

    /// Broken by: remembering the last start after the other queued requests were cancelled.
    #[tokio::test]
    async fn queue_that_was_cancelled_empty_forgets_its_last_start() {
        let queue = AdmissionQueue::new(&CallLimits { execution_permits: 2, ..CallLimits::default() });
        let arrival = queue.stamp();
        for _ in 0..QUEUED_BACKLOG_MIN {
            queue.stamp();
        }
        let acquire = || Box::pin(queue.acquire(arrival));
        let mut cx = Context::from_waker(Waker::noop());
        let mut all = Arc::clone(&queue.execution_permits).try_acquire_many_owned(2).expect("none is in use");
        let (mut first, mut second) = (acquire(), acquire());
        assert!(first.as_mut().poll(&mut cx).is_pending() && second.as_mut().poll(&mut cx).is_pending());
        drop(all.split(1));
        let permit = first.await;
        assert!(permit.is_some() && queue.dequeue_rate().last_start.is_some());
        drop(second);
        let mut third = acquire();
        assert!(third.as_mut().poll(&mut cx).is_pending());
        assert_eq!(queue.dequeue_rate().last_start, None, "the pause before it is no interval");
        drop(permit);
    }

    /// Broken by: counting a pause of an empty queue as an interval, or an average that never forgets old intervals.
    #[test]
    fn expected_delay_follows_the_latest_intervals() {
        let mut rate = DequeueRate::default();
        let mut now = Instant::now();
        let mut start_many = |rate: &mut DequeueRate, interval: Duration, is_queue_empty: bool| {
            for _ in 0..10 * DequeueRate::WINDOW {
                now += interval;
                rate.record_start(now, is_queue_empty);
            }
        };
        start_many(&mut rate, Duration::from_secs(1), true);
        assert_eq!(rate.expected_delay(100), Duration::ZERO, "none was queued behind");
        start_many(&mut rate, Duration::from_millis(4), false);
        start_many(&mut rate, Duration::from_millis(1), false);
        let delay = rate.expected_delay(100).as_millis();
        assert!((99..=101).contains(&delay), "100 intervals of 1 ms last {delay} ms");
    }
}
