//! Promise 8: a repeated request is one decision, a repeated event counts once.

use std::sync::Arc;

use tactful::domain::decision::DecisionMessage;
use tactful::domain::event::{Event, EventKind};
use tactful::domain::offer::OfferKind;
use tactful::domain::time::{DAY, Timestamp};
use tactful::use_cases::batch_entry::{EntryOutcome, EntryRejection};
use tactful::use_cases::customers::get_customer;
use tactful::use_cases::expire_history::expire_history;
use tactful::use_cases::offer_request::RetryKey;
use tactful::use_cases::record_events::record_events;
use tactful::use_cases::release_offers::release_offers;
use tactful::use_cases::retention::Retention;
use tactful::use_cases::serve_offers::{ServeError, serve_offers};

use super::shop;
use crate::support::shop::{customer_id, event, product_id, purchase};

#[tokio::test]
async fn five_attempts_are_one_decision_even_across_restarts() {
    let directory = tempfile::tempdir().expect("a directory");
    let clock = shop::ManualClock::new();
    let request = shop::with_key(shop::request("ann", OfferKind::CrossSell), 7);
    let mut responses = Vec::new();
    for _ in 0..5 {
        let app = shop::open_shop(shop::open_sled(directory.path()).await, Arc::clone(&clock)).await;
        clock.advance(DAY / 10);
        responses.push(serve_offers(&app, &request, None).await.expect("served"));
    }
    assert!(!responses[0].is_replayed && !responses[0].decision.slate.is_empty());
    for response in &responses[1..] {
        assert!(response.is_replayed);
        assert_eq!(response.decision, responses[0].decision);
    }
}

/// A second call may find the commit of the first one before it is durable.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn concurrent_attempts_are_one_decision() {
    let directory = tempfile::tempdir().expect("a directory");
    let app = shop::open_shop(shop::open_sled(directory.path()).await, shop::ManualClock::new()).await;
    for round in 0..50u128 {
        let attempts = (0..5).map(|_| {
            let app = Arc::clone(&app);
            let request = shop::with_key(shop::request(&format!("c{round}"), OfferKind::CrossSell), round);
            tokio::spawn(async move { serve_offers(&app, &request, None).await.expect("served") })
        });
        let mut decisions = Vec::new();
        for attempt in attempts.collect::<Vec<_>>() {
            decisions.push(attempt.await.expect("no panic").decision);
        }
        assert!(decisions.iter().all(|decision| *decision == decisions[0]));
    }
}

#[tokio::test]
async fn an_empty_slate_is_replayed_too() {
    let app = shop::open_shop(shop::memory(), shop::ManualClock::new()).await;
    serve_offers(&app, &shop::request("ann", OfferKind::CrossSell), None).await.expect("uses up the cap");
    let everything = shop::disjoint_request("ann", 20);
    let request = shop::with_key(everything, 1);
    let first = serve_offers(&app, &request, None).await.expect("served");
    assert!(first.decision.slate.is_empty());
    let again = serve_offers(&app, &request, None).await.expect("served");
    assert!(again.is_replayed);
    assert_eq!(again.decision, first.decision);
}

#[tokio::test]
async fn a_request_id_is_rejected_for_another_request_and_free_after_a_day() {
    let clock = shop::ManualClock::new();
    let app = shop::open_shop(shop::memory(), Arc::clone(&clock)).await;
    let request = shop::with_key(shop::request("ann", OfferKind::CrossSell), 1);
    let first = serve_offers(&app, &request, None).await.expect("served");
    let mut other = request.clone();
    other.retry_key = request.retry_key.map(|key| RetryKey { digest: key.digest + 1, ..key });
    let rejected = serve_offers(&app, &other, None).await;
    assert!(matches!(rejected, Err(ServeError::RequestIdReused)), "{rejected:?}");

    let mut up_sell = other.clone();
    up_sell.kind = OfferKind::UpSell;
    serve_offers(&app, &up_sell, None).await.expect("each method has its own request ids");

    clock.advance(DAY);
    let next_day = serve_offers(&app, &other, None).await.expect("the request id is free again");
    assert!(!next_day.is_replayed);
    assert_ne!(next_day.decision.id, first.decision.id);
}

#[tokio::test]
async fn too_many_request_ids_are_rejected_and_grant_nothing() {
    let app = shop::open_shop(shop::memory(), shop::ManualClock::new()).await;
    for number in 0..128 {
        let request = shop::with_key(shop::request("ann", OfferKind::CrossSell), number);
        serve_offers(&app, &request, None).await.expect("served");
    }
    let before = app.store().digest().await.expect("a digest");
    let one_more = shop::with_key(shop::request("ann", OfferKind::CrossSell), 128);
    let rejected = serve_offers(&app, &one_more, None).await;
    let tomorrow = app.now() + DAY;
    assert!(
        matches!(rejected, Err(ServeError::TooManyRequestIds { retry_at }) if retry_at == tomorrow),
        "{rejected:?}"
    );
    assert_eq!(app.store().digest().await.expect("a digest"), before);
}

#[tokio::test]
async fn a_released_decision_is_replayed_without_offers() {
    let app = shop::open_shop(shop::memory(), shop::ManualClock::new()).await;
    let request = shop::with_key(shop::request("ann", OfferKind::CrossSell), 1);
    let first = serve_offers(&app, &request, None).await.expect("served");
    release_offers(&app, &request.customer, first.decision.id, &[]).await.expect("released");
    let again = serve_offers(&app, &request, None).await.expect("served");
    assert!(again.is_replayed && again.decision.slate.is_empty());
    assert_eq!(again.decision.message, DecisionMessage::Released);
}

#[tokio::test]
async fn events_repeated_in_another_order_count_once() {
    let app = shop::open_shop(shop::memory(), shop::ManualClock::new()).await;
    let mut events: Vec<_> =
        (0..100).map(|number| purchase(format!("e{number}"), "ann", "c1", app.now() - DAY * number)).collect();
    let first = record_events(&app, &events).await.expect("recorded");
    assert!(first.iter().all(|recorded| *recorded == EntryOutcome::New));
    let before = app.store().digest().await.expect("a digest");
    events.reverse();
    let again = record_events(&app, &events).await.expect("recorded");
    assert!(again.iter().all(|recorded| *recorded == EntryOutcome::Duplicate));
    assert_eq!(app.store().digest().await.expect("a digest"), before);
    let view = get_customer(&app, &customer_id("ann")).await.expect("reads").expect("is stored");
    assert_eq!(view.customer.holdings.latest[&product_id("c1")].items.quantity(), 100);
}

/// Sixteen years of a customer, from the first contract on.
fn long_history(now: Timestamp) -> Vec<Event> {
    let ago = |days: u32| now - DAY * days;
    let product = || product_id("c1");
    let yearly = |year: u32| {
        let at = ago(365 * year);
        [
            event(format!("start-{year}"), "ann", at, EventKind::SubscriptionStart { product: product() }),
            event(
                format!("renewal-{year}"),
                "ann",
                at + DAY * 30,
                EventKind::SubscriptionRenewal { product: product() },
            ),
            purchase(format!("sale-{year}"), "ann", "c2", at + DAY * 60),
            event(format!("failed-{year}"), "ann", at + DAY * 61, EventKind::PaymentFailed),
            event(format!("end-{year}"), "ann", at + DAY * 300, EventKind::SubscriptionEnd { product: product() }),
        ]
    };
    (0..16).rev().flat_map(yearly).filter(|event| event.at <= now).collect()
}

/// A source exports all that it has every night, and the events pass their retention period meanwhile.
///
/// Broken by: accepting the start or renewal of a subscription at any age.
#[tokio::test]
async fn a_nightly_import_of_the_whole_history_changes_nothing() {
    let retention = Retention { events: Some(DAY * 400), ..Retention::default() };
    let directory = tempfile::tempdir().expect("a directory");
    for store in [shop::memory(), shop::open_sled(directory.path()).await] {
        let clock = shop::ManualClock::new();
        let app = shop::open_app(store, Arc::clone(&clock)).await.with_retention(retention);
        let events = long_history(app.now());
        let first = record_events(&app, &events).await.expect("recorded");
        let oldest = app.now() - DAY * 400;
        for (event, outcome) in events.iter().zip(&first) {
            let expected = if event.at < oldest {
                EntryOutcome::Rejected(EntryRejection::TooOld { oldest })
            } else {
                EntryOutcome::New
            };
            assert_eq!(*outcome, expected, "{event:?}");
        }
        let imported = get_customer(&app, &customer_id("ann")).await.expect("reads").expect("is stored");
        for _ in 0..40 {
            clock.advance(DAY * 10 + DAY / 48);
            expire_history(&app).await.expect("swept");
            let again = record_events(&app, &events).await.expect("recorded");
            assert!(again.iter().all(|outcome| *outcome != EntryOutcome::New), "{again:?}");
            let customer = get_customer(&app, &customer_id("ann")).await.expect("reads").expect("is stored");
            assert_eq!(customer, imported);
        }
        assert_eq!(app.store().counts().await.expect("counts").events, 0, "all events have expired");
    }
}

/// The ids of swept events are not known any more, so a longer retention period must not let them count again.
///
/// Broken by: judging the age of an event by the retention period alone.
#[tokio::test]
async fn events_swept_under_a_shorter_retention_period_do_not_count_again() {
    let clock = shop::ManualClock::new();
    let store = shop::memory();
    let opened = async |days: u32| {
        let retention = Retention { events: Some(DAY * days), ..Retention::default() };
        shop::open_app(Arc::clone(&store), Arc::clone(&clock)).await.with_retention(retention)
    };
    let events = {
        let app = opened(400).await;
        let events = long_history(app.now());
        record_events(&app, &events).await.expect("recorded");
        events
    };
    expire_history(&opened(30).await).await.expect("swept");
    let app = opened(400).await;
    let imported = get_customer(&app, &customer_id("ann")).await.expect("reads").expect("is stored");
    let again = record_events(&app, &events).await.expect("recorded");
    assert!(again.iter().all(|outcome| *outcome != EntryOutcome::New), "{again:?}");
    let customer = get_customer(&app, &customer_id("ann")).await.expect("reads").expect("is stored");
    assert_eq!(customer, imported);
}
