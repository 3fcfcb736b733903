//! Forgets what is older than it is kept for.

use std::time::Duration;

use super::app::App;
use crate::domain::event::{Event, EventKind};
use crate::domain::time::Timestamp;
use crate::store::contract::{Forgotten, StoreError};

/// How long things are kept; `None` for ever.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Retention {
    /// Events, by the time they happened.
    pub events: Option<Duration>,
    /// Decisions.
    pub decisions: Option<Duration>,
}

/// Removes events and decisions that are older than they are kept for.
pub async fn expire_history(app: &App) -> Result<Forgotten, StoreError> {
    let Retention { events, decisions } = app.retention;
    let now = app.now();
    let before = |kept: Option<Duration>| kept.map(|kept| now - kept);
    let forgotten = app.store.forget_before(before(events), before(decisions)).await?;
    app.store.durable().await?;
    if forgotten != Forgotten::default() {
        tracing::info!(events = forgotten.events, decisions = forgotten.decisions, "forgot what is too old to be kept");
    }
    Ok(forgotten)
}

/// True for an event that would be forgotten at once: counted again whenever it is sent again. The start and the renewal of a
/// subscription change nothing the second time, and tell how long a customer has been one.
pub(super) fn is_past_retention(app: &App, event: &Event, now: Timestamp) -> bool {
    let may_be_old = matches!(event.kind, EventKind::SubscriptionStart { .. } | EventKind::SubscriptionRenewal { .. });
    !may_be_old && app.retention.events.is_some_and(|kept| event.at < now - kept)
}
