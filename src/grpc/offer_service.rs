//! `OfferService`: what to offer a customer.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tonic::{Request, Response, Status};

use super::convert::explanations::{Explained, explain_from_wire, explanation_to_wire};
use super::convert::offers::{
    Asked, Detail, cross_sell_from_wire, cross_sell_to_wire, release_from_wire, release_to_wire, up_sell_from_wire,
    up_sell_to_wire,
};
use super::convert::violations::Violations;
use super::feedback_service::check_batch;
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

/// The most customers of one batch.
const BATCH_MAX: usize = 100;
/// How many of a batch are served at once: enough to share a flush, and little beside what other callers ask.
const BATCH_AT_ONCE: usize = 16;

/// Serves `OfferService`.
pub struct OfferRpc {
    app: Arc<App>,
}

impl OfferRpc {
    /// A service of this system.
    pub fn new(app: Arc<App>) -> Self {
        Self { app }
    }

    /// Serves every request of a batch by itself.
    async fn serve_each<M>(
        &self,
        requests: Vec<M>,
        read: impl Fn(M) -> Result<Asked, Violations>,
        deadline: Option<Instant>,
    ) -> Result<Vec<Result<Answer, Status>>, Status> {
        check_batch("requests", requests.len(), BATCH_MAX)?;
        let read = |message| read(message).map_err(|violations| status::invalid(&violations));
        let asked: Vec<Result<Asked, Status>> =
            CallStage::Convert.in_scope(|| requests.into_iter().map(read).collect());
        refuse_repeated_customers(&asked)?;
        let places = Arc::new(Semaphore::new(BATCH_AT_ONCE));
        let mut serving = JoinSet::new();
        let mut answers = Vec::with_capacity(asked.len());
        for (entry, asked) in asked.into_iter().enumerate() {
            let Asked { request, detail } = match asked {
                Ok(asked) => asked,
                Err(refused) => {
                    answers.push(Err(refused));
                    continue;
                }
            };
            answers.push(Err(Status::internal("the call ended early")));
            let (app, places) = (Arc::clone(&self.app), Arc::clone(&places));
            let served = async move {
                let _place = places.acquire().await;
                let served = serve(&app, &request, deadline).await;
                (entry, served.map(|served| Answer { served, mode: request.mode, detail }))
            };
            serving.spawn(call_context::scope_part(served));
        }
        while let Some(served) = serving.join_next().await {
            let ((entry, answer), stages) = served.map_err(|error| {
                tracing::error!(%error, "an entry of a batch died");
                Status::internal("an entry of the batch died")
            })?;
            call_context::add_stages(&stages);
            answers[entry] = answer;
        }
        Ok(answers)
    }
}

/// An answer and how it was asked for.
struct Answer {
    served: ServedOffers,
    mode: ServingMode,
    detail: Detail,
}

async fn serve(app: &App, request: &OfferRequest, deadline: Option<Instant>) -> Result<ServedOffers, Status> {
    let served = serve_offers(app, request, deadline).await.map_err(|error| status::serve(error, app.now()))?;
    tell(request, &served);
    Ok(served)
}

/// Two requests for one customer would depend on which is served first.
#[allow(clippy::result_large_err, reason = "every method answers with a Status")]
fn refuse_repeated_customers(asked: &[Result<Asked, Status>]) -> Result<(), Status> {
    let mut seen = HashSet::new();
    let mut violations = Violations::default();
    for (entry, asked) in asked.iter().enumerate() {
        if asked.as_ref().is_ok_and(|asked| !seen.insert(&asked.request.customer)) {
            violations.add(format!("requests[{entry}].customer_id"), "is in this batch already");
        }
    }
    violations.check().map_err(|violations| status::invalid(&violations))
}

/// An entry of a batch: its status, and the answer when there is one.
fn entry<R>(
    answer: Result<Answer, Status>,
    to_wire: impl Fn(ServedOffers, ServingMode, Detail) -> R,
) -> (Option<rpc::Status>, Option<R>) {
    match answer {
        Ok(Answer { served, mode, detail }) => (Some(rpc::Status::default()), Some(to_wire(served, mode, detail))),
        Err(refused) => (Some(status::to_rpc_status(&refused)), None),
    }
}

#[tonic::async_trait]
impl OfferService for OfferRpc {
    async fn cross_sell(
        &self,
        request: Request<wire::CrossSellRequest>,
    ) -> Result<Response<wire::CrossSellResponse>, Status> {
        let deadline = deadline(&request);
        let Asked { request, detail } = CallStage::Convert
            .in_scope(|| cross_sell_from_wire(request.into_inner()))
            .map_err(|violations| status::invalid(&violations))?;
        let served = serve(&self.app, &request, deadline).await?;
        Ok(Response::new(CallStage::Convert.in_scope(|| cross_sell_to_wire(served, request.mode, detail))))
    }

    async fn batch_cross_sell(
        &self,
        request: Request<wire::BatchCrossSellRequest>,
    ) -> Result<Response<wire::BatchCrossSellResponse>, Status> {
        let deadline = deadline(&request);
        let answers = self.serve_each(request.into_inner().requests, cross_sell_from_wire, deadline).await?;
        let entry = |answer| {
            let (status, answer) = entry(answer, cross_sell_to_wire);
            wire::CrossSellEntry { status, answer }
        };
        let entries = CallStage::Convert.in_scope(|| answers.into_iter().map(entry).collect());
        Ok(Response::new(wire::BatchCrossSellResponse { entries }))
    }

    async fn batch_up_sell(
        &self,
        request: Request<wire::BatchUpSellRequest>,
    ) -> Result<Response<wire::BatchUpSellResponse>, Status> {
        let deadline = deadline(&request);
        let answers = self.serve_each(request.into_inner().requests, up_sell_from_wire, deadline).await?;
        let entry = |answer| {
            let (status, answer) = entry(answer, up_sell_to_wire);
            wire::UpSellEntry { status, answer }
        };
        let entries = CallStage::Convert.in_scope(|| answers.into_iter().map(entry).collect());
        Ok(Response::new(wire::BatchUpSellResponse { entries }))
    }

    async fn up_sell(&self, request: Request<wire::UpSellRequest>) -> Result<Response<wire::UpSellResponse>, Status> {
        let deadline = deadline(&request);
        let Asked { request, detail } = CallStage::Convert
            .in_scope(|| up_sell_from_wire(request.into_inner()))
            .map_err(|violations| status::invalid(&violations))?;
        let served = serve(&self.app, &request, deadline).await?;
        Ok(Response::new(CallStage::Convert.in_scope(|| up_sell_to_wire(served, request.mode, detail))))
    }

    async fn explain_decision(
        &self,
        request: Request<wire::ExplainDecisionRequest>,
    ) -> Result<Response<wire::ExplainDecisionResponse>, Status> {
        let explained = explain_from_wire(request.into_inner()).map_err(|violations| status::invalid(&violations))?;
        let explanation = match explained {
            Explained::Decision(customer, decision) => explain_decision(&self.app, &customer, decision).await,
            Explained::Question(request, product) => explain_request(&self.app, &request, product.as_ref()).await,
        };
        Ok(Response::new(explanation_to_wire(explanation.map_err(status::explain)?)))
    }

    async fn release_offers(
        &self,
        request: Request<wire::ReleaseOffersRequest>,
    ) -> Result<Response<wire::ReleaseOffersResponse>, Status> {
        let message = request.into_inner();
        let asked = message.offer_ids.clone();
        let (customer, decision, offers) =
            release_from_wire(message).map_err(|violations| status::invalid(&violations))?;
        let released = release_offers(&self.app, &customer, decision, &offers)
            .await
            .map_err(|error| status::release(error, &asked))?;
        Ok(Response::new(release_to_wire(released)))
    }
}

/// When the caller stops waiting: nothing is reserved for one that has gone.
fn deadline<T>(request: &Request<T>) -> Option<Instant> {
    let text = request.metadata().get("grpc-timeout")?.to_str().ok()?;
    Instant::now().checked_add(parse_timeout(text)?)
}

/// At most eight digits and a unit (gRPC over HTTP/2, "Timeout").
fn parse_timeout(text: &str) -> Option<Duration> {
    let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    if digits.is_empty() || digits.len() > 8 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let count: u64 = digits.parse().ok()?;
    match unit {
        "H" => Some(Duration::from_secs(count * 3600)),
        "M" => Some(Duration::from_secs(count * 60)),
        "S" => Some(Duration::from_secs(count)),
        "m" => Some(Duration::from_millis(count)),
        "u" => Some(Duration::from_micros(count)),
        "n" => Some(Duration::from_nanos(count)),
        _ => None,
    }
}

fn tell(request: &OfferRequest, served: &ServedOffers) {
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
        if let Some(cap) = served.decision.binding_cap.and_then(|place| served.decision.caps.get(place)) {
            metrics::counter!("tactful_capped_decisions_total", "kind" => kind, "cap" => cap.kind.as_str())
                .increment(1);
        }
        for (reason, &withheld) in &served.decision.withheld {
            metrics::counter!("tactful_withheld_candidates_total", "kind" => kind, "reason" => reason.as_str())
                .increment(u64::from(withheld));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timeouts_are_read_as_grpc_writes_them() {
        assert_eq!(parse_timeout("100m"), Some(Duration::from_millis(100)));
        assert_eq!(parse_timeout("99999999H"), Some(Duration::from_secs(99_999_999 * 3600)));
        for bad in ["", "m", "-1m", "1", "123456789m", "1x", "1é"] {
            assert_eq!(parse_timeout(bad), None, "{bad}");
        }
    }
}
