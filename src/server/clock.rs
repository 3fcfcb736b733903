//! Clock of the server: the wall clock, monitored for steps, or the clock of a store that several processes share.
//!
//! The rules are pure: readings of the clocks are arguments.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crate::domain::time::Timestamp;
use crate::use_cases::app::Clock;

/// Divergence of wall and monotonic clock beyond which the time is no longer trusted.
const DIVERGENCE_MAX: Duration = Duration::from_secs(5);
/// Time for which both clocks must run at the same rate until the time is trusted again.
const CALM_TIME: Duration = Duration::from_secs(60);
/// Change of the difference between both clocks within that time that is no step: the delay between reading one and the other.
const CALM_TOLERANCE: Duration = Duration::from_secs(1);

/// Wall clock; or a clock that started at another time and runs at the same rate; or that of the store, once it is followed.
#[derive(Debug)]
pub(super) struct ServerClock {
    started: Instant,
    store_clock: Mutex<StoreClock>,
    /// Time that the clock showed when it started; `None`: the wall time.
    started_at: Option<Timestamp>,
}

impl ServerClock {
    /// Creates a clock that shows `start` now, or the wall time.
    pub(super) fn starting_at(start: Option<Timestamp>) -> Self {
        Self { started: Instant::now(), store_clock: Mutex::default(), started_at: start }
    }

    /// Follows the clock of the store, which was read between sending and receiving. Not followed by a clock that started at
    /// another time.
    pub(super) fn follow(&self, store_time: Timestamp, sent: Instant, received: Instant) {
        if self.started_at.is_none() {
            let since_start = |at: Instant| at.saturating_duration_since(self.started);
            self.store_clock().observe(store_time, since_start(sent), since_start(received));
        }
    }

    /// Difference of the store's clock from the wall clock, in milliseconds; positive when the store's is ahead. `None` when the
    /// store's is not followed.
    pub(super) fn store_divergence_ms(&self) -> Option<i64> {
        let time = self.store_clock().time_at(self.started.elapsed())?;
        Some(time.unix_ms().saturating_sub(wall_time().unix_ms()))
    }

    fn store_clock(&self) -> std::sync::MutexGuard<'_, StoreClock> {
        self.store_clock.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads this clock and the monotonic one.
    pub(super) fn reading(&self) -> ClockReading {
        ClockReading { time: self.now(), monotonic: self.started.elapsed() }
    }
}

/// Clock of a store, as its offset from the monotonic clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct StoreClock {
    /// Time of the store when the monotonic clock showed 0, in milliseconds.
    offset_ms: Option<i64>,
}

impl StoreClock {
    /// Takes over a time that the store's clock showed at some moment between two readings of the monotonic clock. An offset
    /// that agrees with it is kept, so that the time does not jump with the duration of each call.
    pub(super) fn observe(&mut self, store_time: Timestamp, sent: Duration, received: Duration) {
        let offset_at = |monotonic: Duration| {
            store_time.unix_ms().saturating_sub(i64::try_from(monotonic.as_millis()).unwrap_or(i64::MAX))
        };
        let (lowest, highest) = (offset_at(received.max(sent)), offset_at(sent));
        self.offset_ms = Some(self.offset_ms.unwrap_or(highest).clamp(lowest, highest));
    }

    /// Time of the store when the monotonic clock shows this; `None` before the first observation.
    pub(super) fn time_at(self, monotonic: Duration) -> Option<Timestamp> {
        let monotonic_ms = i64::try_from(monotonic.as_millis()).unwrap_or(i64::MAX);
        Timestamp::from_unix_ms(self.offset_ms?.saturating_add(monotonic_ms))
    }
}

/// Whether a divergence of two clocks allows to rely on the time.
pub(super) fn is_divergence_trusted(divergence_ms: i64) -> bool {
    u128::from(divergence_ms.unsigned_abs()) <= DIVERGENCE_MAX.as_millis()
}

/// Simultaneous reading of a clock and of the monotonic clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct ClockReading {
    pub(super) time: Timestamp,
    /// Time since a fixed moment by the monotonic clock.
    pub(super) monotonic: Duration,
}

impl ClockReading {
    /// Difference between both clocks, in milliseconds.
    fn offset_ms(self) -> i64 {
        let monotonic_ms = i64::try_from(self.monotonic.as_millis()).unwrap_or(i64::MAX);
        self.time.unix_ms().saturating_sub(monotonic_ms)
    }
}

/// Verdict on one reading.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct ClockVerdict {
    /// Signed difference from the expected time, in milliseconds; positive when the clock is ahead.
    pub(super) divergence_ms: i64,
    /// Whether caps, holds and decay may rely on the time.
    pub(super) is_trusted: bool,
    /// Step that is accepted with this reading, in milliseconds, after the clock had not been trusted.
    pub(super) accepted_step_ms: Option<i64>,
}

/// Detects steps of the clock, and accepts the new time once the clock has been calm for a minute: a step is usually a
/// correction, and a server that waits for a restart serves no client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct ClockMonitor {
    /// Offset that is trusted.
    anchor_ms: i64,
    /// Offset around which the clock has been calm, and the monotonic time since then.
    calm_offset_ms: i64,
    calm_since: Duration,
}

impl ClockMonitor {
    /// Trusts the first reading.
    pub(super) fn new(first: ClockReading) -> Self {
        let offset_ms = first.offset_ms();
        Self { anchor_ms: offset_ms, calm_offset_ms: offset_ms, calm_since: first.monotonic }
    }

    /// Judges a reading. Readings come in the order of the monotonic clock.
    pub(super) fn judge(&mut self, reading: ClockReading) -> ClockVerdict {
        let offset_ms = reading.offset_ms();
        let exceeds = |change_ms: i64, limit: Duration| u128::from(change_ms.unsigned_abs()) > limit.as_millis();
        if exceeds(offset_ms.saturating_sub(self.calm_offset_ms), CALM_TOLERANCE) {
            (self.calm_offset_ms, self.calm_since) = (offset_ms, reading.monotonic);
        }
        let divergence_ms = offset_ms.saturating_sub(self.anchor_ms);
        let mut is_trusted = !exceeds(divergence_ms, DIVERGENCE_MAX);
        let is_calm = reading.monotonic.saturating_sub(self.calm_since) >= CALM_TIME;
        let accepted_step_ms = (is_calm && !is_trusted).then_some(divergence_ms);
        if is_calm {
            // Also after small steps, which would otherwise add up over months.
            *self = Self { anchor_ms: offset_ms, calm_offset_ms: offset_ms, calm_since: reading.monotonic };
            is_trusted = true;
        }
        ClockVerdict { divergence_ms, is_trusted, accepted_step_ms }
    }
}

impl Clock for ServerClock {
    fn now(&self) -> Timestamp {
        let elapsed = self.started.elapsed();
        match self.started_at {
            Some(started_at) => started_at + elapsed,
            None => self.store_clock().time_at(elapsed).unwrap_or_else(wall_time),
        }
    }
}

fn wall_time() -> Timestamp {
    let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let ms = i64::try_from(since_1970.as_millis()).unwrap_or(i64::MAX);
    Timestamp::from_unix_ms(ms).unwrap_or(Timestamp::MAX)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Reading after a number of seconds, by a clock that is ahead by some milliseconds.
    fn reading(second: u64, ahead_ms: i64) -> ClockReading {
        let elapsed = i64::try_from(second * 1_000).expect("small");
        let time = Timestamp::from_unix_ms(1_700_000_000_000 + elapsed + ahead_ms).expect("in range");
        ClockReading { time, monotonic: Duration::from_secs(second) }
    }

    /// Verdicts on one reading a second.
    fn verdicts(ahead_ms: impl IntoIterator<Item = i64>) -> Vec<ClockVerdict> {
        let mut monitor = ClockMonitor::new(reading(0, 0));
        (1..).zip(ahead_ms).map(|(second, ahead_ms)| monitor.judge(reading(second, ahead_ms))).collect()
    }

    /// Broken by: a divergence that is measured from the start, which ends only with the process.
    #[test]
    fn a_step_is_accepted_after_a_calm_minute() {
        for step_ms in [5_001, -5_001, 3_600_000, -86_400_000] {
            let verdicts = verdicts(std::iter::repeat_n(step_ms, 200));
            let distrusted = verdicts.iter().take_while(|verdict| !verdict.is_trusted).count();
            assert_eq!(distrusted, 60, "seconds 1 to 60");
            assert_eq!(verdicts[60].accepted_step_ms, Some(step_ms));
            assert!(verdicts[60..].iter().all(|verdict| verdict.is_trusted));
            assert_eq!(verdicts.iter().filter(|verdict| verdict.accepted_step_ms.is_some()).count(), 1);
            assert_eq!(verdicts[61].divergence_ms, 0);
        }
    }

    /// Broken by: a calm minute that counts from the first step.
    #[test]
    fn a_clock_that_keeps_stepping_is_not_trusted() {
        let stepping = verdicts((0..300).map(|second| if second / 30 % 2 == 0 { 10_000 } else { 20_000 }));
        assert!(stepping.iter().all(|verdict| !verdict.is_trusted));
        let returning = verdicts((0..100).map(|second| if second < 30 { 10_000 } else { 0 }));
        assert!(returning[30..].iter().all(|verdict| verdict.is_trusted && verdict.accepted_step_ms.is_none()));
    }

    /// Broken by: small steps that add up to a divergence.
    #[test]
    fn steps_of_at_most_five_seconds_are_no_fault_however_many_there_are() {
        let verdicts = verdicts((0..1_000).map(|second| second / 100 * 5_000));
        assert!(verdicts.iter().all(|verdict| verdict.is_trusted && verdict.accepted_step_ms.is_none()));
    }

    proptest! {
        /// Whatever the calls take, the followed time is within the duration of the shortest call so far, and does not jump while
        /// the clocks agree.
        /// Broken by: an offset taken from the sending or the receiving of each call.
        #[test]
        fn a_followed_clock_agrees_with_the_store(
            calls in prop::collection::vec((0_u64..10_000, 0_u64..2_000, 0_u64..2_000), 1..50),
            ahead_ms in -1_000_000_i64..1_000_000,
        ) {
            let mut clock = StoreClock::default();
            let (mut monotonic, mut shortest) = (0, u64::MAX);
            let true_time = |monotonic: u64| 1_700_000_000_000 + ahead_ms + i64::try_from(monotonic).expect("small");
            for (pause, there, back) in calls {
                let sent = monotonic + pause;
                monotonic = sent + there + back;
                let before = clock.time_at(Duration::from_millis(monotonic));
                let shown = Timestamp::from_unix_ms(true_time(sent + there)).expect("in range");
                clock.observe(shown, Duration::from_millis(sent), Duration::from_millis(monotonic));
                shortest = shortest.min(there + back);
                let now = clock.time_at(Duration::from_millis(monotonic)).expect("observed");
                prop_assert!(now.unix_ms().abs_diff(true_time(monotonic)) <= shortest);
                let jump = before.map_or(0, |before| before.unix_ms().abs_diff(now.unix_ms()));
                prop_assert!(jump <= before.map_or(0, |before| before.unix_ms().abs_diff(true_time(monotonic))));
            }
        }
        /// Whatever happened before, two calm minutes restore trust: nothing latches.
        /// Broken by: a state without a way back to trust.
        #[test]
        fn trust_returns_after_any_history(
            history in prop::collection::vec((0_i64..4, -100_000_i64..100_000), 0..200),
            last in -1_000_000_i64..1_000_000,
        ) {
            let noisy = history.into_iter().flat_map(|(seconds, ahead_ms)| {
                std::iter::repeat_n(ahead_ms, usize::try_from(seconds * 20).expect("small"))
            });
            let verdicts = verdicts(noisy.chain(std::iter::repeat_n(last, 120)));
            let calm = &verdicts[verdicts.len() - 1];
            prop_assert!(calm.is_trusted);
            prop_assert_eq!(calm.divergence_ms, 0);
        }
    }
}
