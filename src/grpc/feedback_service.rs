//! `FeedbackService`: what happened.

use std::sync::Arc;

use tonic::{Request, Response, Status, Streaming};

use super::convert::events::{event_from_wire, outcome_from_wire};
use super::generated::tactful::v1 as wire;
use super::generated::tactful::v1::feedback_service_server::FeedbackService;
use super::status;
use crate::telemetry::call_context::CallStage;
use crate::use_cases::app::App;
use crate::use_cases::batch_entry::EntryOutcome;
use crate::use_cases::record_events::record_events;
use crate::use_cases::record_outcomes::record_outcomes;

/// The most entries of one batch.
pub const BATCH_MAX: usize = 1000;
/// The most rejected entries that the answer to a stream tells of.
pub const REJECTIONS_TOLD_MAX: usize = 100;

/// Serves `FeedbackService`.
pub struct FeedbackRpc {
    app: Arc<App>,
}

impl FeedbackRpc {
    /// A service of this system.
    pub fn new(app: Arc<App>) -> Self {
        Self { app }
    }

    async fn record(&self, events: Vec<wire::CustomerEvent>) -> Result<Vec<wire::EntryResult>, Status> {
        let now = self.app.now();
        let read = |path: &str, event| event_from_wire(path, event, now);
        let entries = CallStage::Convert.in_scope(|| Entries::read("events", events, read));
        let recorded = record_events(&self.app, &entries.good).await.map_err(status::store)?;
        Ok(entries.results(recorded))
    }
}

#[tonic::async_trait]
impl FeedbackService for FeedbackRpc {
    async fn record_outcomes(
        &self,
        request: Request<wire::RecordOutcomesRequest>,
    ) -> Result<Response<wire::RecordOutcomesResponse>, Status> {
        let wire::RecordOutcomesRequest { outcomes } = request.into_inner();
        check_batch("outcomes", outcomes.len(), BATCH_MAX)?;
        let now = self.app.now();
        let entries = Entries::read("outcomes", outcomes, |path, outcome| outcome_from_wire(path, outcome, now));
        let recorded = record_outcomes(&self.app, &entries.good).await.map_err(status::store)?;
        Ok(Response::new(wire::RecordOutcomesResponse { results: entries.results(recorded) }))
    }

    async fn record_events(
        &self,
        request: Request<wire::RecordEventsRequest>,
    ) -> Result<Response<wire::RecordEventsResponse>, Status> {
        let wire::RecordEventsRequest { events } = request.into_inner();
        check_batch("events", events.len(), BATCH_MAX)?;
        Ok(Response::new(wire::RecordEventsResponse { results: self.record(events).await? }))
    }

    async fn stream_events(
        &self,
        request: Request<Streaming<wire::StreamEventsRequest>>,
    ) -> Result<Response<wire::StreamEventsResponse>, Status> {
        let mut parts = request.into_inner();
        let mut tally = Tally::default();
        while let Some(wire::StreamEventsRequest { events }) = parts.message().await? {
            if events.is_empty() {
                continue;
            }
            check_batch("events", events.len(), BATCH_MAX)?;
            for result in self.record(events).await? {
                tally.count(result);
            }
        }
        let Tally { taken: recorded, duplicates, rejected, rejections } = tally;
        Ok(Response::new(wire::StreamEventsResponse { recorded, duplicates, rejected, rejections }))
    }
}

/// Refuses an empty or oversized batch whole.
///
/// # Errors
/// `INVALID_ARGUMENT` that names the limit.
#[allow(clippy::result_large_err, reason = "every method answers with a Status")]
pub fn check_batch(field: &str, entries: usize, most: usize) -> Result<(), Status> {
    if entries == 0 {
        return Err(status::invalid_field(field, "must not be empty"));
    }
    if entries > most {
        return Err(status::invalid_field(field, format_args!("has {entries} entries, at most {most} are allowed")));
    }
    Ok(())
}

/// A batch, its good entries apart from its bad ones.
pub struct Entries<T> {
    /// The good ones, in order.
    pub good: Vec<T>,
    /// For each entry why it is bad, or nothing.
    faults: Vec<Option<wire::EntryResult>>,
}

impl<T> Entries<T> {
    /// Reads every entry; the path of the third is `field[2]`.
    pub fn read<M>(
        field: &str,
        messages: Vec<M>,
        read: impl Fn(&str, M) -> Result<T, super::convert::violations::Violations>,
    ) -> Self {
        let mut entries = Self { good: Vec::with_capacity(messages.len()), faults: Vec::with_capacity(messages.len()) };
        for (place, message) in messages.into_iter().enumerate() {
            match read(&format!("{field}[{place}]"), message) {
                Ok(good) => {
                    entries.good.push(good);
                    entries.faults.push(None);
                }
                Err(violations) => entries.faults.push(Some(status::failed_entry(&status::invalid(&violations)))),
            }
        }
        entries
    }

    /// One result an entry, in order: its fault, or what became of it.
    pub fn results(self, recorded: Vec<EntryOutcome>) -> Vec<wire::EntryResult> {
        let mut recorded = recorded.into_iter().map(status::entry_result);
        let mut next = || recorded.next().expect("one result for each good entry");
        self.faults.into_iter().map(|fault| fault.unwrap_or_else(&mut next)).collect()
    }
}

/// What became of the entries of a stream.
#[derive(Default)]
pub struct Tally {
    /// Entries that changed something.
    pub taken: u64,
    /// Entries that were known.
    pub duplicates: u64,
    /// Entries that were not taken.
    pub rejected: u64,
    /// The first of them.
    pub rejections: Vec<wire::RejectedEntry>,
}

impl Tally {
    /// Counts the next entry.
    pub fn count(&mut self, result: wire::EntryResult) {
        let index = self.taken + self.duplicates + self.rejected;
        let wire::EntryResult { status, duplicate } = result;
        if status.as_ref().is_some_and(|status| status.code != 0) {
            self.rejected += 1;
            if self.rejections.len() < REJECTIONS_TOLD_MAX {
                self.rejections.push(wire::RejectedEntry { index, status });
            }
        } else if duplicate {
            self.duplicates += 1;
        } else {
            self.taken += 1;
        }
    }
}
