//! `OfferService`: invalid requests. The error names every fault, and nothing changes.

use tactful::grpc::generated::tactful::v1::{CrossSellRequest, ReleaseOffersRequest, UpSellRequest};
use tonic::Code;

use super::faults::{bad_fields, bad_ids, reason, refusal};
use super::shop::{REQUEST_ID, open_shop, stored_customer};
use crate::support::wire_shop::{cross_sell, up_sell};

const NIL: &str = "00000000-0000-0000-0000-000000000000";

fn many(count: usize) -> Vec<String> {
    (0..count).map(|number| format!("p{number}")).collect()
}

fn wrong_everywhere() -> CrossSellRequest {
    CrossSellRequest {
        customer_id: String::new(),
        context_product_ids: vec!["fine".into(), String::new(), "x".repeat(129)],
        exclude_product_ids: vec![" ".into()],
        max_offers: -1,
        mode: 17,
        request_id: "not-a-uuid".into(),
        channel: "c".repeat(129),
        placement: "\u{7}".into(),
        currency_code: "pounds".into(),
        explain: -1,
    }
}

const EVERY_FIELD: [&str; 11] = [
    "customer_id",
    "context_product_ids[1]",
    "context_product_ids[2]",
    "exclude_product_ids[0]",
    "max_offers",
    "mode",
    "explain",
    "request_id",
    "channel",
    "placement",
    "currency_code",
];

#[tokio::test]
async fn all_faults_of_a_cross_sell_request_are_reported_at_once() {
    let shop = open_shop().await;
    let status = refusal(shop.offers().cross_sell(wrong_everywhere()).await);
    assert_eq!(bad_fields(&status), EVERY_FIELD);
    assert_eq!(reason(&status), "INVALID_FIELDS");
    assert!(status.message().ends_with("; and 8 more"), "{status:?}");
}

/// Broken by: details that name them all, which no client reads: the headers of the answer are too large.
#[tokio::test]
async fn of_a_thousand_faults_the_first_are_named_and_the_rest_counted() {
    let shop = open_shop().await;
    let request = CrossSellRequest { exclude_product_ids: vec![" ".into(); 1_000], ..cross_sell("ada") };
    let status = refusal(shop.offers().cross_sell(request).await);
    assert_eq!(status.code(), Code::InvalidArgument);
    assert!(status.message().ends_with("; and 997 more"), "{status:?}");
    assert_eq!(bad_fields(&status)[..2], ["exclude_product_ids[0]", "exclude_product_ids[1]"]);
}

#[tokio::test]
async fn all_faults_of_an_up_sell_request_are_reported_at_once() {
    let shop = open_shop().await;
    let wrong = wrong_everywhere();
    let request = UpSellRequest {
        customer_id: wrong.customer_id,
        owned_product_ids: wrong.context_product_ids,
        exclude_product_ids: wrong.exclude_product_ids,
        max_offers: wrong.max_offers,
        mode: wrong.mode,
        request_id: wrong.request_id,
        channel: wrong.channel,
        placement: wrong.placement,
        currency_code: wrong.currency_code,
        explain: wrong.explain,
    };
    let expected = EVERY_FIELD.map(|field| field.replace("context_product_ids", "owned_product_ids"));
    assert_eq!(bad_fields(&refusal(shop.offers().up_sell(request).await)), expected);
}

#[tokio::test]
async fn every_fault_of_a_question_is_refused_and_reserves_nothing() {
    let shop = open_shop().await;
    let before = stored_customer(&shop, "ada").await;
    let ada = || cross_sell("ada");
    let mut cases = vec![
        (CrossSellRequest { context_product_ids: many(101), ..ada() }, "context_product_ids"),
        (CrossSellRequest { exclude_product_ids: many(1001), ..ada() }, "exclude_product_ids"),
        (CrossSellRequest { max_offers: i32::MIN, ..ada() }, "max_offers"),
        (CrossSellRequest { mode: 3, ..ada() }, "mode"),
        (CrossSellRequest { mode: -1, ..ada() }, "mode"),
        (CrossSellRequest { explain: 4, ..ada() }, "explain"),
        (CrossSellRequest { request_id: NIL.into(), ..ada() }, "request_id"),
        (CrossSellRequest { request_id: format!("{REQUEST_ID}0"), ..ada() }, "request_id"),
        (CrossSellRequest { currency_code: "gbp".into(), ..ada() }, "currency_code"),
        (CrossSellRequest { currency_code: "€".into(), ..ada() }, "currency_code"),
    ];
    cases.extend(bad_ids().map(|id| (cross_sell(&id), "customer_id")));
    for (request, field) in cases {
        let status = refusal(shop.offers().cross_sell(request.clone()).await);
        assert_eq!(bad_fields(&status), [field], "{request:?}");
        let question = UpSellRequest {
            customer_id: request.customer_id,
            owned_product_ids: request.context_product_ids,
            exclude_product_ids: request.exclude_product_ids,
            max_offers: request.max_offers,
            mode: request.mode,
            request_id: request.request_id,
            currency_code: request.currency_code,
            explain: request.explain,
            ..UpSellRequest::default()
        };
        let status = refusal(shop.offers().up_sell(question).await);
        assert_eq!(bad_fields(&status), [field.replace("context", "owned")]);
    }
    assert_eq!(stored_customer(&shop, "ada").await, before);
}

#[tokio::test]
async fn the_largest_question_is_answered() {
    let shop = open_shop().await;
    let customer = "é".repeat(64);
    let request = CrossSellRequest {
        customer_id: customer.clone(),
        context_product_ids: many(100),
        exclude_product_ids: many(1000),
        max_offers: i32::MAX,
        request_id: REQUEST_ID.into(),
        channel: "E-MAIL".into(),
        placement: "p".repeat(128),
        currency_code: "GBP".into(),
        ..CrossSellRequest::default()
    };
    shop.offers().cross_sell(request).await.expect("answers");
    let request = UpSellRequest { owned_product_ids: many(100), max_offers: i32::MAX, ..up_sell(&customer) };
    shop.offers().up_sell(request).await.expect("answers");
    assert!(stored_customer(&shop, &customer).await.is_some());
}

#[tokio::test]
async fn all_faults_of_a_release_are_reported_at_once() {
    let shop = open_shop().await;
    let request = ReleaseOffersRequest {
        customer_id: "x".repeat(129),
        decision_id: "7".into(),
        offer_ids: vec!["product/kettle".into(), String::new(), "o".repeat(137)],
    };
    let status = refusal(shop.offers().release_offers(request).await);
    assert_eq!(bad_fields(&status), ["customer_id", "decision_id", "offer_ids[1]", "offer_ids[2]"]);

    let missing = refusal(shop.offers().release_offers(ReleaseOffersRequest::default()).await);
    assert_eq!(bad_fields(&missing), ["customer_id", "decision_id"]);
    let request =
        ReleaseOffersRequest { customer_id: "ada".into(), decision_id: REQUEST_ID.into(), offer_ids: many(21) };
    assert_eq!(bad_fields(&refusal(shop.offers().release_offers(request).await)), ["offer_ids"]);
}
