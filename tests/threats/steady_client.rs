//! Well-behaved client that requests offers at a steady rate and expects every call to succeed.

use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use tactful::grpc::generated::tactful::v1 as wire;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tonic::Status;
use tonic::transport::Channel;
use wire::offer_service_client::OfferServiceClient;

/// Interval between two calls.
pub const CALL_INTERVAL: Duration = Duration::from_millis(2);

/// Client that calls sequentially until it is stopped.
pub struct SteadyClient {
    stop: oneshot::Sender<()>,
    task: JoinHandle<Result<Histogram<u64>, Status>>,
}

impl SteadyClient {
    pub fn start(channel: Channel) -> Self {
        let (stop, stopped) = oneshot::channel();
        Self { stop, task: tokio::spawn(call_until(channel, stopped)) }
    }

    /// Stops and returns the latencies in microseconds, or the first failure.
    pub async fn stop(self) -> Result<Histogram<u64>, Status> {
        // Sending fails when a call has failed already.
        let _failed = self.stop.send(());
        self.task.await.expect("task does not panic")
    }
}

async fn call_until(channel: Channel, mut stopped: oneshot::Receiver<()>) -> Result<Histogram<u64>, Status> {
    let mut client = OfferServiceClient::new(channel);
    let mut latencies = Histogram::new(3).expect("3 digits are allowed");
    let mut ticks = tokio::time::interval(CALL_INTERVAL);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    for call in 0_u64.. {
        // At least one call, however short the attack is.
        tokio::select! {
            biased;
            _ = &mut stopped, if call > 0 => break,
            _ = ticks.tick() => {}
        }
        let started = Instant::now();
        let response = client.cross_sell(preview(&format!("caller-{}", call % 100))).await?.into_inner();
        assert!(!response.offers.is_empty(), "{response:?}");
        latencies
            .record(u64::try_from(started.elapsed().as_micros()).unwrap_or(u64::MAX))
            .expect("the histogram resizes itself");
    }
    Ok(latencies)
}

/// Returns a request for a preview of offers that go with a kettle.
pub fn preview(customer: &str) -> wire::CrossSellRequest {
    wire::CrossSellRequest {
        customer_id: customer.to_owned(),
        context_product_ids: vec!["kettle".to_owned()],
        mode: wire::ServingMode::Preview.into(),
        ..wire::CrossSellRequest::default()
    }
}
