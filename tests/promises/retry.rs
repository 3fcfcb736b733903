//! Promise 8: the same request is one decision, the same event counts once.

use std::sync::Arc;

use tactful::domain::offer::OfferKind;
use tactful::domain::time::DAY;
use tactful::use_cases::batch_entry::EntryOutcome;
use tactful::use_cases::customers::get_customer;
use tactful::use_cases::offer_request::RetryKey;
use tactful::use_cases::record_events::record_events;
use tactful::use_cases::release_offers::release_offers;
use tactful::use_cases::serve_offers::{ServeError, serve_offers};

use super::shop;

#[tokio::test]
async fn five_tries_are_one_decision_also_across_a_restart() {
    let directory = tempfile::tempdir().expect("a directory");
    let clock = shop::HandClock::new();
    let request = shop::with_key(shop::request("ann", OfferKind::CrossSell), 7);
    let mut answers = Vec::new();
    for _ in 0..5 {
        let app = shop::open_shop(shop::open_sled(directory.path()).await, Arc::clone(&clock)).await;
        clock.advance(DAY / 10);
        answers.push(serve_offers(&app, &request, None).await.expect("an answer"));
    }
    assert!(!answers[0].is_replayed && !answers[0].decision.slate.is_empty());
    for answer in &answers[1..] {
        assert!(answer.is_replayed);
        assert_eq!(answer.decision, answers[0].decision);
    }
}

/// The second call meets the first one's commit, durable or not.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn tries_that_meet_are_one_decision() {
    let directory = tempfile::tempdir().expect("a directory");
    let app = shop::open_shop(shop::open_sled(directory.path()).await, shop::HandClock::new()).await;
    for round in 0..50u128 {
        let tries = (0..5).map(|_| {
            let app = Arc::clone(&app);
            let request = shop::with_key(shop::request(&format!("c{round}"), OfferKind::CrossSell), round);
            tokio::spawn(async move { serve_offers(&app, &request, None).await.expect("an answer") })
        });
        let mut decisions = Vec::new();
        for tried in tries.collect::<Vec<_>>() {
            decisions.push(tried.await.expect("no panic").decision);
        }
        assert!(decisions.iter().all(|decision| *decision == decisions[0]));
    }
}

#[tokio::test]
async fn an_empty_answer_is_replayed_too() {
    let app = shop::open_shop(shop::memory(), shop::HandClock::new()).await;
    serve_offers(&app, &shop::request("ann", OfferKind::CrossSell), None).await.expect("spends the cap");
    let everything = shop::disjoint_request("ann", 20);
    let request = shop::with_key(everything, 1);
    let first = serve_offers(&app, &request, None).await.expect("an answer");
    assert!(first.decision.slate.is_empty());
    let again = serve_offers(&app, &request, None).await.expect("an answer");
    assert!(again.is_replayed);
    assert_eq!(again.decision, first.decision);
}

#[tokio::test]
async fn a_key_is_refused_for_another_request_and_free_after_a_day() {
    let clock = shop::HandClock::new();
    let app = shop::open_shop(shop::memory(), Arc::clone(&clock)).await;
    let request = shop::with_key(shop::request("ann", OfferKind::CrossSell), 1);
    let first = serve_offers(&app, &request, None).await.expect("an answer");
    let mut other = request.clone();
    other.retry_key = request.retry_key.map(|key| RetryKey { digest: key.digest + 1, ..key });
    let refused = serve_offers(&app, &other, None).await;
    assert!(matches!(refused, Err(ServeError::RequestIdReused)), "{refused:?}");

    let mut up_sell = other.clone();
    up_sell.kind = OfferKind::UpSell;
    serve_offers(&app, &up_sell, None).await.expect("each method has its own keys");

    clock.advance(DAY);
    let next_day = serve_offers(&app, &other, None).await.expect("the key is free again");
    assert!(!next_day.is_replayed);
    assert_ne!(next_day.decision.id, first.decision.id);
}

#[tokio::test]
async fn too_many_keys_are_refused_and_grant_nothing() {
    let app = shop::open_shop(shop::memory(), shop::HandClock::new()).await;
    for number in 0..128 {
        let request = shop::with_key(shop::request("ann", OfferKind::CrossSell), number);
        serve_offers(&app, &request, None).await.expect("an answer");
    }
    let before = app.store().digest().await.expect("a digest");
    let one_more = shop::with_key(shop::request("ann", OfferKind::CrossSell), 128);
    let refused = serve_offers(&app, &one_more, None).await;
    let tomorrow = app.now() + DAY;
    assert!(matches!(refused, Err(ServeError::TooManyRequestIds { retry_at }) if retry_at == tomorrow), "{refused:?}");
    assert_eq!(app.store().digest().await.expect("a digest"), before);
}

#[tokio::test]
async fn a_released_decision_is_replayed_without_offers() {
    let app = shop::open_shop(shop::memory(), shop::HandClock::new()).await;
    let request = shop::with_key(shop::request("ann", OfferKind::CrossSell), 1);
    let first = serve_offers(&app, &request, None).await.expect("an answer");
    release_offers(&app, &request.customer, first.decision.id, &[]).await.expect("released");
    let again = serve_offers(&app, &request, None).await.expect("an answer");
    assert!(again.is_replayed && again.decision.slate.is_empty());
    assert_eq!(again.decision.message, "No offers: this decision was released.");
}

#[tokio::test]
async fn the_same_events_twice_in_another_order_count_once() {
    let app = shop::open_shop(shop::memory(), shop::HandClock::new()).await;
    let mut events: Vec<_> =
        (0..100).map(|number| shop::purchase(&format!("e{number}"), "ann", "c1", &app, number)).collect();
    let first = record_events(&app, &events).await.expect("recorded");
    assert!(first.iter().all(|recorded| *recorded == EntryOutcome::New));
    let before = app.store().digest().await.expect("a digest");
    events.reverse();
    let again = record_events(&app, &events).await.expect("recorded");
    assert!(again.iter().all(|recorded| *recorded == EntryOutcome::Duplicate));
    assert_eq!(app.store().digest().await.expect("a digest"), before);
    let customer = get_customer(&app, &shop::customer("ann")).await.expect("reads").expect("is stored");
    assert_eq!(customer.holdings.latest[&shop::product("c1")].bought, 100);
}
