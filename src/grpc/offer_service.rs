//! `OfferService`: what to offer a customer.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tonic::{Request, Response, Status};

use super::convert::offers::{
    Asked, cross_sell_from_wire, cross_sell_to_wire, release_from_wire, release_to_wire, up_sell_from_wire,
    up_sell_to_wire,
};
use super::generated::tactful::v1 as wire;
use super::generated::tactful::v1::offer_service_server::OfferService;
use super::status;
use crate::use_cases::release_offers::release_offers;
use crate::use_cases::serve_offers::{OfferRequest, ServedOffers, ServingMode, serve_offers};
use crate::use_cases::tactful::Tactful;

/// Serves `OfferService`.
pub struct OfferRpc {
    tactful: Arc<Tactful>,
}

impl OfferRpc {
    /// A service of this system.
    #[must_use]
    pub fn new(tactful: Arc<Tactful>) -> Self {
        Self { tactful }
    }

    async fn serve(&self, request: &OfferRequest, deadline: Option<Instant>) -> Result<ServedOffers, Status> {
        let served = serve_offers(&self.tactful, request, deadline)
            .await
            .map_err(|error| status::serve(error, self.tactful.now()))?;
        count(request, &served);
        Ok(served)
    }
}

#[tonic::async_trait]
impl OfferService for OfferRpc {
    async fn cross_sell(
        &self,
        request: Request<wire::CrossSellRequest>,
    ) -> Result<Response<wire::CrossSellResponse>, Status> {
        let deadline = deadline(&request);
        let Asked { request, detail } =
            cross_sell_from_wire(request.into_inner()).map_err(|violations| status::invalid(&violations))?;
        let served = self.serve(&request, deadline).await?;
        Ok(Response::new(cross_sell_to_wire(served, request.mode, detail)))
    }

    async fn up_sell(&self, request: Request<wire::UpSellRequest>) -> Result<Response<wire::UpSellResponse>, Status> {
        let deadline = deadline(&request);
        let Asked { request, detail } =
            up_sell_from_wire(request.into_inner()).map_err(|violations| status::invalid(&violations))?;
        let served = self.serve(&request, deadline).await?;
        Ok(Response::new(up_sell_to_wire(served, request.mode, detail)))
    }

    async fn release_offers(
        &self,
        request: Request<wire::ReleaseOffersRequest>,
    ) -> Result<Response<wire::ReleaseOffersResponse>, Status> {
        let message = request.into_inner();
        let asked = message.offer_ids.clone();
        let (customer, decision, offers) =
            release_from_wire(message).map_err(|violations| status::invalid(&violations))?;
        let released = release_offers(&self.tactful, &customer, decision, &offers)
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

fn count(request: &OfferRequest, served: &ServedOffers) {
    let kind = request.kind.as_str();
    let mode = match request.mode {
        ServingMode::Reserve if served.is_replayed => "replay",
        ServingMode::Reserve => "reserve",
        ServingMode::Preview => "preview",
    };
    metrics::counter!("tactful_decisions_total", "kind" => kind, "mode" => mode).increment(1);
    let offers = served.decision.slate.len() as u64;
    metrics::counter!("tactful_offers_total", "kind" => kind, "mode" => mode).increment(offers);
    if !served.is_replayed {
        for (reason, &withheld) in &served.decision.withheld {
            metrics::counter!("tactful_withheld_total", "kind" => kind, "reason" => reason.as_str())
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
