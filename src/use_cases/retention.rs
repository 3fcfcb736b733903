//! Retention periods of the history.

use std::time::Duration;

use crate::domain::event::{Event, EventKind};
use crate::domain::time::Timestamp;

/// Retention period of each kind of record; `None` keeps them for ever.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Retention {
    /// Period for events, counted from the time at which they happened.
    pub events: Option<Duration>,
    /// Period for decisions, counted from the time at which they were made.
    pub decisions: Option<Duration>,
}

impl Retention {
    /// Whether an event would expire at once. It would be counted again each time it is sent again. The start and the
    /// renewal of a subscription are accepted at any age: they change nothing the second time, and date the relationship.
    pub(super) fn has_expired(&self, event: &Event, now: Timestamp) -> bool {
        let may_be_old =
            matches!(event.kind, EventKind::SubscriptionStart { .. } | EventKind::SubscriptionRenewal { .. });
        !may_be_old && self.events.is_some_and(|period| event.at < now - period)
    }
}
