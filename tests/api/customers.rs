//! `CustomerService`.

use tactful::grpc::generated::tactful::v1 as wire;
use tonic::Code;
use wire::HoldReason;

use crate::harness::{Api, NOW, assert_all_taken, at, cross_sell, reason};

fn profile(consents: Option<wire::Consents>) -> wire::CustomerProfile {
    wire::CustomerProfile {
        customer_id: "ann".to_owned(),
        attributes: [("segment".to_owned(), "home".to_owned())].into(),
        consents,
    }
}

async fn upsert(api: &Api, profile: wire::CustomerProfile) -> bool {
    let request = wire::BatchUpsertCustomersRequest { customers: vec![profile] };
    let results = api.customers().batch_upsert_customers(request).await.expect("an answer").into_inner().results;
    assert_all_taken(&results);
    results[0].duplicate
}

async fn get(api: &Api, id: &str) -> Result<wire::GetCustomerResponse, tonic::Status> {
    let request = wire::GetCustomerRequest { customer_id: id.to_owned() };
    Ok(api.customers().get_customer(request).await?.into_inner())
}

#[tokio::test]
async fn a_profile_is_read_back_with_what_the_customer_has_and_was_granted() {
    let api = Api::start().await;
    api.sell_to_ann_and_bob().await;
    assert!(!upsert(&api, profile(None)).await);
    assert!(upsert(&api, profile(None)).await, "the same again changes nothing");
    let served = api.offers().cross_sell(cross_sell("ann")).await.expect("an answer").into_inner();
    let ann = get(&api, "ann").await.expect("known");
    assert_eq!(ann.customer.expect("told").attributes["segment"], "home");
    assert_eq!((ann.holdings[0].product_id.as_str(), ann.holdings[0].bought), ("line", 1));
    assert_eq!(ann.granted_offers.len(), served.offers.len());
    assert_eq!(ann.granted_offers[0].grant_time, at(NOW));
    let unknown = get(&api, "stranger").await.expect_err("nothing is kept");
    assert_eq!((unknown.code(), reason(&unknown).as_str()), (Code::NotFound, "CUSTOMER_NOT_FOUND"));
}

#[tokio::test]
async fn who_opted_out_is_offered_nothing_and_nobody_forgets_it() {
    let api = Api::start().await;
    api.sell_to_ann_and_bob().await;
    let out = wire::Consents { opted_out: true, ..wire::Consents::default() };
    upsert(&api, profile(Some(out.clone()))).await;
    upsert(&api, profile(None)).await;
    let answer = api.offers().cross_sell(cross_sell("ann")).await.expect("an answer").into_inner();
    assert!(answer.offers.is_empty());
    assert_eq!(answer.cap.expect("a cap bound").hold_reason(), HoldReason::OptOut);
    assert_eq!(answer.message, "No offers: the customer opted out of offers.");
    assert_eq!(get(&api, "ann").await.expect("known").customer.expect("told").consents, Some(out));
}

#[tokio::test]
async fn an_opt_out_of_one_channel_leaves_the_others_open() {
    let api = Api::start().await;
    api.sell_to_ann_and_bob().await;
    let out = wire::Consents { opted_out_channels: vec!["email".to_owned()], ..wire::Consents::default() };
    upsert(&api, profile(Some(out))).await;
    let by = async |channel: &str| {
        let request = wire::CrossSellRequest { channel: channel.to_owned(), ..cross_sell("ann") };
        api.offers().cross_sell(request).await.expect("an answer").into_inner().offers.len()
    };
    assert_eq!([by("email").await, by("web").await], [0, 3]);
}
