//! More calls than request permits: each is served, or shed with a retry delay, and afterwards none is shed.
//!
//! Throughput and latency under overload are measured by `cargo bench --bench serving -- --overload`.
//! Broken by: a rejection without a retry delay; a permit that is not released.

use tactful::grpc::generated::tactful::v1 as wire;
use tokio::task::JoinSet;
use tonic::{Code, Status};
use tonic_types::StatusExt;
use wire::offer_service_client::OfferServiceClient;

use super::steady_client::preview;
use crate::support::long_form::short_or_long;
use crate::support::running_server::{RunningServer, stock};

const CLIENTS: u64 = 64;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn excess_calls_are_shed_and_later_ones_are_served() {
    let directory = tempfile::tempdir().expect("a directory");
    let mut server = RunningServer::start_on(directory.path(), "127.0.0.1:0", &["--requests-max", "4"]);
    let channel = server.connect().await;
    stock(&channel).await;
    let mut clients = JoinSet::new();
    for client_number in 0..CLIENTS {
        let mut client = OfferServiceClient::new(server.connect().await);
        clients.spawn(async move {
            let (mut served, mut shed) = (0_u64, 0_u64);
            for call in 0..short_or_long(50, 2_000) {
                // A durable decision holds its permit while it waits for the disk.
                let request = wire::CrossSellRequest {
                    request_id: uuid::Uuid::new_v4().to_string(),
                    mode: wire::ServingMode::Reserve.into(),
                    ..preview(&format!("customer-{client_number}-{}", call / 100))
                };
                match client.cross_sell(request).await {
                    Ok(_) => served += 1,
                    Err(status) if is_shed(&status) => shed += 1,
                    Err(status) => panic!("neither served nor shed: {status:?}"),
                }
            }
            (served, shed)
        });
    }
    let counts = clients.join_all().await;
    let served: u64 = counts.iter().map(|(served, _)| served).sum();
    let shed: u64 = counts.iter().map(|(_, shed)| shed).sum();
    eprintln!("{served} served, {shed} shed");
    assert!(served > 0 && shed > 0, "{served} served, {shed} shed");
    for call in 0..100 {
        let response = OfferServiceClient::new(channel.clone()).cross_sell(preview(&format!("late-{call}"))).await;
        assert!(!response.expect("no longer overloaded").into_inner().offers.is_empty());
    }
    assert!(server.is_alive() && server.panic().is_none(), "{}", server.log());
}

fn is_shed(status: &Status) -> bool {
    let retry_info = status.get_details_retry_info();
    status.code() == Code::ResourceExhausted && retry_info.is_some_and(|info| info.retry_delay.is_some())
}
