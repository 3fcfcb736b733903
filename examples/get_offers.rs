//! Gets offers for a customer from a tactful server, and reports that they were shown:
//!
//! ```sh
//! cargo run --example get_offers -- ada-local-line http://127.0.0.1:50051
//! ```
//!
//! The client is generated from the protos, as yours would be; it uses nothing else of tactful.

use std::time::Duration;

use tactful::grpc::generated::tactful::v1::feedback_service_client::FeedbackServiceClient;
use tactful::grpc::generated::tactful::v1::offer_service_client::OfferServiceClient;
use tactful::grpc::generated::tactful::v1::{
    CrossSellRequest, CrossSellResponse, OfferOutcome, OutcomeKind, RecordOutcomesRequest,
};
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Request, Status};

/// Customers do not wait longer for a page.
const DEADLINE: Duration = Duration::from_millis(500);
const ATTEMPTS_MAX: u32 = 3;
const INITIAL_BACKOFF: Duration = Duration::from_millis(50);

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let customer = arguments.next().unwrap_or_else(|| "ada-local-line".to_owned());
    let server = arguments.next().unwrap_or_else(|| "http://127.0.0.1:50051".to_owned());
    let channel = Endpoint::from_shared(server)?.connect_timeout(DEADLINE).tcp_nodelay(true).connect_lazy();
    // All attempts use the same request_id, so a retry gets the response of the first attempt.
    let request = CrossSellRequest {
        customer_id: customer.clone(),
        channel: "web".to_owned(),
        request_id: uuid::Uuid::new_v4().to_string(),
        ..CrossSellRequest::default()
    };
    let response = match cross_sell(&channel, &request).await {
        Ok(response) => response,
        Err(status) => {
            // The page is shown without offers.
            eprintln!("no offers: {:?}: {}", status.code(), status.message());
            return Ok(());
        }
    };
    println!("{}", response.message);
    for offer in &response.offers {
        let reasons: Vec<&str> = offer.reasons.iter().map(|reason| reason.text.as_str()).collect();
        println!("{}. {}: {}", offer.rank, offer.title, reasons.join("; "));
    }
    let shown = response.offers.iter().map(|offer| OfferOutcome {
        customer_id: customer.clone(),
        decision_id: response.decision_id.clone(),
        offer_id: offer.offer_id.clone(),
        kind: OutcomeKind::Shown.into(),
        ..OfferOutcome::default()
    });
    let outcomes: Vec<OfferOutcome> = shown.collect();
    if !outcomes.is_empty() {
        let request = with_deadline(RecordOutcomesRequest { outcomes });
        FeedbackServiceClient::new(channel).record_outcomes(request).await?;
    }
    Ok(())
}

/// Makes up to three attempts while the server is unavailable.
async fn cross_sell(channel: &Channel, request: &CrossSellRequest) -> Result<CrossSellResponse, Status> {
    let mut client = OfferServiceClient::new(channel.clone());
    let mut backoff = INITIAL_BACKOFF;
    for _ in 1..ATTEMPTS_MAX {
        match client.cross_sell(with_deadline(request.clone())).await {
            Err(status) if status.code() == Code::Unavailable => {
                tokio::time::sleep(backoff).await;
                backoff *= 2;
            }
            result => return result.map(tonic::Response::into_inner),
        }
    }
    client.cross_sell(with_deadline(request.clone())).await.map(tonic::Response::into_inner)
}

/// Adds the deadline, which is sent to the server.
fn with_deadline<T>(message: T) -> Request<T> {
    let mut request = Request::new(message);
    request.set_timeout(DEADLINE);
    request
}
