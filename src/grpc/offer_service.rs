//! `OfferService`: decides, explains and releases offers.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Instant;

use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tonic::{Request, Response, Status};

use super::access::disclosure;
use super::batches::check_batch_len;
use super::convert::explanations::{ExplanationRequest, explain_from_wire, explanation_to_wire};
use super::convert::offers::{
    DetailedRequest, ExplanationDetail, ReleaseRequest, cross_sell_from_wire, cross_sell_to_wire, release_from_wire,
    release_to_wire, up_sell_from_wire, up_sell_to_wire,
};
use super::convert::violations::Violations;
use super::deadline::client_deadline;
use super::generated::google::rpc;
use super::generated::tactful::v1 as wire;
use super::generated::tactful::v1::offer_service_server::OfferService;
use super::status;
use crate::telemetry::call_context::{self, CallStage};
use crate::telemetry::customer_pseudonyms::LoggedCustomer;
use crate::use_cases::app::App;
use crate::use_cases::explain_decision::{explain_decision, explain_request};
use crate::use_cases::offer_request::{OfferRequest, ServingMode};
use crate::use_cases::release_offers::release_offers;
use crate::use_cases::serve_offers::{ServedOffers, serve_offers};
use crate::wording::disclosure::Disclosure;

/// Maximum number of requests of a batch.
const BATCH_LEN_MAX: usize = 100;
/// Number of requests of a batch that are served at once: enough to share a flush, few compared with other clients' calls.
const BATCH_CONCURRENCY: usize = 16;

pub(crate) struct OfferRpc {
    app: Arc<App>,
}

impl OfferRpc {
    pub(crate) fn new(app: Arc<App>) -> Self {
        Self { app }
    }

    /// Serves the requests of a batch independently of each other.
    async fn serve_each<M>(
        &self,
        requests: Vec<M>,
        read: impl Fn(M) -> Result<DetailedRequest, Violations>,
        deadline: Option<Instant>,
    ) -> Result<Vec<Result<ServedEntry, Status>>, Status> {
        check_batch_len("requests", requests.len(), BATCH_LEN_MAX)?;
        let read = |message| read(message).map_err(|violations| status::invalid(&violations));
        let requests: Vec<Result<DetailedRequest, Status>> =
            CallStage::Convert.in_scope(|| requests.into_iter().map(read).collect());
        reject_repeated_customers(&requests)?;
        let permits = Arc::new(Semaphore::new(BATCH_CONCURRENCY));
        let mut tasks = JoinSet::new();
        let mut answers = Vec::with_capacity(requests.len());
        for (index, request) in requests.into_iter().enumerate() {
            let DetailedRequest { request, detail } = match request {
                Ok(request) => request,
                Err(invalid) => {
                    answers.push(Err(invalid));
                    continue;
                }
            };
            answers.push(Err(Status::internal("the call ended early")));
            let (app, permits) = (Arc::clone(&self.app), Arc::clone(&permits));
            let served = async move {
                let _permit = permits.acquire().await;
                let served = serve(&app, &request, deadline).await;
                (index, served.map(|served| ServedEntry { served, mode: request.mode, detail }))
            };
            tasks.spawn(call_context::scope_part(served));
        }
        while let Some(served) = tasks.join_next().await {
            let ((index, answer), stages) = served.map_err(|error| {
                tracing::error!(%error, "batch entry task failed");
                Status::internal("an entry of the batch failed unexpectedly")
            })?;
            call_context::add_stages(&stages);
            answers[index] = answer;
        }
        Ok(answers)
    }
}

/// Served request of a batch, with what its response depends on.
struct ServedEntry {
    served: ServedOffers,
    mode: ServingMode,
    detail: ExplanationDetail,
}

async fn serve(app: &App, request: &OfferRequest, deadline: Option<Instant>) -> Result<ServedOffers, Status> {
    let served = serve_offers(app, request, deadline).await.map_err(|error| status::serve(error, app.now()))?;
    record_decision(request, &served);
    Ok(served)
}

/// Rejects a batch with two requests for one customer: their results would depend on which is served first.
#[allow(clippy::result_large_err, reason = "every method answers with a Status")]
fn reject_repeated_customers(requests: &[Result<DetailedRequest, Status>]) -> Result<(), Status> {
    let mut seen = HashSet::new();
    let mut violations = Violations::default();
    for (index, request) in requests.iter().enumerate() {
        if request.as_ref().is_ok_and(|request| !seen.insert(&request.request.customer)) {
            violations.add(format!("requests[{index}].customer_id"), "is repeated in this batch");
        }
    }
    violations.check().map_err(|violations| status::invalid(&violations))
}

/// Converts an entry of a batch to its status, and its answer when it was served.
fn entry<R>(
    answer: Result<ServedEntry, Status>,
    disclosure: Disclosure,
    to_wire: impl Fn(ServedOffers, ServingMode, ExplanationDetail, Disclosure) -> R,
) -> (Option<rpc::Status>, Option<R>) {
    match answer {
        Ok(ServedEntry { served, mode, detail }) => {
            (Some(rpc::Status::default()), Some(to_wire(served, mode, detail, disclosure)))
        }
        Err(status) => (Some(status::to_rpc_status(&status)), None),
    }
}

#[tonic::async_trait]
impl OfferService for OfferRpc {
    async fn cross_sell(
        &self,
        request: Request<wire::CrossSellRequest>,
    ) -> Result<Response<wire::CrossSellResponse>, Status> {
        let (deadline, disclosure) = (client_deadline(&request), disclosure(&request));
        let DetailedRequest { request, detail } = CallStage::Convert
            .in_scope(|| cross_sell_from_wire(request.into_inner()))
            .map_err(|violations| status::invalid(&violations))?;
        let served = serve(&self.app, &request, deadline).await?;
        Ok(Response::new(CallStage::Convert.in_scope(|| cross_sell_to_wire(served, request.mode, detail, disclosure))))
    }

    async fn batch_cross_sell(
        &self,
        request: Request<wire::BatchCrossSellRequest>,
    ) -> Result<Response<wire::BatchCrossSellResponse>, Status> {
        let (deadline, disclosure) = (client_deadline(&request), disclosure(&request));
        let answers = self.serve_each(request.into_inner().requests, cross_sell_from_wire, deadline).await?;
        let entry = |answer| {
            let (status, answer) = entry(answer, disclosure, cross_sell_to_wire);
            wire::CrossSellEntry { status, answer }
        };
        let entries = CallStage::Convert.in_scope(|| answers.into_iter().map(entry).collect());
        Ok(Response::new(wire::BatchCrossSellResponse { entries }))
    }

    async fn batch_up_sell(
        &self,
        request: Request<wire::BatchUpSellRequest>,
    ) -> Result<Response<wire::BatchUpSellResponse>, Status> {
        let (deadline, disclosure) = (client_deadline(&request), disclosure(&request));
        let answers = self.serve_each(request.into_inner().requests, up_sell_from_wire, deadline).await?;
        let entry = |answer| {
            let (status, answer) = entry(answer, disclosure, up_sell_to_wire);
            wire::UpSellEntry { status, answer }
        };
        let entries = CallStage::Convert.in_scope(|| answers.into_iter().map(entry).collect());
        Ok(Response::new(wire::BatchUpSellResponse { entries }))
    }

    async fn up_sell(&self, request: Request<wire::UpSellRequest>) -> Result<Response<wire::UpSellResponse>, Status> {
        let (deadline, disclosure) = (client_deadline(&request), disclosure(&request));
        let DetailedRequest { request, detail } = CallStage::Convert
            .in_scope(|| up_sell_from_wire(request.into_inner()))
            .map_err(|violations| status::invalid(&violations))?;
        let served = serve(&self.app, &request, deadline).await?;
        Ok(Response::new(CallStage::Convert.in_scope(|| up_sell_to_wire(served, request.mode, detail, disclosure))))
    }

    async fn explain_decision(
        &self,
        request: Request<wire::ExplainDecisionRequest>,
    ) -> Result<Response<wire::ExplainDecisionResponse>, Status> {
        let disclosure = disclosure(&request);
        let explained = explain_from_wire(request.into_inner()).map_err(|violations| status::invalid(&violations))?;
        let explanation = match explained {
            ExplanationRequest::Decision(customer, decision) => explain_decision(&self.app, &customer, decision).await,
            ExplanationRequest::WhatIf(request, product) => {
                explain_request(&self.app, &request, product.as_ref()).await
            }
        };
        Ok(Response::new(explanation_to_wire(explanation.map_err(status::explain)?, disclosure)))
    }

    async fn release_offers(
        &self,
        request: Request<wire::ReleaseOffersRequest>,
    ) -> Result<Response<wire::ReleaseOffersResponse>, Status> {
        let disclosure = disclosure(&request);
        let message = request.into_inner();
        let requested = message.offer_ids.clone();
        let ReleaseRequest { customer, decision, offers } =
            release_from_wire(message).map_err(|violations| status::invalid(&violations))?;
        let released = release_offers(&self.app, &customer, decision, &offers)
            .await
            .map_err(|error| status::release(error, &requested))?;
        Ok(Response::new(release_to_wire(released, disclosure)))
    }
}

/// Logs a decision and records its metrics.
fn record_decision(request: &OfferRequest, served: &ServedOffers) {
    let kind = request.kind.as_str();
    let mode = match request.mode {
        ServingMode::Reserve if served.is_replayed => "replay",
        ServingMode::Reserve => "reserve",
        ServingMode::Preview => "preview",
    };
    let band = served.decision.relationship_health.band.as_str();
    let customer = LoggedCustomer(request.customer.as_str());
    tracing::debug!(%customer, kind, mode, band, offers = served.decision.slate.len(), "offers decided");
    metrics::counter!("tactful_decisions_total", "kind" => kind, "mode" => mode, "band" => band).increment(1);
    let offers = served.decision.slate.len() as u64;
    metrics::counter!("tactful_offers_total", "kind" => kind, "mode" => mode, "band" => band).increment(offers);
    if !served.is_replayed {
        metrics::histogram!("tactful_relationship_health").record(served.decision.relationship_health.score);
        if let Some(cap) = served.decision.binding_cap.and_then(|index| served.decision.caps.get(index)) {
            metrics::counter!("tactful_capped_decisions_total", "kind" => kind, "cap" => cap.kind.as_str())
                .increment(1);
        }
        for (reason, &withheld) in &served.decision.withheld {
            metrics::counter!("tactful_withheld_candidates_total", "kind" => kind, "reason" => reason.as_str())
                .increment(u64::from(withheld));
        }
    }
}
