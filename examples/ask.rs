//! Asks a tactful server what to offer a customer, and says that it was shown:
//!
//! ```sh
//! cargo run --example ask -- ada-local-line http://127.0.0.1:50051
//! ```
//!
//! The client is generated from the protos, as yours would be; nothing else of tactful is used.

use std::time::Duration;

use tactful::grpc::generated::tactful::v1::feedback_service_client::FeedbackServiceClient;
use tactful::grpc::generated::tactful::v1::offer_service_client::OfferServiceClient;
use tactful::grpc::generated::tactful::v1::{
    CrossSellRequest, CrossSellResponse, OfferOutcome, OutcomeKind, RecordOutcomesRequest,
};
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Request, Status};

/// A page that waits longer for an offer loses its customer.
const DEADLINE: Duration = Duration::from_millis(500);
const TRIES: u32 = 3;
const FIRST_PAUSE: Duration = Duration::from_millis(50);

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let customer = arguments.next().unwrap_or_else(|| "ada-local-line".to_owned());
    let server = arguments.next().unwrap_or_else(|| "http://127.0.0.1:50051".to_owned());
    let channel = Endpoint::from_shared(server)?.connect_timeout(DEADLINE).tcp_nodelay(true).connect_lazy();
    // One id for the question, however often it is asked: the second try gets the answer of the first.
    let question = CrossSellRequest {
        customer_id: customer.clone(),
        channel: "web".to_owned(),
        request_id: uuid::Uuid::new_v4().to_string(),
        ..CrossSellRequest::default()
    };
    let answer = match ask(&channel, &question).await {
        Ok(answer) => answer,
        Err(status) => {
            // The page goes on without an offer.
            eprintln!("no offers: {:?}: {}", status.code(), status.message());
            return Ok(());
        }
    };
    println!("{}", answer.message);
    for offer in &answer.offers {
        let reasons: Vec<&str> = offer.reasons.iter().map(|reason| reason.text.as_str()).collect();
        println!("{}. {}: {}", offer.rank, offer.title, reasons.join("; "));
    }
    let shown = answer.offers.iter().map(|offer| OfferOutcome {
        customer_id: customer.clone(),
        decision_id: answer.decision_id.clone(),
        offer_id: offer.offer_id.clone(),
        kind: OutcomeKind::Shown.into(),
        ..OfferOutcome::default()
    });
    let outcomes: Vec<OfferOutcome> = shown.collect();
    if !outcomes.is_empty() {
        let request = within_deadline(RecordOutcomesRequest { outcomes });
        FeedbackServiceClient::new(channel).record_outcomes(request).await?;
    }
    Ok(())
}

/// Asks up to three times while nobody answers.
async fn ask(channel: &Channel, question: &CrossSellRequest) -> Result<CrossSellResponse, Status> {
    let mut client = OfferServiceClient::new(channel.clone());
    let mut pause = FIRST_PAUSE;
    for _ in 1..TRIES {
        match client.cross_sell(within_deadline(question.clone())).await {
            Err(status) if status.code() == Code::Unavailable => {
                tokio::time::sleep(pause).await;
                pause *= 2;
            }
            answered => return answered.map(tonic::Response::into_inner),
        }
    }
    client.cross_sell(within_deadline(question.clone())).await.map(tonic::Response::into_inner)
}

/// What is left of the time is told to the server.
fn within_deadline<T>(message: T) -> Request<T> {
    let mut request = Request::new(message);
    request.set_timeout(DEADLINE);
    request
}
