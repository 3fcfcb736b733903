//! This process as one of several that share a store: it follows what the others publish, reports itself, and knows how its
//! connection to the store fares.
//!
//! Errors are logged when they begin and when they end, not at every attempt.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::clock::ServerClock;
use crate::store::contract::error::StoreError;
use crate::use_cases::app::App;
use crate::use_cases::follow_store::{follow_store, report_replica};

/// Interval at which the published numbers are read. What others publish is in use this much later, and the time to load it.
const FOLLOW_INTERVAL: Duration = Duration::from_millis(500);
/// Maximum time for which the store may take to answer.
const ANSWER_MAX: Duration = Duration::from_secs(2);
/// Interval at which the replica reports itself.
const REPORT_INTERVAL: Duration = Duration::from_secs(1);
/// Time without an answer after which the store counts as lost, or its commits as stalled.
const SILENCE_MAX: Duration = Duration::from_secs(3);
/// Age beyond which a snapshot is stale.
const SNAPSHOT_AGE_MAX: Duration = Duration::from_secs(10);

/// Times at which the store answered last.
#[derive(Debug)]
pub(super) struct StoreContact(Mutex<ContactTimes>);

#[derive(Debug, Clone, Copy)]
struct ContactTimes {
    /// A read was answered.
    read: Instant,
    /// A commit was durable.
    committed: Instant,
    /// The snapshot was up to date.
    up_to_date: Instant,
}

/// Failure of the contact with the store. At most one applies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ContactFailure {
    /// Reads are not answered.
    Lost,
    /// Reads are answered, but commits do not become durable.
    CommitsStalled,
    /// Both work, but what others published cannot be loaded.
    SnapshotStale,
}

impl StoreContact {
    pub(super) fn new() -> Self {
        let now = Instant::now();
        Self(Mutex::new(ContactTimes { read: now, committed: now, up_to_date: now }))
    }

    fn note(&self, note: impl FnOnce(&mut ContactTimes)) {
        note(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner));
    }

    /// Age of the snapshot: the time since it was known to be up to date.
    pub(super) fn snapshot_age(&self, now: Instant) -> Duration {
        now.saturating_duration_since(self.0.lock().unwrap_or_else(PoisonError::into_inner).up_to_date)
    }

    /// The failure that applies now.
    pub(super) fn failure(&self, now: Instant) -> Option<ContactFailure> {
        let times = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let exceeds = |since: Instant, limit: Duration| now.saturating_duration_since(since) > limit;
        if exceeds(times.read, SILENCE_MAX) {
            Some(ContactFailure::Lost)
        } else if exceeds(times.committed, SILENCE_MAX) {
            Some(ContactFailure::CommitsStalled)
        } else if exceeds(times.up_to_date, SNAPSHOT_AGE_MAX) {
            Some(ContactFailure::SnapshotStale)
        } else {
            None
        }
    }
}

/// Follows the store once, and sets the clock to the store's.
pub(super) async fn follow_once(
    app: &App,
    contact: &StoreContact,
    clock: Option<&ServerClock>,
) -> Result<(), StoreError> {
    let Some(shared) = app.store().shared() else { return Ok(()) };
    let sent = Instant::now();
    let no_answer = |_| StoreError::Unavailable { detail: "it does not answer".to_owned() };
    let published = tokio::time::timeout(ANSWER_MAX, shared.published()).await.map_err(no_answer)??;
    let received = Instant::now();
    contact.note(|times| times.read = received);
    if let Some(clock) = clock {
        clock.follow(published.time, sent, received);
    }
    follow_store(app, &published.numbers).await?;
    // The numbers were read at this time, or later.
    contact.note(|times| times.up_to_date = sent);
    Ok(())
}

/// Follows the store for as long as the server runs.
pub(super) async fn follow(app: Arc<App>, contact: Arc<StoreContact>, clock: Option<Arc<ServerClock>>) {
    let mut failing = false;
    loop {
        log_change(&mut failing, follow_once(&app, &contact, clock.as_deref()).await, "following the store");
        tokio::time::sleep(FOLLOW_INTERVAL).await;
    }
}

/// Reports this replica for as long as the server runs. A report that does not become durable shows that no commit does.
pub(super) async fn report(app: Arc<App>, contact: Arc<StoreContact>) {
    let mut failing = false;
    loop {
        let reported = report_replica(&app).await;
        if reported.is_ok() {
            contact.note(|times| times.committed = Instant::now());
        }
        log_change(&mut failing, reported, "reporting the replica");
        tokio::time::sleep(REPORT_INTERVAL).await;
    }
}

/// Logs that something fails, or works again.
fn log_change(failing: &mut bool, result: Result<(), StoreError>, what: &'static str) {
    match result {
        Err(error) if !*failing => tracing::error!(%error, "{what} failed; it is tried again until it succeeds"),
        Ok(()) if *failing => tracing::info!("{what} works again"),
        Err(_) | Ok(()) => return,
    }
    *failing = !*failing;
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Broken by: a lost store that is taken for a stalled one; a stale snapshot that is not noticed while commits work.
    #[test]
    fn failures_are_told_apart() {
        let start = Instant::now();
        let later = |seconds| start + Duration::from_secs(seconds);
        let contact = StoreContact::new();
        let answer = |read, committed, up_to_date| {
            contact.note(|times| {
                *times = ContactTimes { read: later(read), committed: later(committed), up_to_date: later(up_to_date) };
            });
        };
        for (times, expected) in [
            ((100, 100, 100), None),
            ((98, 97, 90), None),
            ((96, 96, 96), Some(ContactFailure::Lost)),
            ((96, 100, 100), Some(ContactFailure::Lost)),
            ((100, 96, 100), Some(ContactFailure::CommitsStalled)),
            ((100, 96, 80), Some(ContactFailure::CommitsStalled)),
            ((100, 100, 89), Some(ContactFailure::SnapshotStale)),
        ] {
            let (read, committed, up_to_date) = times;
            answer(read, committed, up_to_date);
            assert_eq!(contact.failure(later(100)), expected, "{times:?}");
        }
        assert_eq!(contact.snapshot_age(later(100)), Duration::from_secs(11));
    }
}
