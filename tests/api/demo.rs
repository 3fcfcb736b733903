//! The demo: the calls that it prints can be made in any order and any number of times.

use std::collections::BTreeMap;

use serde::Deserialize;
use tactful::cli::demo::{self, CALLS, DemoCall};
use tactful::domain::time::DAY;
use tactful::grpc::generated::tactful::v1::{
    CapKind, CrossSellRequest, CrossSellResponse, GetRelationshipHealthRequest, GetRelationshipHealthResponse,
    HoldReason, ServingMode, UpSellRequest, UpSellResponse,
};

use super::harness::TestServer;
use super::shop::{in_future, now};
use crate::support::wire_shop::{preview, up_sell};

async fn open_demo() -> TestServer {
    let server = TestServer::in_memory().await;
    assert!(demo::load(&server.app).await.is_ok(), "the demo loads");
    server
}

/// Body of a printed call; unknown fields are refused, because the test would not send them.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Body {
    customer_id: String,
    #[serde(default)]
    context_product_ids: Vec<String>,
    #[serde(default)]
    mode: String,
    #[serde(default)]
    request_id: String,
}

#[derive(Debug, Clone, PartialEq)]
enum Answer {
    CrossSell(CrossSellResponse),
    UpSell(UpSellResponse),
    Health(GetRelationshipHealthResponse),
}

/// Makes the call as printed. A replayed response equals the first one except for `replayed`.
async fn make(server: &TestServer, call: &DemoCall) -> Answer {
    let body: Body = serde_json::from_str(call.body).expect("the printed body is JSON of known fields");
    let Body { customer_id, context_product_ids, mode, request_id } = body;
    let mode = match mode.as_str() {
        "" => ServingMode::Unspecified,
        name => ServingMode::from_str_name(name).expect("a mode"),
    };
    match call.method {
        "tactful.v1.OfferService/CrossSell" => {
            let mode = mode.into();
            let request =
                CrossSellRequest { customer_id, context_product_ids, mode, request_id, ..CrossSellRequest::default() };
            let answer = server.offers().cross_sell(request).await.expect("answers").into_inner();
            Answer::CrossSell(CrossSellResponse { replayed: false, ..answer })
        }
        "tactful.v1.OfferService/UpSell" => {
            assert!(context_product_ids.is_empty());
            let request = UpSellRequest { customer_id, mode: mode.into(), request_id, ..UpSellRequest::default() };
            let answer = server.offers().up_sell(request).await.expect("answers").into_inner();
            Answer::UpSell(UpSellResponse { replayed: false, ..answer })
        }
        "tactful.v1.RelationshipService/GetRelationshipHealth" => {
            assert!(context_product_ids.is_empty() && mode == ServingMode::Unspecified && request_id.is_empty());
            let request = GetRelationshipHealthRequest { customer_id };
            let answer = server.relationships().get_relationship_health(request).await.expect("answers");
            Answer::Health(answer.into_inner())
        }
        other => panic!("{other} is not a method that the demo prints"),
    }
}

#[tokio::test]
async fn the_printed_calls_return_the_same_answers_in_any_order() {
    let server = open_demo().await;
    let forwards: Vec<usize> = (0..CALLS.len()).collect();
    let backwards = forwards.iter().rev().copied().collect();
    let from_the_middle = forwards.iter().map(|index| (index + CALLS.len() / 2) % CALLS.len()).collect();
    let mut first: BTreeMap<usize, Answer> = BTreeMap::new();
    for order in [forwards, backwards, from_the_middle] {
        for index in order.repeat(3) {
            let answer = make(&server, &CALLS[index]).await;
            let expected = first.entry(index).or_insert_with(|| answer.clone());
            assert_eq!(*expected, answer, "{}", CALLS[index].description);
        }
    }
}

#[tokio::test]
async fn the_printed_calls_match_their_descriptions() {
    let server = open_demo().await;
    for call in CALLS {
        match make(&server, call).await {
            Answer::CrossSell(answer) if call.body.contains("cora-complaint") => {
                assert!(answer.offers.is_empty() && answer.cap.is_some(), "{answer:?}");
            }
            Answer::CrossSell(answer) => assert!(!answer.offers.is_empty(), "{}: {answer:?}", call.description),
            Answer::UpSell(answer) => assert!(!answer.offers.is_empty(), "{}: {answer:?}", call.description),
            Answer::Health(answer) => assert_eq!(answer.holds.len(), 1, "{}: {answer:?}", call.description),
        }
    }
    let reserves = CALLS.iter().filter(|call| call.body.contains("request_id")).count();
    assert_eq!(reserves, 1, "one call reserves, and it is safe to repeat");
}

#[tokio::test]
async fn the_customers_of_the_demo_get_the_expected_offers() {
    let server = open_demo().await;
    let ada = server.offers().cross_sell(preview("ada-local-line")).await.expect("answers").into_inner();
    let voice_mail = ada.offers.iter().find(|offer| offer.product_id == "voice-mail").expect("voice mail");
    assert!(voice_mail.goes_with_product_ids.contains(&"local-line".to_owned()), "{voice_mail:?}");
    assert!(voice_mail.reasons.iter().any(|reason| reason.text.contains("our Local line")), "{voice_mail:?}");

    let request = UpSellRequest { mode: ServingMode::Preview.into(), ..up_sell("tom-two-slot") };
    let tom = server.offers().up_sell(request).await.expect("answers").into_inner();
    let toaster = tom.offers.iter().find(|offer| offer.product_id == "toaster-four-slot").expect("four slots");
    assert_eq!(toaster.replaces_product_id, "toaster-two-slot");
    assert!(toaster.reasons.iter().any(|reason| reason.text.contains("4 slots instead of 2")), "{toaster:?}");

    let cora = server.offers().cross_sell(preview("cora-complaint")).await.expect("answers").into_inner();
    let cap = cora.cap.expect("the hold");
    assert_eq!((cora.offers.len(), cap.kind(), cap.hold_reason()), (0, CapKind::Hold, HoldReason::OpenComplaint));
    assert!(cora.message.contains("complaint"), "{}", cora.message);
    let until = cap.next_eligible_time.expect("until when");
    assert!(until.seconds > now(&server.clock).seconds, "{until:?}");
    assert!(until.seconds <= in_future(&server.clock, DAY * 90).seconds, "{until:?}");
}
