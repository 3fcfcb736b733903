//! `FeedbackService`: events and outcomes.

use std::sync::Arc;

use tonic::{Request, Response, Status, Streaming};

use super::batches::{BATCH_LEN_MAX, BatchEntries, StreamTally, check_batch_len};
use super::convert::events::{event_from_wire, outcome_from_wire};
use super::generated::tactful::v1 as wire;
use super::generated::tactful::v1::feedback_service_server::FeedbackService;
use super::status;
use crate::telemetry::call_context::CallStage;
use crate::use_cases::app::App;
use crate::use_cases::record_events::record_events;
use crate::use_cases::record_outcomes::record_outcomes;

pub(crate) struct FeedbackRpc {
    app: Arc<App>,
}

impl FeedbackRpc {
    pub(crate) fn new(app: Arc<App>) -> Self {
        Self { app }
    }

    async fn record(&self, events: Vec<wire::CustomerEvent>) -> Result<Vec<wire::EntryResult>, Status> {
        let now = self.app.now();
        let read = |path: &str, event| event_from_wire(path, event, now);
        let entries = CallStage::Convert.in_scope(|| BatchEntries::read("events", events, read));
        let recorded = record_events(&self.app, &entries.valid).await.map_err(status::store)?;
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
        check_batch_len("outcomes", outcomes.len(), BATCH_LEN_MAX)?;
        let now = self.app.now();
        let entries = BatchEntries::read("outcomes", outcomes, |path, outcome| outcome_from_wire(path, outcome, now));
        let recorded = record_outcomes(&self.app, &entries.valid).await.map_err(status::store)?;
        Ok(Response::new(wire::RecordOutcomesResponse { results: entries.results(recorded) }))
    }

    async fn record_events(
        &self,
        request: Request<wire::RecordEventsRequest>,
    ) -> Result<Response<wire::RecordEventsResponse>, Status> {
        let wire::RecordEventsRequest { events } = request.into_inner();
        check_batch_len("events", events.len(), BATCH_LEN_MAX)?;
        Ok(Response::new(wire::RecordEventsResponse { results: self.record(events).await? }))
    }

    async fn stream_events(
        &self,
        request: Request<Streaming<wire::StreamEventsRequest>>,
    ) -> Result<Response<wire::StreamEventsResponse>, Status> {
        let mut messages = request.into_inner();
        let mut tally = StreamTally::default();
        while let Some(wire::StreamEventsRequest { events }) = messages.message().await? {
            if events.is_empty() {
                continue;
            }
            check_batch_len("events", events.len(), BATCH_LEN_MAX)?;
            for result in self.record(events).await? {
                tally.count(result);
            }
        }
        let StreamTally { recorded, duplicates, rejected, reused_ids, too_old, rejections } = tally;
        Ok(Response::new(wire::StreamEventsResponse {
            recorded,
            duplicates,
            rejected,
            rejections,
            reused_ids,
            too_old,
        }))
    }
}
