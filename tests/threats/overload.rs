//! More calls than there are places: each is answered, or refused with a time to come again, and afterwards none is refused.
//!
//! How much is answered, and how quickly, is measured by `cargo bench --bench serving -- --overload`.
//! Broken by: a refusal without a time to come again; a place that is not given back.

use tactful::grpc::generated::tactful::v1 as wire;
use tokio::task::JoinSet;
use tonic::{Code, Status};
use tonic_types::StatusExt;
use wire::offer_service_client::OfferServiceClient;

use super::caller::preview;
use crate::support::long_form::short_or_long;
use crate::support::running_server::{RunningServer, stock};

const CALLERS: u64 = 64;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_too_many_are_refused_and_none_is_afterwards() {
    let directory = tempfile::tempdir().expect("a directory");
    let mut server = RunningServer::start_on(directory.path(), "127.0.0.1:0", &["--requests-max", "4"]);
    let channel = server.connect().await;
    stock(&channel).await;
    let mut callers = JoinSet::new();
    for caller in 0..CALLERS {
        let mut client = OfferServiceClient::new(server.connect().await);
        callers.spawn(async move {
            let (mut answered, mut refused) = (0_u64, 0_u64);
            for turn in 0..short_or_long(50, 2_000) {
                // A durable answer waits for the disk, and holds its place all the while.
                let request = wire::CrossSellRequest {
                    request_id: uuid::Uuid::new_v4().to_string(),
                    mode: wire::ServingMode::Reserve.into(),
                    ..preview(&format!("customer-{caller}-{}", turn / 100))
                };
                match client.cross_sell(request).await {
                    Ok(_) => answered += 1,
                    Err(status) if is_refusal(&status) => refused += 1,
                    Err(status) => panic!("neither answered nor refused: {status:?}"),
                }
            }
            (answered, refused)
        });
    }
    let told = callers.join_all().await;
    let answered: u64 = told.iter().map(|(answered, _)| answered).sum();
    let refused: u64 = told.iter().map(|(_, refused)| refused).sum();
    eprintln!("{answered} answered, {refused} refused");
    assert!(answered > 0 && refused > 0, "{answered} answered, {refused} refused");
    for turn in 0..100 {
        let answer = OfferServiceClient::new(channel.clone()).cross_sell(preview(&format!("late-{turn}"))).await;
        assert!(!answer.expect("there is room again").into_inner().offers.is_empty());
    }
    assert!(server.is_alive() && server.panic().is_none(), "{}", server.log());
}

fn is_refusal(status: &Status) -> bool {
    let retry_info = status.get_details_retry_info();
    status.code() == Code::ResourceExhausted && retry_info.is_some_and(|info| info.retry_delay.is_some())
}
