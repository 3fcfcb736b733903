//! `OfferService`: `BatchCrossSell` and `BatchUpSell`.

use tactful::grpc::generated::google::rpc;
use tactful::grpc::generated::tactful::v1::{
    BatchCrossSellRequest, BatchUpSellRequest, CrossSellRequest, CrossSellResponse, ServingMode, UpSellRequest,
};
use tonic::{Code, Status};

use super::faults::{bad_fields, reason, refusal};
use super::harness::TestServer;
use super::shop::{REQUEST_ID, open_shop, stored_customer};
use crate::support::wire_shop::{cross_sell, preview, up_sell};

fn as_status(status: Option<&rpc::Status>) -> Status {
    use prost::Message;
    let status = status.expect("every entry has a status");
    Status::with_details(Code::from(status.code), status.message.clone(), status.encode_to_vec().into())
}

async fn ask(shop: &TestServer, requests: Vec<CrossSellRequest>) -> Vec<Result<CrossSellResponse, Status>> {
    let answer = shop.offers().batch_cross_sell(BatchCrossSellRequest { requests }).await.expect("answers");
    let entries = answer.into_inner().entries.into_iter();
    entries.map(|entry| entry.answer.ok_or_else(|| as_status(entry.status.as_ref()))).collect()
}

#[tokio::test]
async fn every_batch_entry_gets_the_response_of_a_single_request() {
    let shop = open_shop().await;
    let alone = shop.offers().cross_sell(preview("ada")).await.expect("answers").into_inner();
    let whom: Vec<String> = (0..99).map(|number| format!("stranger-{number}")).collect();
    let requests = whom.iter().map(|whom| preview(whom)).chain([preview("ada")]).collect();
    let answers = ask(&shop, requests).await;
    assert_eq!(answers.len(), 100);
    assert_eq!(answers[99].as_ref().expect("answers"), &alone, "in order");

    let requests = vec![UpSellRequest { mode: ServingMode::Preview.into(), ..up_sell("ada") }, up_sell("eve")];
    let answer = shop.offers().batch_up_sell(BatchUpSellRequest { requests }).await.expect("answers").into_inner();
    let [ada, eve] = answer.entries.as_slice() else { panic!("two entries: {answer:?}") };
    let [ada, eve] = [ada, eve].map(|entry| entry.answer.as_ref().expect("an answer"));
    assert_eq!(ada.offers[0].product_id, "big-toaster");
    assert!(eve.offers.is_empty() && !eve.decision_id.is_empty());
}

#[tokio::test]
async fn a_reserved_entry_counts_and_its_retry_is_a_replay() {
    let shop = open_shop().await;
    let request = CrossSellRequest { request_id: REQUEST_ID.into(), ..cross_sell("ada") };
    let first = ask(&shop, vec![request.clone()]).await.remove(0).expect("answers");
    assert_eq!(stored_customer(&shop, "ada").await.map(|ada| ada.granted_offers.len()), Some(first.offers.len()));
    let again = shop.offers().cross_sell(request.clone()).await.expect("answers").into_inner();
    assert_eq!(again, CrossSellResponse { replayed: true, ..first });
    let other = CrossSellRequest { max_offers: 1, ..request };
    let refused = ask(&shop, vec![other]).await.remove(0).expect_err("another request under the same id");
    assert_eq!(reason(&refused), "REQUEST_ID_REUSED");
}

#[tokio::test]
async fn a_bad_entry_names_its_faults_and_the_others_are_answered() {
    let shop = open_shop().await;
    let bad = CrossSellRequest { mode: 77, max_offers: -1, ..cross_sell("") };
    let answers = ask(&shop, vec![preview("ada"), bad, preview("eve")]).await;
    assert!(answers[0].is_ok() && answers[2].is_ok());
    let refused = answers[1].as_ref().expect_err("three faults");
    assert_eq!(bad_fields(refused), ["customer_id", "max_offers", "mode"]);
}

#[tokio::test]
async fn a_batch_that_is_empty_too_long_or_names_a_customer_twice_is_refused_whole() {
    let shop = open_shop().await;
    let before = shop.app.store().digest().await.expect("a digest");
    let strangers = |count: usize| (0..count).map(|number| cross_sell(&format!("stranger-{number}"))).collect();
    let twice = vec![cross_sell("ada"), cross_sell("eve"), cross_sell("ada")];
    for (requests, field) in
        [(Vec::new(), "requests"), (strangers(101), "requests"), (twice, "requests[2].customer_id")]
    {
        let status = refusal(shop.offers().batch_cross_sell(BatchCrossSellRequest { requests }).await);
        assert_eq!(bad_fields(&status), [field]);
    }
    let requests = vec![up_sell("ada"), up_sell("ada")];
    let status = refusal(shop.offers().batch_up_sell(BatchUpSellRequest { requests }).await);
    assert_eq!(bad_fields(&status), ["requests[1].customer_id"]);
    assert_eq!(shop.app.store().digest().await.expect("a digest"), before);
}
