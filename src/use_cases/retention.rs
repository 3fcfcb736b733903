//! Retention periods of the history.
//!
//! The id of an event is known for as long as the event is kept. Applied a second time, an event would count twice, so one
//! that is older than the events that are kept has no effect at all.

use std::time::Duration;

use crate::domain::time::Timestamp;

/// Time by which the retention sweep stays behind the retention period: a call that accepted an event just before it became
/// too old still finds the event that was recorded under its id.
const SWEEP_DELAY: Duration = Duration::from_secs(3600);

/// Retention period of each kind of record; `None` keeps them for ever.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Retention {
    /// Period for events, counted from the time at which they happened.
    pub events: Option<Duration>,
    /// Period for decisions, counted from the time at which they were made.
    pub decisions: Option<Duration>,
    /// Period for customers of whom nothing but decisions is known, counted from the last one.
    pub idle_customers: Option<Duration>,
}

impl Retention {
    /// Returns the time before which events have no effect; `None` when events of any age have one. Events before
    /// `swept_before` were deleted, perhaps under a shorter retention period.
    pub(super) fn oldest_event(&self, now: Timestamp, swept_before: Option<Timestamp>) -> Option<Timestamp> {
        self.events.map(|period| now - period).max(swept_before)
    }

    /// Returns the times before which events and decisions are deleted.
    pub(super) fn sweep_cutoffs(&self, now: Timestamp) -> [Option<Timestamp>; 2] {
        [self.events, self.decisions].map(|period| period.map(|period| now - period - SWEEP_DELAY))
    }
}
