//! The server's clock, and the watch over it.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crate::domain::time::Timestamp;
use crate::use_cases::app::Clock;

/// Wall and monotonic clock may differ by this much before the time is no longer trusted.
pub const DIVERGENCE_MAX: Duration = Duration::from_secs(5);

/// The wall clock, or one that started at another time and runs at the same pace.
#[derive(Debug)]
pub struct ServerClock {
    started: Instant,
    started_wall: Timestamp,
    /// What the clock showed when it started, when that is not the wall time.
    started_at: Option<Timestamp>,
}

impl ServerClock {
    /// A clock that shows `start` now, or the wall time.
    pub fn starting_at(start: Option<Timestamp>) -> Self {
        Self { started: Instant::now(), started_wall: wall_time(), started_at: start }
    }

    /// How far the wall clock has moved away from the monotonic one since the start, either way.
    pub fn divergence(&self) -> Duration {
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
