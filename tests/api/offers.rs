//! `OfferService`: CrossSell, UpSell and `ReleaseOffers`.

use std::time::Duration;

use tactful::domain::time::DAY;
use tactful::grpc::generated::tactful::v1::explain_decision_request::About;
use tactful::grpc::generated::tactful::v1::{
    BatchUpsertProductsRequest, CapKind, CreateHoldRequest, CrossSellRequest, CustomerEvent, EventKind, Explain,
    ExplainDecisionRequest, GetRelationshipHealthRequest, HoldReason, OfferKind, Product, PropensityBasis,
    ReleaseOffersRequest, ReleaseResult, ScoreBreakdown, ServingMode, TrainModelRequest, UpSellRequest, WhatIf,
    feature_value,
};
use tonic::Code;

use super::faults::{bad_fields, kind, refusal};
use super::harness::{ManualClock, TestServer};
use super::shop::{COMPLEMENTS, REQUEST_ID, ago, cap, in_future, now, open_shop, record, stored_customer};
use crate::support::wire_shop::{complaint, cross_sell, event, gbp, preview, product, purchase, up_sell};

fn score(factors: &ScoreBreakdown) -> f64 {
    factors.propensity * factors.value * factors.context * factors.lever - factors.attention_price
}

#[tokio::test]
async fn a_cross_sell_answer_comes_with_reasons_factors_and_caps() {
    let shop = open_shop().await;
    let request = CrossSellRequest { explain: Explain::Full.into(), ..cross_sell("ada") };
    let answer = shop.offers().cross_sell(request).await.expect("answers").into_inner();

    assert_eq!(answer.offers.iter().map(|offer| offer.rank).collect::<Vec<_>>(), [1, 2, 3]);
    for offer in &answer.offers {
        assert!(COMPLEMENTS.contains(&offer.product_id.as_str()), "{offer:?}");
        assert_eq!(offer.title, format!("The {}", offer.product_id));
        assert_eq!(offer.goes_with_product_ids, ["kettle"]);
        assert!(offer.reasons.iter().any(|reason| reason.text == "made to go with The kettle"), "{offer:?}");
        let factors = offer.score_breakdown.as_ref().expect("requested");
        assert_eq!(factors.propensity_basis(), PropensityBasis::Catalog);
        assert!(offer.score > 0.0 && (offer.score - score(factors)).abs() < 1e-12, "{offer:?}");
    }
    assert!(answer.offers.is_sorted_by(|a, b| a.score >= b.score));
    assert_eq!(cap(&answer.caps, CapKind::RelationshipHealth).used, 3);
    let health = answer.relationship_health.expect("always set");
    assert_eq!(health.components.len(), 7);
    assert!((health.components.iter().map(|component| component.weight).sum::<f64>() - 1.0).abs() < 1e-9);
    assert_eq!(answer.policy_version, "default-1");
    assert_eq!(answer.message, "3 cross-sell offers. No more are allowed for now.");
    assert!(!answer.decision_id.is_empty() && !answer.replayed);
}

#[tokio::test]
async fn explain_says_how_much_of_the_reasoning_comes_along() {
    let shop = open_shop().await;
    for (explain, has_reasons, has_factors) in [
        (Explain::None, false, false),
        (Explain::Unspecified, true, false),
        (Explain::Summary, true, false),
        (Explain::Full, true, true),
    ] {
        let request = CrossSellRequest { explain: explain.into(), ..preview("ada") };
        let answer = shop.offers().cross_sell(request).await.expect("answers").into_inner();
        let offer = answer.offers.first().expect("an offer");
        assert_eq!(!offer.reasons.is_empty(), has_reasons, "{explain:?}");
        assert_eq!(!answer.withheld.is_empty(), has_reasons, "{explain:?}");
        assert_eq!(offer.score_breakdown.is_some(), has_factors, "{explain:?}");
        let health = answer.relationship_health.expect("always set");
        assert_eq!(!health.components.is_empty(), has_factors, "{explain:?}");
    }
}

#[tokio::test]
async fn an_up_sell_response_lists_gains_and_the_price_difference() {
    let shop = open_shop().await;
    let request = UpSellRequest { explain: Explain::Full.into(), ..up_sell("ada") };
    let answer = shop.offers().up_sell(request).await.expect("answers").into_inner();

    let [offer] = answer.offers.as_slice() else { panic!("one offer: {answer:?}") };
    assert_eq!((offer.product_id.as_str(), offer.replaces_product_id.as_str()), ("big-toaster", "small-toaster"));
    assert_eq!((offer.price.clone(), offer.price_step.clone()), (Some(gbp(60)), Some(gbp(30))));
    let [gain] = offer.gains.as_slice() else { panic!("one gain: {offer:?}") };
    let number = |value: f64| Some(feature_value::Value::Number(value));
    assert_eq!(gain.feature, "slots");
    assert_eq!(gain.from.as_ref().and_then(|value| value.value.clone()), number(2.0));
    assert_eq!(gain.to.as_ref().and_then(|value| value.value.clone()), number(4.0));
    assert_eq!(offer.reasons[0].text, "4 slots instead of 2, for 30.00 GBP more");
    assert!((offer.score - score(offer.score_breakdown.as_ref().expect("requested"))).abs() < 1e-12);
    assert_eq!(cap(&answer.caps, CapKind::UpSell).used, 1);
    assert_eq!(cap(&answer.caps, CapKind::RelationshipHealth).used, 1);
}

#[tokio::test]
async fn a_preview_answers_alike_and_changes_nothing() {
    let shop = open_shop().await;
    let before = stored_customer(&shop, "ada").await;
    let request = CrossSellRequest { request_id: REQUEST_ID.into(), ..preview("ada") };
    let first = shop.offers().cross_sell(request.clone()).await.expect("answers").into_inner();
    let again = shop.offers().cross_sell(request).await.expect("answers").into_inner();
    assert_eq!(first, again);
    assert_eq!((first.decision_id.as_str(), first.replayed, first.offers.len()), ("", false, 3));

    let request = UpSellRequest { mode: ServingMode::Preview.into(), ..up_sell("ada") };
    let up_sell = shop.offers().up_sell(request).await.expect("answers").into_inner();
    assert_eq!((up_sell.decision_id.as_str(), up_sell.offers.len()), ("", 1));
    assert_eq!(stored_customer(&shop, "ada").await, before);
}

#[tokio::test]
async fn a_spent_cap_says_when_one_more_offer_becomes_possible_and_keeps_its_word() {
    let shop = open_shop().await;
    let first = shop.offers().cross_sell(cross_sell("ada")).await.expect("answers").into_inner();
    assert_eq!(first.next_eligible_time, Some(in_future(&shop.clock, DAY * 28)), "all three are made");
    let offered: Vec<String> = first.offers.iter().map(|offer| offer.product_id.clone()).collect();
    let others = CrossSellRequest { exclude_product_ids: offered, ..cross_sell("ada") };

    let spent = shop.offers().cross_sell(others.clone()).await.expect("answers").into_inner();
    assert!(spent.offers.is_empty(), "{spent:?}");
    let cap = spent.cap.expect("a cap withheld the offers");
    assert_eq!((cap.kind(), cap.limit, cap.used, cap.remaining), (CapKind::RelationshipHealth, 3, 3, 0));
    assert_eq!(cap.next_eligible_time, Some(in_future(&shop.clock, DAY * 28)));
    assert_eq!(spent.next_eligible_time, cap.next_eligible_time);
    assert_eq!(spent.message, "No offers before 12 December: all 3 offers allowed in 28 days have been made.");
    assert!(spent.withheld.iter().any(|withheld| withheld.reason == "cap_reached" && withheld.count > 0));

    shop.clock.advance(DAY * 27 + Duration::from_secs(86_399));
    let early = shop.offers().cross_sell(others.clone()).await.expect("answers").into_inner();
    assert!(early.offers.is_empty(), "{early:?}");
    shop.clock.advance(Duration::from_secs(1));
    let free = shop.offers().cross_sell(others).await.expect("answers").into_inner();
    assert!(!free.offers.is_empty(), "{free:?}");
}

/// A hold that binds for three days does not hide a window that is full for four weeks.
///
/// Broken by: the end of the binding cap in the field, in the sentence or in the explanation of a candidate.
#[tokio::test]
async fn until_when_is_about_all_caps_at_once() {
    let shop = open_shop().await;
    let first = shop.offers().cross_sell(cross_sell("ada")).await.expect("answers").into_inner();
    let offered: Vec<String> = first.offers.iter().map(|offer| offer.product_id.clone()).collect();
    let hold = CreateHoldRequest {
        customer_id: "ada".into(),
        reason: HoldReason::Bereavement.into(),
        expire_time: Some(in_future(&shop.clock, DAY * 3)),
        ..CreateHoldRequest::default()
    };
    shop.relationships().create_hold(hold).await.expect("creates");

    let until = Some(in_future(&shop.clock, DAY * 28));
    let request = CrossSellRequest { exclude_product_ids: offered, ..preview("ada") };
    let held = shop.offers().cross_sell(request.clone()).await.expect("answers").into_inner();
    let cap = held.cap.expect("the hold");
    assert_eq!((cap.kind(), cap.next_eligible_time), (CapKind::Hold, Some(in_future(&shop.clock, DAY * 3))));
    assert_eq!(held.next_eligible_time, until);
    assert_eq!(held.message, "No offers before 12 December: bereavement reported on 14 November.");
    let up_sell = shop.offers().up_sell(up_sell("ada")).await.expect("answers").into_inner();
    assert_eq!(up_sell.next_eligible_time, until, "both kinds share one cap");
    let health = GetRelationshipHealthRequest { customer_id: "ada".into() };
    let health = shop.relationships().get_relationship_health(health).await.expect("answers").into_inner();
    assert_eq!(health.next_eligible_time, until);
    assert!(health.message.ends_with("No offers before 12 December: bereavement reported on 14 November."));
    let what_if = WhatIf { kind: OfferKind::CrossSell.into(), ..WhatIf::default() };
    let about = Some(About::WhatIf(what_if));
    let explained = ExplainDecisionRequest { customer_id: "ada".into(), about };
    let explained = shop.offers().explain_decision(explained).await.expect("explains").into_inner();
    assert_eq!(explained.next_eligible_time, until);
    let capped = explained.candidates.iter().find(|candidate| candidate.rule == "on_hold").expect("a candidate");
    assert_eq!((capped.until, capped.remedy.as_str()), (until, "a request after 12 December"));

    shop.clock.advance((DAY * 28).saturating_sub(Duration::from_millis(1)));
    assert!(shop.offers().cross_sell(request.clone()).await.expect("answers").into_inner().offers.is_empty());
    shop.clock.advance(Duration::from_millis(1));
    let free = shop.offers().cross_sell(request).await.expect("answers").into_inner();
    assert!(!free.offers.is_empty(), "{free:?}");
}

#[tokio::test]
async fn an_open_complaint_withholds_every_offer_and_says_why_and_until_when() {
    let shop = open_shop().await;
    record(&shop, vec![complaint("ada-3", "ada", "case-1", ago(&shop.clock, DAY))]).await;

    let cross = shop.offers().cross_sell(cross_sell("ada")).await.expect("answers").into_inner();
    let up = shop.offers().up_sell(up_sell("ada")).await.expect("answers").into_inner();
    assert!(cross.offers.is_empty() && up.offers.is_empty(), "{cross:?} {up:?}");
    for (cap, message) in [(cross.cap, cross.message), (up.cap, up.message)] {
        let cap = cap.expect("the hold withheld the offers");
        assert_eq!((cap.kind(), cap.hold_reason()), (CapKind::Hold, HoldReason::OpenComplaint));
        assert_eq!(cap.next_eligible_time, Some(in_future(&shop.clock, DAY * 89)));
        assert_eq!(message, "No offers before 11 February 2024: complaint open since 13 November.");
    }
    assert!(cross.withheld.iter().any(|withheld| withheld.reason == "on_hold" && withheld.count == 5));

    let resolved =
        CustomerEvent { case_id: "case-1".into(), ..event("ada-4", "ada", EventKind::CaseResolved, now(&shop.clock)) };
    record(&shop, vec![resolved]).await;
    let settled = shop.offers().cross_sell(preview("ada")).await.expect("answers").into_inner();
    assert_eq!(settled.cap.and_then(|cap| cap.next_eligible_time), Some(in_future(&shop.clock, DAY * 14)));
    shop.clock.advance(DAY * 14);
    let after = shop.offers().cross_sell(preview("ada")).await.expect("answers").into_inner();
    assert!(!after.offers.is_empty(), "{after:?}");
}

#[tokio::test]
async fn an_unknown_customer_is_answered_with_caution_and_no_up_sell() {
    let shop = open_shop().await;
    let basket = CrossSellRequest { context_product_ids: vec!["kettle".into()], ..preview("nobody") };
    let cross = shop.offers().cross_sell(basket).await.expect("answers").into_inner();
    assert!(!cross.offers.is_empty() && cap(&cross.caps, CapKind::RelationshipHealth).limit == 3, "{cross:?}");
    let up = shop.offers().up_sell(up_sell("nobody")).await.expect("answers").into_inner();
    assert!(up.offers.is_empty() && up.cap.is_none(), "{up:?}");
    assert_eq!(up.message, "No offers: no upgrade of the customer's products is worth offering now.");
}

#[tokio::test]
async fn offers_that_were_not_shown_are_released_and_free_the_cap() {
    let shop = open_shop().await;
    let answer = shop.offers().cross_sell(cross_sell("ada")).await.expect("answers").into_inner();
    let offer_ids: Vec<String> = answer.offers.iter().map(|offer| offer.offer_id.clone()).collect();
    let release = |offer_ids: &[String]| ReleaseOffersRequest {
        customer_id: "ada".into(),
        decision_id: answer.decision_id.clone(),
        offer_ids: offer_ids.to_vec(),
    };

    let one = shop.offers().release_offers(release(&offer_ids[..1])).await.expect("releases").into_inner();
    assert_eq!((one.offers.len(), one.offers[0].result()), (1, ReleaseResult::Released));
    assert_eq!(cap(&one.caps, CapKind::RelationshipHealth).used, 2);
    assert_eq!(one.lease.map(|lease| lease.seconds), Some(15 * 60));

    // Without ids all offers of the decision are released, including one that was released before.
    for _ in 0..2 {
        let all = shop.offers().release_offers(release(&[])).await.expect("releases").into_inner();
        assert!(all.offers.iter().all(|offer| offer.result() == ReleaseResult::Released), "{all:?}");
        assert_eq!((all.offers.len(), cap(&all.caps, CapKind::RelationshipHealth).used), (3, 0));
    }
}

#[tokio::test]
async fn after_the_lease_an_offer_is_not_taken_back() {
    let shop = open_shop().await;
    let answer = shop.offers().cross_sell(cross_sell("ada")).await.expect("answers").into_inner();
    shop.clock.advance(Duration::from_secs(15 * 60));
    let request =
        ReleaseOffersRequest { customer_id: "ada".into(), decision_id: answer.decision_id, offer_ids: Vec::new() };
    let late = shop.offers().release_offers(request).await.expect("answers").into_inner();
    assert!(late.offers.iter().all(|offer| offer.result() == ReleaseResult::LeaseEnded), "{late:?}");
    assert_eq!(cap(&late.caps, CapKind::RelationshipHealth).used, 3);
}

#[tokio::test]
async fn a_release_of_an_unserved_offer_is_rejected_and_changes_nothing() {
    let shop = open_shop().await;
    let answer = shop.offers().cross_sell(cross_sell("ada")).await.expect("answers").into_inner();
    let served = answer.offers[0].offer_id.clone();
    let before = stored_customer(&shop, "ada").await;
    let release = |customer: &str, decision: &str, offer_ids: &[&str]| ReleaseOffersRequest {
        customer_id: customer.into(),
        decision_id: decision.into(),
        offer_ids: offer_ids.iter().map(ToString::to_string).collect(),
    };

    for (customer, decision) in [("ada", REQUEST_ID), ("bob", answer.decision_id.as_str())] {
        let status = refusal(shop.offers().release_offers(release(customer, decision, &[])).await);
        assert_eq!(kind(&status), (Code::NotFound, "DECISION_NOT_FOUND".into()));
    }
    let request = release("ada", &answer.decision_id, &["product/kettle", &served, "product/no-such"]);
    let status = refusal(shop.offers().release_offers(request).await);
    assert_eq!(bad_fields(&status), ["offer_ids[0]", "offer_ids[2]"]);
    assert_eq!(stored_customer(&shop, "ada").await, before);
}

#[tokio::test]
async fn subscriptions_count_however_long_ago_they_started() {
    let shop = open_shop().await;
    let at = |days: u32| ago(&shop.clock, DAY * days);
    let start = event("1", "eve", EventKind::SubscriptionStart, at(3000));
    let start = CustomerEvent { product_id: "kettle".into(), ..start };
    record(&shop, vec![start, purchase("2", "bob", "kettle", at(1095))]).await;
    let eve = shop.offers().cross_sell(preview("eve")).await.expect("answers").into_inner();
    assert_eq!(eve.offers.len(), 3);
    let bob = shop.offers().cross_sell(preview("bob")).await.expect("answers").into_inner();
    assert!(bob.offers.is_empty(), "old purchases say little about current interests");
}

#[tokio::test]
async fn a_currency_limits_the_offers() {
    let shop = open_shop().await;
    for (currency, offers) in [("GBP", 1), ("EUR", 0)] {
        let request = UpSellRequest { currency_code: currency.into(), ..up_sell("ada") };
        let answer = shop.offers().up_sell(request).await.expect("answers").into_inner();
        assert_eq!(answer.offers.len(), offers, "{currency}: {}", answer.message);
    }
}

/// A decision is part of the customer's bounded value until it is copied; one that would not fit is made shorter.
#[tokio::test]
async fn a_slate_with_the_longest_titles_is_shortened_not_refused() {
    let directory = tempfile::tempdir().expect("a directory");
    let shop = TestServer::on_disk(directory.path(), ManualClock::new()).await;
    let name = |number: usize| format!("{number:0>128}");
    let products = (0..12).map(|number| Product { title: format!("{number:0>512}"), ..product(&name(number)) });
    let request = BatchUpsertProductsRequest { products: products.collect() };
    shop.catalog().batch_upsert_products(request).await.expect("upserts");
    // All customers buy everything; Eve bought often, but not the last nine products.
    let at = ago(&shop.clock, DAY * 20);
    let purchases = (0..40).flat_map(|customer| (0..12).map(move |number| (customer, number)));
    let sold =
        purchases.map(|(customer, number)| purchase(&format!("{number}"), &format!("c{customer}"), &name(number), at));
    record(&shop, sold.collect()).await;
    let eves = (0..80_u32)
        .map(|day| purchase(&format!("{day}"), "eve", &name(day as usize % 3), ago(&shop.clock, DAY * (90 - day))));
    record(&shop, eves.collect()).await;
    shop.models().train_model(TrainModelRequest {}).await.expect("trains");

    let whole = CrossSellRequest { max_offers: 20, ..preview("eve") };
    let whole = shop.offers().cross_sell(whole).await.expect("answers").into_inner();
    assert_eq!(whole.offers.len(), 8, "{}", whole.message);
    let reserve = CrossSellRequest { max_offers: 20, ..cross_sell("eve") };
    let answer = shop.offers().cross_sell(reserve).await.expect("answers").into_inner();
    assert!((2..8).contains(&answer.offers.len()), "{} offers", answer.offers.len());
    shop.stop().await;
}
