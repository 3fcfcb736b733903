//! Windows of time in days.

use std::time::Duration;

use crate::domain::time::{DAY, Timestamp};

/// Length of a window in days.
pub fn in_days(window: Duration) -> f64 {
    window.as_secs_f64() / DAY.as_secs_f64()
}

/// The time so many days before another.
pub fn days_before(at: Timestamp, days: f64) -> Timestamp {
    let ms = (days * DAY.as_millis() as f64) as i64;
    Timestamp::from_unix_ms(at.unix_ms().saturating_sub(ms)).unwrap_or(Timestamp::MIN)
}
