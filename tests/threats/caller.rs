//! Somebody who behaves: asks for offers at a steady pace, and expects every call to be answered.

use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use tactful::grpc::generated::tactful::v1 as wire;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tonic::Status;
use tonic::transport::Channel;
use wire::offer_service_client::OfferServiceClient;

/// Between two calls.
pub const PACE: Duration = Duration::from_millis(2);

/// Calls under way, one after the other.
pub struct Caller {
    stop: oneshot::Sender<()>,
    calling: JoinHandle<Result<Histogram<u64>, Status>>,
}

impl Caller {
    pub fn start(channel: Channel) -> Self {
        let (stop, stopped) = oneshot::channel();
        Self { stop, calling: tokio::spawn(call_until(channel, stopped)) }
    }

    /// What the calls took, in microseconds.
    ///
    /// # Errors
    /// The first call that failed.
    pub async fn stop(self) -> Result<Histogram<u64>, Status> {
        // An error means that a call has failed.
        let _failed = self.stop.send(());
        self.calling.await.expect("calling does not panic")
    }
}

async fn call_until(channel: Channel, mut stopped: oneshot::Receiver<()>) -> Result<Histogram<u64>, Status> {
    let mut client = OfferServiceClient::new(channel);
    let mut took = Histogram::new(3).expect("3 digits are allowed");
    let mut pace = tokio::time::interval(PACE);
    pace.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    for turn in 0_u64.. {
        // Once at least, however short the attack is.
        tokio::select! {
            biased;
            _ = &mut stopped, if turn > 0 => break,
            _ = pace.tick() => {}
        }
        let began = Instant::now();
        let answer = client.cross_sell(preview(&format!("caller-{}", turn % 100))).await?.into_inner();
        assert!(!answer.offers.is_empty(), "{answer:?}");
        took.record(u64::try_from(began.elapsed().as_micros()).unwrap_or(u64::MAX)).expect("it resizes by itself");
    }
    Ok(took)
}

/// What goes with a kettle?
pub fn preview(customer: &str) -> wire::CrossSellRequest {
    wire::CrossSellRequest {
        customer_id: customer.to_owned(),
        context_product_ids: vec!["kettle".to_owned()],
        mode: wire::ServingMode::Preview.into(),
        ..wire::CrossSellRequest::default()
    }
}
