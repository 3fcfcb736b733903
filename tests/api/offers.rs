//! `OfferService`.

use std::time::Duration;

use tactful::grpc::generated::tactful::v1 as wire;
use tonic::Code;
use wire::{Explain, HoldReason, ReleaseResult, ServingMode};

use crate::harness::{
    Api, DAY, HandClock, NOW, at, bad_fields, bought, cross_sell, event, on_disk, product, reason, up_sell,
};

const KEY: &str = "6f1c1f0e-6a0b-4d6c-9d6e-0d2b8a1f4c11";

fn products(answer: &wire::CrossSellResponse) -> Vec<&str> {
    answer.offers.iter().map(|offer| offer.product_id.as_str()).collect()
}

#[tokio::test]
async fn the_owner_of_a_line_is_offered_what_goes_with_it_and_told_why() {
    let api = Api::start().await;
    api.sell_to_ann_and_bob().await;
    let request = wire::CrossSellRequest { explain: Explain::Full.into(), ..cross_sell("ann") };
    let answer = api.offers().cross_sell(request).await.expect("an answer").into_inner();
    assert_eq!(answer.offers.len(), 3);
    for (offer, rank) in answer.offers.iter().zip(1..) {
        assert_eq!((offer.rank, offer.goes_with_product_ids.as_slice()), (rank, &["line".to_owned()][..]));
        assert_eq!(offer.reasons[0].code, "COMPATIBLE");
        let breakdown = offer.score_breakdown.as_ref().expect("asked for");
        let score =
            breakdown.propensity * breakdown.value * breakdown.context * breakdown.lever - breakdown.attention_price;
        assert!((score - offer.score).abs() < 1e-9, "every factor of the score is told");
    }
    assert!(answer.offers.is_sorted_by(|a, b| a.score >= b.score));
    assert!(!answer.decision_id.is_empty());
    assert_eq!(answer.decision_time, at(NOW));
    let health = answer.relationship_health.expect("told");
    assert_eq!(health.components.len(), 7);
    let cap = answer.caps.iter().find(|cap| cap.kind() == wire::CapKind::RelationshipHealth).expect("told");
    assert_eq!((cap.limit, cap.used, cap.remaining), (3, 3, 0), "a new customer's cap is spent");
}

#[tokio::test]
async fn the_owner_of_a_small_toaster_is_offered_the_larger() {
    let api = Api::start().await;
    api.sell_to_ann_and_bob().await;
    let answer = api.offers().up_sell(up_sell("bob")).await.expect("an answer").into_inner();
    let offer = &answer.offers[0];
    assert_eq!((offer.product_id.as_str(), offer.replaces_product_id.as_str()), ("four-slot", "two-slot"));
    assert_eq!(offer.price_step.as_ref().map(|step| step.units), Some(30));
    assert_eq!(offer.gains[0].feature, "slots");
    assert_eq!(offer.reasons[0].text, "4 slots instead of 2, for 30.00 USD more");
    let stranger = api.offers().up_sell(up_sell("stranger")).await.expect("an answer").into_inner();
    assert!(stranger.offers.is_empty(), "who owns nothing can upgrade nothing");
    assert!(stranger.message.starts_with("No offers"));
}

#[tokio::test]
async fn what_is_subscribed_to_counts_however_long_ago_it_began() {
    let api = Api::start().await;
    let started = wire::CustomerEvent {
        product_id: "line".to_owned(),
        ..event("s", "ann", wire::EventKind::SubscriptionStart, 3_000)
    };
    api.record(vec![started, bought("b", "bob", "line", 3_000)]).await;
    let ann = api.offers().cross_sell(cross_sell("ann")).await.expect("an answer").into_inner();
    assert_eq!(products(&ann).len(), 3);
    let bob = api.offers().cross_sell(cross_sell("bob")).await.expect("an answer").into_inner();
    assert!(bob.offers.is_empty(), "what was bought long ago says little of what is wanted now");
}

#[tokio::test]
async fn a_preview_changes_nothing_and_a_reserve_counts() {
    let api = Api::start().await;
    api.sell_to_ann_and_bob().await;
    let preview = wire::CrossSellRequest { mode: ServingMode::Preview.into(), ..cross_sell("ann") };
    let before = api.tactful.store().digest().await.expect("a digest");
    let first = api.offers().cross_sell(preview.clone()).await.expect("an answer").into_inner();
    let second = api.offers().cross_sell(preview).await.expect("an answer").into_inner();
    assert_eq!(first, second);
    assert!(first.decision_id.is_empty());
    assert_eq!(api.tactful.store().digest().await.expect("a digest"), before);

    let reserved = api.offers().cross_sell(cross_sell("ann")).await.expect("an answer").into_inner();
    assert_eq!(products(&reserved), products(&first));
    let again = api.offers().cross_sell(cross_sell("ann")).await.expect("an answer").into_inner();
    assert_eq!(products(&again), products(&first), "open offers are served again");
    assert!(again.offers.iter().all(|offer| offer.repeated_offer));
    assert_ne!(again.decision_id, reserved.decision_id);

    let others = wire::CrossSellRequest {
        exclude_product_ids: products(&first).into_iter().map(str::to_owned).collect(),
        ..cross_sell("ann")
    };
    let capped = api.offers().cross_sell(others).await.expect("an answer").into_inner();
    assert!(capped.offers.is_empty());
    let cap = capped.cap.expect("a cap bound");
    assert_eq!((cap.kind(), cap.remaining), (wire::CapKind::RelationshipHealth, 0));
    assert_eq!(cap.next_eligible_time, at(NOW + 28 * DAY));
    assert_eq!(capped.message, "No offers before 12 December 2023: 3 of 3 offers in 28 days are made.");
}

#[tokio::test]
async fn a_basket_is_asked_about_alone() {
    let api = Api::start().await;
    let request = wire::CrossSellRequest { context_product_ids: vec!["line".to_owned()], ..cross_sell("new") };
    let answer = api.offers().cross_sell(request).await.expect("an answer").into_inner();
    assert_eq!(answer.offers.len(), 3, "what is in the basket satisfies requirements");
    let without = api.offers().cross_sell(cross_sell("other")).await.expect("an answer").into_inner();
    assert!(!products(&without).contains(&"voice-mail"), "it needs a line");
}

#[tokio::test]
async fn an_open_complaint_withholds_everything_and_says_since_when_and_until_when() {
    let api = Api::start().await;
    api.sell_to_ann_and_bob().await;
    api.record(vec![event("c", "ann", wire::EventKind::Complaint, 4)]).await;
    let answer = api.offers().cross_sell(cross_sell("ann")).await.expect("an answer").into_inner();
    assert!(answer.offers.is_empty());
    assert_eq!(answer.message, "No offers before 8 February 2024: complaint open since 10 November 2023.");
    let cap = answer.cap.expect("a cap bound");
    assert_eq!((cap.kind(), cap.hold_reason()), (wire::CapKind::Hold, HoldReason::OpenComplaint));
    assert_eq!(cap.next_eligible_time, at(NOW + 86 * DAY));
    assert!(answer.withheld.iter().any(|withheld| withheld.reason == "on_hold" && withheld.count == 5));
}

#[tokio::test]
async fn the_same_request_id_is_one_decision_and_another_request_under_it_is_refused() {
    let api = Api::start().await;
    api.sell_to_ann_and_bob().await;
    let request = wire::CrossSellRequest { request_id: KEY.to_owned(), max_offers: 2, ..cross_sell("ann") };
    let first = api.offers().cross_sell(request.clone()).await.expect("an answer").into_inner();
    assert!(!first.replayed);
    for _ in 0..4 {
        let again = api.offers().cross_sell(request.clone()).await.expect("an answer").into_inner();
        assert!(again.replayed);
        assert_eq!(wire::CrossSellResponse { replayed: false, ..again }, first);
    }
    let other = wire::CrossSellRequest { max_offers: 1, ..request.clone() };
    let refused = api.offers().cross_sell(other).await.expect_err("another request");
    assert_eq!(bad_fields(&refused), ["request_id"]);
    assert_eq!(reason(&refused), "REQUEST_ID_REUSED");
    let up = wire::UpSellRequest { request_id: KEY.to_owned(), ..up_sell("ann") };
    assert!(!api.offers().up_sell(up).await.expect("a scope of its own").into_inner().replayed);

    api.clock.advance(Duration::from_hours(24));
    let later = api.offers().cross_sell(request).await.expect("an answer").into_inner();
    assert!(!later.replayed, "after a day the id is free");
}

#[tokio::test]
async fn a_replay_survives_a_restart() {
    let directory = tempfile::tempdir().expect("a directory");
    let clock = HandClock::new();
    let api = Api::start_with(on_disk(directory.path()), clock.clone()).await;
    api.fill().await;
    api.sell_to_ann_and_bob().await;
    let request = wire::CrossSellRequest { request_id: KEY.to_owned(), ..cross_sell("ann") };
    let first = api.offers().cross_sell(request.clone()).await.expect("an answer").into_inner();
    api.stop().await.expect("stops");

    let api = Api::start_with(on_disk(directory.path()), clock).await;
    let again = api.offers().cross_sell(request).await.expect("an answer").into_inner();
    assert!(again.replayed);
    assert_eq!(wire::CrossSellResponse { replayed: false, ..again }, first);
    api.stop().await.expect("stops");
}

#[tokio::test]
async fn what_is_given_back_in_time_can_be_offered_again() {
    let api = Api::start().await;
    api.sell_to_ann_and_bob().await;
    let request = wire::CrossSellRequest { request_id: KEY.to_owned(), ..cross_sell("ann") };
    let served = api.offers().cross_sell(request.clone()).await.expect("an answer").into_inner();
    let release = wire::ReleaseOffersRequest {
        customer_id: "ann".to_owned(),
        decision_id: served.decision_id.clone(),
        offer_ids: vec![served.offers[0].offer_id.clone()],
    };
    let released = api.offers().release_offers(release.clone()).await.expect("released").into_inner();
    assert_eq!(released.offers.len(), 1);
    assert_eq!(released.offers[0].result(), ReleaseResult::Released);
    let left =
        released.caps.iter().find(|cap| cap.kind() == wire::CapKind::RelationshipHealth).expect("told").remaining;
    assert_eq!(left, 1);
    let again = api.offers().release_offers(release.clone()).await.expect("safe to repeat").into_inner();
    assert_eq!(again.offers[0].result(), ReleaseResult::Released);
    let replayed = api.offers().cross_sell(request).await.expect("an answer").into_inner();
    assert_eq!(replayed.offers.len(), 2, "what was given back is not in the replay");

    api.clock.advance(released.lease.map(|lease| Duration::from_secs(lease.seconds.unsigned_abs())).expect("told"));
    let all = wire::ReleaseOffersRequest { offer_ids: Vec::new(), ..release };
    let late = api.offers().release_offers(all).await.expect("an answer").into_inner();
    assert!(late.offers.iter().any(|offer| offer.result() == ReleaseResult::LeaseEnded));
}

#[tokio::test]
async fn releasing_what_was_never_served_is_told_apart() {
    let api = Api::start().await;
    api.sell_to_ann_and_bob().await;
    let served = api.offers().cross_sell(cross_sell("ann")).await.expect("an answer").into_inner();
    let release = |customer: &str, decision: &str, offers: &[&str]| wire::ReleaseOffersRequest {
        customer_id: customer.to_owned(),
        decision_id: decision.to_owned(),
        offer_ids: offers.iter().map(|&offer| offer.to_owned()).collect(),
    };
    let unknown = api.offers().release_offers(release("ann", KEY, &[])).await.expect_err("no such decision");
    assert_eq!((unknown.code(), reason(&unknown).as_str()), (Code::NotFound, "DECISION_NOT_FOUND"));
    let of_another = api.offers().release_offers(release("bob", &served.decision_id, &[])).await;
    assert_eq!(of_another.expect_err("not his").code(), Code::NotFound);
    let first = served.offers[0].offer_id.as_str();
    let strange = api.offers().release_offers(release("ann", &served.decision_id, &[first, "x", "y"])).await;
    assert_eq!(bad_fields(&strange.expect_err("not served")), ["offer_ids[1]", "offer_ids[2]"]);
}

#[tokio::test]
async fn how_much_is_explained_is_the_callers_choice() {
    let api = Api::start().await;
    api.sell_to_ann_and_bob().await;
    let ask = async |explain: Explain| {
        let mode = ServingMode::Preview.into();
        let request = wire::CrossSellRequest { explain: explain.into(), mode, ..cross_sell("ann") };
        api.offers().cross_sell(request).await.expect("an answer").into_inner()
    };
    let (none, summary, full) = (ask(Explain::None).await, ask(Explain::Summary).await, ask(Explain::Full).await);
    assert!(none.offers.iter().all(|offer| offer.reasons.is_empty() && offer.score_breakdown.is_none()));
    assert!(none.withheld.is_empty());
    assert!(summary.offers.iter().all(|offer| !offer.reasons.is_empty() && offer.score_breakdown.is_none()));
    assert!(full.offers.iter().all(|offer| offer.score_breakdown.is_some()));
    assert_eq!(products(&none), products(&full));
}

/// A caller that has gone is granted nothing.
#[tokio::test]
async fn a_deadline_that_has_passed_reserves_nothing() {
    let api = Api::start().await;
    api.sell_to_ann_and_bob().await;
    let before = api.tactful.store().digest().await.expect("a digest");
    let mut request = tonic::Request::new(cross_sell("ann"));
    request.set_timeout(Duration::from_nanos(1));
    api.offers().cross_sell(request).await.expect_err("too late");
    assert_eq!(api.tactful.store().digest().await.expect("a digest"), before);
}

#[tokio::test]
async fn a_currency_limits_what_is_offered() {
    let api = Api::start().await;
    api.record(vec![bought("b", "bob", "two-slot", 5)]).await;
    let ask = async |code: &str| {
        let request = wire::UpSellRequest { currency_code: code.to_owned(), ..up_sell("bob") };
        api.offers().up_sell(request).await.expect("an answer").into_inner()
    };
    let other = ask("EUR").await;
    assert!(other.offers.is_empty());
    assert_eq!(other.withheld[0].reason, "other_currency");
    assert_eq!(ask("USD").await.offers.len(), 1);
}

/// A decision travels inside the customer's bounded value for a moment; one that would not fit is made shorter.
#[tokio::test]
async fn a_slate_with_the_longest_titles_is_shortened_not_refused() {
    let directory = tempfile::tempdir().expect("a directory");
    let api = Api::start_with(on_disk(directory.path()), HandClock::new()).await;
    let name = |number: usize| format!("{number:0>128}");
    let products = (0..12).map(|number| product(&name(number), &format!("{number:0>512}"))).collect();
    let request = wire::BatchUpsertProductsRequest { products };
    api.catalog().batch_upsert_products(request).await.expect("upserts");
    // Everybody buys all; Ann has come often and lacks the last nine.
    let all = (0..40).flat_map(|whom| (0..12).map(move |number| (whom, number)));
    let sold = all.map(|(whom, number)| bought(&format!("{number}"), &format!("customer-{whom}"), &name(number), 20));
    api.record(sold.collect()).await;
    let anns = (0..80).map(|number| bought(&format!("{number}"), "ann", &name(number % 3), 90 - number as i64));
    api.record(anns.collect()).await;
    api.models().train_model(wire::TrainModelRequest {}).await.expect("trained");
    let request = wire::CrossSellRequest { max_offers: 20, ..cross_sell("ann") };
    let answer = api.offers().cross_sell(request.clone()).await.expect("an answer").into_inner();
    let preview = wire::CrossSellRequest { mode: ServingMode::Preview.into(), ..request };
    let whole = api.offers().cross_sell(preview).await.expect("an answer").into_inner();
    assert_eq!(whole.offers.len(), 8, "{}", whole.message);
    assert!((2..8).contains(&answer.offers.len()), "{} offers", answer.offers.len());
    api.stop().await.expect("stops");
}
