//! Clock of the server, and detection of jumps of the wall clock.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crate::domain::time::Timestamp;
use crate::use_cases::app::Clock;

/// Divergence of wall and monotonic clock beyond which the time is no longer trusted.
pub(super) const DIVERGENCE_MAX: Duration = Duration::from_secs(5);

/// Wall clock, or a clock that started at another time and runs at the same rate.
#[derive(Debug)]
pub(super) struct ServerClock {
    started: Instant,
    started_wall: Timestamp,
    /// Time that the clock showed when it started; `None`: the wall time.
    started_at: Option<Timestamp>,
}

impl ServerClock {
    /// Creates a clock that shows `start` now, or the wall time.
    pub(super) fn starting_at(start: Option<Timestamp>) -> Self {
        Self { started: Instant::now(), started_wall: wall_time(), started_at: start }
    }

    /// Returns the absolute divergence of the wall clock from the monotonic one since the start.
    pub(super) fn divergence(&self) -> Duration {
        let expected = self.started_wall + self.started.elapsed();
        let wall = wall_time();
        wall.since(expected).max(expected.since(wall))
    }
}

impl Clock for ServerClock {
    fn now(&self) -> Timestamp {
        match self.started_at {
            Some(started_at) => started_at + self.started.elapsed(),
            None => wall_time(),
        }
    }
}

fn wall_time() -> Timestamp {
    let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let ms = i64::try_from(since_1970.as_millis()).unwrap_or(i64::MAX);
    Timestamp::from_unix_ms(ms).unwrap_or(Timestamp::MAX)
}
