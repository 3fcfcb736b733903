//! A repeated `request_id` returns the same decision, also after a restart, and never for another request.

use std::time::{Duration, Instant};

use tactful::domain::time::DAY;
use tactful::grpc::generated::tactful::v1::{CrossSellRequest, CrossSellResponse, ReleaseOffersRequest, UpSellRequest};
use tonic::{Code, Request};

use super::faults::{bad_fields, kind, refusal, retry_after};
use super::harness::{ManualClock, TestServer, in_memory, until, within_timeout};
use super::shop::{REQUEST_ID, open_shop, stock, stored_customer};
use crate::support::wire_shop::{cross_sell, up_sell};

fn keyed(customer: &str) -> CrossSellRequest {
    CrossSellRequest { request_id: REQUEST_ID.into(), ..cross_sell(customer) }
}

fn replay_of(answer: &CrossSellResponse) -> CrossSellResponse {
    CrossSellResponse { replayed: true, ..answer.clone() }
}

#[tokio::test]
async fn the_same_request_again_gets_the_same_answer_and_costs_nothing() {
    let shop = open_shop().await;
    let first = shop.offers().cross_sell(keyed("ada")).await.expect("answers").into_inner();
    assert!(!first.replayed && first.offers.len() == 3);
    let before = stored_customer(&shop, "ada").await;
    shop.clock.advance(DAY / 2);
    let again = shop.offers().cross_sell(keyed("ada")).await.expect("answers").into_inner();
    assert_eq!(again, replay_of(&first));
    assert_eq!(stored_customer(&shop, "ada").await, before);
}

#[tokio::test]
async fn the_same_request_gets_the_same_answer_after_a_restart() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let clock = ManualClock::new();
    let server = TestServer::on_disk(directory.path(), clock.clone()).await;
    stock(&server).await;
    let first = server.offers().cross_sell(keyed("ada")).await.expect("answers").into_inner();
    let question = UpSellRequest { request_id: REQUEST_ID.into(), ..up_sell("ada") };
    let first_up = server.offers().up_sell(question.clone()).await.expect("answers").into_inner();
    let before = stored_customer(&server, "ada").await;
    server.stop().await;

    let server = TestServer::on_disk(directory.path(), clock).await;
    let again = server.offers().cross_sell(keyed("ada")).await.expect("answers").into_inner();
    assert_eq!(again, replay_of(&first));
    let again_up = server.offers().up_sell(question).await.expect("answers").into_inner();
    assert!(again_up.replayed && again_up.decision_id == first_up.decision_id && again_up.offers == first_up.offers);
    assert_eq!(stored_customer(&server, "ada").await, before);
    server.stop().await;
}

#[tokio::test]
async fn a_request_id_is_refused_for_another_request() {
    let shop = open_shop().await;
    shop.offers().cross_sell(keyed("ada")).await.expect("answers");
    let before = stored_customer(&shop, "ada").await;
    let others = [
        CrossSellRequest { max_offers: 2, ..keyed("ada") },
        CrossSellRequest { channel: "web".into(), ..keyed("ada") },
        CrossSellRequest { exclude_product_ids: vec!["mug".into()], ..keyed("ada") },
    ];
    for other in others {
        let status = refusal(shop.offers().cross_sell(other).await);
        assert_eq!(kind(&status), (Code::InvalidArgument, "REQUEST_ID_REUSED".into()));
        assert_eq!(bad_fields(&status), ["request_id"]);
    }
    assert_eq!(stored_customer(&shop, "ada").await, before);
}

#[tokio::test]
async fn a_request_id_belongs_to_one_customer_one_method_and_one_day() {
    let shop = open_shop().await;
    let first = shop.offers().cross_sell(keyed("ada")).await.expect("answers").into_inner();
    let other = shop.offers().cross_sell(keyed("bob")).await.expect("answers").into_inner();
    let question = UpSellRequest { request_id: REQUEST_ID.into(), ..up_sell("ada") };
    let up_sell = shop.offers().up_sell(question).await.expect("answers").into_inner();
    assert!(!other.replayed && !up_sell.replayed);
    shop.clock.advance(DAY);
    let next_day = shop.offers().cross_sell(keyed("ada")).await.expect("answers").into_inner();
    assert!(!next_day.replayed && next_day.decision_id != first.decision_id);
}

#[tokio::test]
async fn a_replay_omits_released_offers() {
    let shop = open_shop().await;
    let first = shop.offers().cross_sell(keyed("ada")).await.expect("answers").into_inner();
    let request =
        ReleaseOffersRequest { customer_id: "ada".into(), decision_id: first.decision_id, offer_ids: Vec::new() };
    shop.offers().release_offers(request).await.expect("releases");
    let again = shop.offers().cross_sell(keyed("ada")).await.expect("answers").into_inner();
    assert!(again.replayed && again.offers.is_empty());
    assert_eq!(again.message, "No offers: the offers of this decision have been released.");
}

#[tokio::test]
async fn too_many_request_ids_are_rejected_with_the_time_when_one_is_free() {
    let shop = open_shop().await;
    let numbered = |number: u32| CrossSellRequest {
        request_id: format!("{number:08}-0000-4000-8000-000000000000"),
        ..keyed("ada")
    };
    for number in 0..128 {
        shop.offers().cross_sell(numbered(number)).await.expect("answers");
    }
    shop.clock.advance(DAY / 4);
    let status = refusal(shop.offers().cross_sell(numbered(128)).await);
    assert_eq!(kind(&status), (Code::ResourceExhausted, "TOO_MANY_REQUEST_IDS".into()));
    assert_eq!(retry_after(&status), Some(DAY / 4 * 3));
    shop.clock.advance(DAY / 4 * 3);
    shop.offers().cross_sell(numbered(128)).await.expect("answers");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn nothing_is_reserved_for_a_client_that_stopped_waiting() {
    let clock = ManualClock::new();
    let shop = TestServer::with(in_memory(), clock.clone()).await;
    stock(&shop).await;
    let before = stored_customer(&shop, "ada").await;
    let shut = clock.block_readers();
    let mut offers = shop.offers();
    let timeout = Duration::from_millis(300);
    let call = tokio::spawn(async move {
        let mut request = Request::new(keyed("ada"));
        request.set_timeout(timeout);
        offers.cross_sell(request).await
    });
    until(async || clock.has_blocked_reader() || call.is_finished()).await;
    let status = refusal(within_timeout(call).await.expect("does not panic"));
    assert!([Code::DeadlineExceeded, Code::Cancelled].contains(&status.code()), "{status:?}");
    // The server's time limit starts with the arrival of the call, before the client cancelled it.
    let gave_up = Instant::now();
    until(async || gave_up.elapsed() > timeout).await;
    drop(shut);
    until(async || !clock.has_blocked_reader()).await;

    assert_eq!(stored_customer(&shop, "ada").await, before);
    let store = shop.app.store().clone();
    within_timeout(shop.start_shutdown()).await.expect("does not panic").expect("stops in order");
    assert_eq!(store.counts().await.expect("counts").decisions, 0);
}
