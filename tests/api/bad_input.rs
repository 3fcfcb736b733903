//! What callers get wrong: every bad field is named in one answer, and nothing changes.

use tactful::grpc::generated::tactful::v1 as wire;
use tonic::{Code, Status};
use wire::EventKind;

use crate::harness::{
    Api, DAY, NOW, at, bad_fields, bought, cross_sell, entry_status, event, feature, product, up_sell, usd,
};

const FAR: i64 = NOW + 400 * 365 * DAY;

fn long() -> String {
    "x".repeat(129)
}

/// Runs requests that are all refused, and holds that they change nothing.
async fn assert_refused(api: &Api, refused: impl Future<Output = Vec<(&'static str, Status, Vec<&'static str>)>>) {
    let before = api.tactful.store().digest().await.expect("a digest");
    for (what, status, expected) in refused.await {
        assert_eq!(bad_fields(&status), expected, "{what}");
    }
    assert_eq!(api.tactful.store().digest().await.expect("a digest"), before, "nothing changed");
}

#[tokio::test]
async fn offer_requests() {
    let api = Api::start().await;
    api.sell_to_ann_and_bob().await;
    let mut offers = api.offers();
    assert_refused(&api, async {
        let everything = wire::CrossSellRequest {
            customer_id: String::new(),
            context_product_ids: vec![String::new(), "line".to_owned(), long()],
            exclude_product_ids: vec!["x".to_owned(); 1001],
            max_offers: -1,
            mode: 99,
            request_id: "not a uuid".to_owned(),
            channel: long(),
            placement: "a\nb".to_owned(),
            currency_code: "EURO".to_owned(),
            explain: -7,
        };
        let up = wire::UpSellRequest {
            customer_id: long(),
            owned_product_ids: vec!["x".to_owned(); 101],
            mode: 4,
            request_id: "00000000-0000-0000-0000-000000000000".to_owned(),
            ..up_sell("")
        };
        let release = wire::ReleaseOffersRequest {
            customer_id: " ".to_owned(),
            decision_id: String::new(),
            offer_ids: vec!["x".to_owned(); 21],
        };
        vec![
            (
                "CrossSell",
                offers.cross_sell(everything).await.expect_err("bad"),
                vec![
                    "channel",
                    "context_product_ids[0]",
                    "context_product_ids[2]",
                    "currency_code",
                    "customer_id",
                    "exclude_product_ids",
                    "explain",
                    "max_offers",
                    "mode",
                    "placement",
                    "request_id",
                ],
            ),
            (
                "UpSell",
                offers.up_sell(up).await.expect_err("bad"),
                vec!["customer_id", "mode", "owned_product_ids", "request_id"],
            ),
            (
                "ReleaseOffers",
                offers.release_offers(release).await.expect_err("bad"),
                vec!["customer_id", "decision_id", "offer_ids"],
            ),
        ]
    })
    .await;
}

#[tokio::test]
async fn relationship_and_customer_requests() {
    let api = Api::start().await;
    let (mut relationships, mut customers) = (api.relationships(), api.customers());
    assert_refused(&api, async {
        let health = wire::GetRelationshipHealthRequest { customer_id: long() };
        let create = wire::CreateHoldRequest {
            customer_id: String::new(),
            hold_id: long(),
            reason: wire::HoldReason::OptOut.into(),
            note: "n".repeat(100_000),
            expire_time: at(NOW - 1),
        };
        let list = wire::ListHoldsRequest::default();
        let delete = wire::DeleteHoldRequest::default();
        let get = wire::GetCustomerRequest { customer_id: "\u{0}".to_owned() };
        vec![
            (
                "GetRelationshipHealth",
                relationships.get_relationship_health(health).await.expect_err("bad"),
                vec!["customer_id"],
            ),
            (
                "CreateHold",
                relationships.create_hold(create).await.expect_err("bad"),
                vec!["customer_id", "expire_time", "hold_id", "note", "reason"],
            ),
            ("ListHolds", relationships.list_holds(list).await.expect_err("bad"), vec!["customer_id"]),
            ("DeleteHold", relationships.delete_hold(delete).await.expect_err("bad"), vec!["customer_id", "hold_id"]),
            ("GetCustomer", customers.get_customer(get).await.expect_err("bad"), vec!["customer_id"]),
        ]
    })
    .await;
    let never = wire::CreateHoldRequest {
        customer_id: "ann".to_owned(),
        reason: 77,
        expire_time: at(FAR),
        ..wire::CreateHoldRequest::default()
    };
    let refused = relationships.create_hold(never).await.expect_err("bad");
    assert_eq!(bad_fields(&refused), ["expire_time", "reason"]);
}

#[tokio::test]
async fn profiles() {
    let api = Api::start().await;
    let bad = wire::CustomerProfile {
        customer_id: long(),
        attributes: (0..100).map(|number| (number.to_string(), String::new())).collect(),
        consents: Some(wire::Consents {
            opted_out_channels: vec!["email".to_owned(), String::new()],
            ..wire::Consents::default()
        }),
    };
    let request = wire::BatchUpsertCustomersRequest { customers: vec![bad] };
    let results = api.customers().batch_upsert_customers(request).await.expect("an answer").into_inner().results;
    let expected =
        ["customers[0].attributes", "customers[0].consents.opted_out_channels[1]", "customers[0].customer_id"];
    assert_eq!(bad_fields(&entry_status(&results[0])), expected);
    assert_eq!(api.tactful.store().counts().await.expect("counts").customers, 0);
}

#[tokio::test]
async fn products() {
    let api = Api::start().await;
    let euros = wire::Money { currency_code: "EUR".to_owned(), ..usd(1) };
    let cases = [
        (wire::Product { price: Some(usd(-1)), ..product("", " ") }, vec!["price", "product_id", "title"]),
        (wire::Product { margin: Some(euros), price: Some(usd(3)), ..product("p", "P") }, vec!["margin"]),
        (wire::Product { margin: Some(usd(1)), price: Some(usd(-3)), ..product("p", "P") }, vec!["price"]),
        (wire::Product { ladder: long(), tier: 1, ..product("p", "P") }, vec!["ladder"]),
        (
            wire::Product {
                price: Some(wire::Money { currency_code: "usd".to_owned(), units: 1, nanos: 2_000_000_000 }),
                ..product("p", "P")
            },
            vec!["price", "price.currency_code"],
        ),
        (
            wire::Product {
                price: Some(wire::Money { nanos: -5, ..usd(1) }),
                margin: Some(usd(i64::MAX)),
                ..product("p", "P")
            },
            vec!["margin", "price"],
        ),
        (
            wire::Product {
                tier: 3,
                requires: vec!["p".to_owned()],
                excludes: vec![String::new()],
                features: [("width".to_owned(), feature(f64::NAN)), ("none".to_owned(), wire::FeatureValue::default())]
                    .into(),
                available_from: at(NOW),
                available_until: at(NOW),
                ..product("p", "P")
            },
            vec!["available_until", "excludes[0]", "features[none]", "features[width]", "requires", "tier"],
        ),
        (
            wire::Product {
                category: vec!["c".to_owned(); 9],
                features: [("infinite".to_owned(), feature(f64::INFINITY))].into(),
                available_from: at(FAR),
                available_until: Some(prost_types::Timestamp { seconds: 1, nanos: -1 }),
                ..product("p", &"t".repeat(513))
            },
            vec!["available_from", "available_until.nanos", "category", "features[infinite]", "title"],
        ),
    ];
    let before = api.tactful.store().digest().await.expect("a digest");
    for (bad, expected) in cases {
        let request = wire::BatchUpsertProductsRequest { products: vec![bad] };
        let results = api.catalog().batch_upsert_products(request).await.expect("an answer").into_inner().results;
        let expected: Vec<String> = expected.iter().map(|field| format!("products[0].{field}")).collect();
        assert_eq!(bad_fields(&entry_status(&results[0])), expected);
    }
    assert_eq!(api.tactful.store().digest().await.expect("a digest"), before);
    for page in [
        wire::ListProductsRequest { page_size: -1, page_token: "junk".to_owned() },
        wire::ListProductsRequest { page_size: 0, page_token: "zz".to_owned() },
    ] {
        let refused = api.catalog().list_products(page.clone()).await.expect_err("bad");
        let expected: &[&str] = if page.page_size < 0 { &["page_size", "page_token"] } else { &["page_token"] };
        assert_eq!(bad_fields(&refused), expected);
    }
}

#[tokio::test]
async fn events() {
    let api = Api::start().await;
    let survey = |score: f64, score_max: f64| wire::CustomerEvent {
        score: Some(score),
        score_max: Some(score_max),
        ..event("s", "ann", EventKind::Survey, 1)
    };
    let usage = |amount: f64, allowance: f64| wire::CustomerEvent {
        product_id: "line".to_owned(),
        amount: Some(amount),
        allowance: Some(allowance),
        ..event("u", "ann", EventKind::Usage, 1)
    };
    let quantity = |quantity: i64| wire::CustomerEvent { quantity: Some(quantity), ..bought("q", "ann", "line", 1) };
    let cases = [
        (wire::CustomerEvent::default(), vec!["event_id", "event_time", "kind"]),
        (wire::CustomerEvent { kind: 999, ..event("e", "ann", EventKind::Visit, 1) }, vec!["kind"]),
        (wire::CustomerEvent { event_time: at(NOW + 301), ..bought("e", "ann", "line", 0) }, vec!["event_time"]),
        (
            wire::CustomerEvent { event_time: at(FAR), ..bought("e", &long(), "", 0) },
            vec!["customer_id", "event_time", "product_id"],
        ),
        (wire::CustomerEvent { event_time: at(i64::MIN), ..bought("e", "ann", "line", 0) }, vec!["event_time"]),
        (wire::CustomerEvent { event_time: at(i64::MAX), ..bought("e", "ann", "line", 0) }, vec!["event_time"]),
        (quantity(0), vec!["quantity"]),
        (quantity(-1), vec!["quantity"]),
        (quantity(i64::MAX), vec!["quantity"]),
        (wire::CustomerEvent { unit_price: Some(usd(-1)), ..bought("e", "ann", "line", 0) }, vec!["unit_price"]),
        (
            wire::CustomerEvent {
                unit_price: Some(wire::Money { currency_code: String::new(), units: 1, nanos: -1 }),
                ..bought("e", "ann", "line", 0)
            },
            vec!["unit_price", "unit_price.currency_code"],
        ),
        (survey(f64::NAN, 10.0), vec!["score"]),
        (survey(3.0, f64::NAN), vec!["score_max"]),
        (survey(11.0, 10.0), vec!["score"]),
        (survey(0.0, 0.0), vec!["score_max"]),
        (survey(-1.0, f64::INFINITY), vec!["score", "score_max"]),
        (event("s", "ann", EventKind::Survey, 1), vec!["score", "score_max"]),
        (usage(f64::NAN, 1.0), vec!["amount"]),
        (usage(-1.0, -1.0), vec!["allowance", "amount"]),
        (usage(f64::INFINITY, f64::NAN), vec!["allowance", "amount"]),
        (wire::CustomerEvent { severity: Some(5), ..event("c", "ann", EventKind::Complaint, 1) }, vec!["severity"]),
        (
            wire::CustomerEvent { severity: Some(-1), score: Some(1.0), ..event("c", "", EventKind::Complaint, 1) },
            vec!["customer_id", "score", "severity"],
        ),
        (event("c", "ann", EventKind::CaseResolved, 1), vec!["case_id"]),
    ];
    let before = api.tactful.store().digest().await.expect("a digest");
    for (bad, expected) in cases {
        let request = wire::RecordEventsRequest { events: vec![bad.clone()] };
        let results = api.feedback().record_events(request).await.expect("an answer").into_inner().results;
        let expected: Vec<String> = expected.iter().map(|field| format!("events[0].{field}")).collect();
        assert_eq!(bad_fields(&entry_status(&results[0])), expected, "{bad:?}");
    }
    assert_eq!(api.tactful.store().digest().await.expect("a digest"), before);
}

#[tokio::test]
async fn outcomes() {
    let api = Api::start().await;
    let bad = wire::OfferOutcome { kind: 42, outcome_time: at(FAR), case_id: long(), ..wire::OfferOutcome::default() };
    let request = wire::RecordOutcomesRequest { outcomes: vec![bad] };
    let results = api.feedback().record_outcomes(request).await.expect("an answer").into_inner().results;
    let fields = bad_fields(&entry_status(&results[0]));
    for field in ["case_id", "customer_id", "decision_id", "kind", "offer_id", "outcome_time"] {
        assert!(fields.contains(&format!("outcomes[0].{field}")), "{field} is not in {fields:?}");
    }
}

/// Refused whole: half a batch would be neither.
#[tokio::test]
async fn batches_that_are_empty_or_too_large() {
    let api = Api::start().await;
    let (mut feedback, mut catalog, mut customers) = (api.feedback(), api.catalog(), api.customers());
    assert_refused(&api, async {
        let mut refused = Vec::new();
        for entries in [0, 1001, 10_000] {
            let events = vec![bought("e", "ann", "line", 1); entries];
            let outcomes = vec![wire::OfferOutcome::default(); entries];
            let products = vec![product("p", "P"); entries];
            let profiles = vec![wire::CustomerProfile::default(); entries];
            refused.extend([
                (
                    "RecordEvents",
                    feedback.record_events(wire::RecordEventsRequest { events }).await.expect_err("bad"),
                    vec!["events"],
                ),
                (
                    "RecordOutcomes",
                    feedback.record_outcomes(wire::RecordOutcomesRequest { outcomes }).await.expect_err("bad"),
                    vec!["outcomes"],
                ),
                (
                    "BatchUpsertProducts",
                    catalog
                        .batch_upsert_products(wire::BatchUpsertProductsRequest { products })
                        .await
                        .expect_err("bad"),
                    vec!["products"],
                ),
                (
                    "BatchUpsertCustomers",
                    customers
                        .batch_upsert_customers(wire::BatchUpsertCustomersRequest { customers: profiles })
                        .await
                        .expect_err("bad"),
                    vec!["customers"],
                ),
            ]);
        }
        refused
    })
    .await;
    let large: Vec<_> = (0..1000).map(|number| bought(&number.to_string(), "ann", "line", 1)).collect();
    api.record(large).await;
    assert_eq!(api.tactful.store().counts().await.expect("counts").events, 1000);
}

#[tokio::test]
async fn a_stream_part_that_is_too_large_ends_the_stream_and_keeps_what_came_before() {
    let api = Api::start().await;
    let good = wire::StreamEventsRequest { events: vec![bought("good", "ann", "line", 1)] };
    let large = wire::StreamEventsRequest { events: vec![bought("e", "ann", "line", 1); 1001] };
    let refused = api.feedback().stream_events(tokio_stream::iter([good, large])).await.expect_err("bad");
    assert_eq!(bad_fields(&refused), ["events"]);
    assert_eq!(api.tactful.store().counts().await.expect("counts").events, 1);
}

#[tokio::test]
async fn a_message_of_five_megabytes_is_refused_and_the_server_serves_on() {
    let api = Api::start().await;
    let request = wire::CrossSellRequest { placement: "x".repeat(5_000_000), ..cross_sell("ann") };
    let refused = api.offers().cross_sell(request).await.expect_err("too large");
    assert!(matches!(refused.code(), Code::OutOfRange | Code::ResourceExhausted), "{refused}");
    api.offers().cross_sell(cross_sell("ann")).await.expect("the server serves on");
}
