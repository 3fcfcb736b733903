//! The calls that `serve --demo` prints answer as they say, in any order and as often as one likes.

use serde_json::Value;
use tactful::cli::demo::{CALLS, DemoCall, load};
use tactful::grpc::generated::tactful::v1 as wire;

use crate::harness::{Api, HandClock, cross_sell, up_sell, written};

/// What an answer shows: the products offered, the first reason, and the sentence.
#[derive(Debug, Clone, PartialEq)]
struct Shown {
    products: Vec<String>,
    reasons: Vec<String>,
    message: String,
}

async fn start() -> Api {
    let api = Api::start_with(written(), HandClock::new()).await;
    load(&api.tactful).await.unwrap_or_else(|failure| panic!("{failure:?}"));
    api
}

async fn make(api: &Api, call: &DemoCall) -> Shown {
    let body: Value = serde_json::from_str(call.body).expect("JSON");
    let text = |name: &str| body[name].as_str().unwrap_or_default().to_owned();
    let customer = text("customer_id");
    let mode = wire::ServingMode::from_str_name(&text("mode")).unwrap_or_default().into();
    match call.method {
        "OfferService/CrossSell" => {
            let context = body["context_product_ids"].as_array().into_iter().flatten();
            let context_product_ids = context.map(|id| id.as_str().expect("a text").to_owned()).collect();
            let request = wire::CrossSellRequest {
                mode,
                context_product_ids,
                request_id: text("request_id"),
                ..cross_sell(&customer)
            };
            let answer = api.offers().cross_sell(request).await.expect("an answer").into_inner();
            let reasons = answer.offers.iter().flat_map(|offer| &offer.reasons);
            Shown {
                reasons: reasons.map(|reason| reason.text.clone()).collect(),
                products: answer.offers.into_iter().map(|offer| offer.product_id).collect(),
                message: answer.message,
            }
        }
        "OfferService/UpSell" => {
            let request = wire::UpSellRequest { mode, request_id: text("request_id"), ..up_sell(&customer) };
            let answer = api.offers().up_sell(request).await.expect("an answer").into_inner();
            let reasons = answer.offers.iter().flat_map(|offer| &offer.reasons);
            Shown {
                reasons: reasons.map(|reason| reason.text.clone()).collect(),
                products: answer.offers.into_iter().map(|offer| offer.product_id).collect(),
                message: answer.message,
            }
        }
        "RelationshipService/GetRelationshipHealth" => {
            let request = wire::GetRelationshipHealthRequest { customer_id: customer };
            let answer = api.relationships().get_relationship_health(request).await.expect("an answer").into_inner();
            Shown { products: Vec::new(), reasons: Vec::new(), message: answer.message }
        }
        other => panic!("the demo prints {other}, which this test does not know"),
    }
}

fn call_for(customer: &str) -> &'static DemoCall {
    let named = format!("\"{customer}\"");
    CALLS.iter().find(|call| call.body.contains(&named)).expect("the demo has such a call")
}

#[tokio::test]
async fn the_demo_shows_what_it_says() {
    let api = start().await;
    let ada = make(&api, call_for("ada-local-line")).await;
    assert!(ada.products.contains(&"voice-mail".to_owned()), "{ada:?}");

    let tom = make(&api, call_for("tom-two-slot")).await;
    assert_eq!(tom.products[0], "toaster-four-slot");
    assert!(tom.reasons[0].contains("4 slots instead of 2") && tom.reasons[0].contains("30.00 USD more"), "{tom:?}");

    let cora = make(&api, call_for("cora-complaint")).await;
    assert_eq!(cora.products, Vec::<String>::new());
    assert!(cora.message.starts_with("No offers before ") && cora.message.contains("complaint open since"), "{cora:?}");
}

#[tokio::test]
async fn the_printed_calls_answer_alike_in_any_order() {
    let api = start().await;
    let mut first: Vec<Option<Shown>> = vec![None; CALLS.len()];
    let forwards: Vec<usize> = (0..CALLS.len()).collect();
    let backwards: Vec<usize> = forwards.iter().rev().copied().collect();
    let mixed: Vec<usize> = forwards.iter().map(|place| (place * 5 + 2) % CALLS.len()).collect();
    for order in [&backwards, &mixed, &forwards] {
        for &place in order {
            let shown = make(&api, &CALLS[place]).await;
            match &first[place] {
                None => first[place] = Some(shown),
                Some(before) => assert_eq!(before, &shown, "{}", CALLS[place].body),
            }
        }
    }
}
