//! Promises 2 and 8 across crashes between two steps of a commit. Only the store crashes; `tests/server/kill.rs` kills the server.
//!
//! Broken by: writing an event to history before it is applied. After the crash the retry found a duplicate, and the customer
//! never counted the event.

use std::sync::Arc;

use crate::shop;
use crate::support::shop::{offer_id, product_id, purchase};
use tactful::domain::explicit_offer::ExplicitOffer;
use tactful::domain::offer::OfferKind;
use tactful::domain::time::DAY;
use tactful::use_cases::batch_entry::EntryOutcome;
use tactful::use_cases::customers::get_customer;
use tactful::use_cases::explicit_offers::upsert_offers;
use tactful::use_cases::offer_request::OfferRequest;
use tactful::use_cases::record_events::record_events;
use tactful::use_cases::serve_offers::serve_offers;
use tactful::use_cases::volumes::recover_expired_reservations;

const STEPS: [&str; 5] =
    ["store::before_apply", "store::after_apply", "store::between_copies", "store::after_copy", "store::before_drop"];

#[tokio::test]
async fn a_crash_at_any_step_leaves_one_decision_and_every_event_counted_once() {
    let scenario = fail::FailScenario::setup();
    for step in STEPS {
        let directory = tempfile::tempdir().expect("a directory");
        let clock = shop::ManualClock::new();
        let request = shop::with_key(shop::request("ann", OfferKind::CrossSell), 7);
        let app = shop::open_shop(shop::open_sled(directory.path()).await, Arc::clone(&clock)).await;
        let events: Vec<_> =
            (0..10).map(|number| purchase(format!("e{number}"), "ann", "c150", app.now() - DAY * number)).collect();
        record_events(&app, &events[..3]).await.expect("recorded");

        fail::cfg(step, "return").expect("a failpoint");
        let stopped = record_events(&app, &events).await;
        assert!(stopped.is_err(), "{step} was not reached");
        fail::remove(step);
        drop(app);

        let app = shop::open_shop(shop::open_sled(directory.path()).await, Arc::clone(&clock)).await;
        let mut backwards = events.clone();
        backwards.reverse();
        let recorded = record_events(&app, &backwards).await.expect("recorded");
        assert!(recorded.iter().all(|recorded| matches!(recorded, EntryOutcome::New | EntryOutcome::Duplicate)));
        let ann = get_customer(&app, &request.customer).await.expect("reads").expect("is stored");
        assert_eq!(ann.customer.holdings.latest[&product_id("c150")].items.quantity(), 10, "after a crash at {step}");
        assert_eq!(app.store().counts().await.expect("counts").events, 10, "after a crash at {step}");

        fail::cfg(step, "return").expect("a failpoint");
        let stopped = serve_offers(&app, &request, None).await;
        fail::remove(step);
        drop(app);
        let app = shop::open_shop(shop::open_sled(directory.path()).await, Arc::clone(&clock)).await;
        let first = serve_offers(&app, &request, None).await.expect("an answer");
        let again = serve_offers(&app, &request, None).await.expect("an answer");
        assert!(again.is_replayed);
        assert_eq!(again.decision, first.decision);
        let ann = get_customer(&app, &request.customer).await.expect("reads").expect("is stored");
        assert_eq!(
            ann.customer.ledger.grants.len(),
            first.decision.slate.len(),
            "after a crash at {step}: {stopped:?}"
        );
    }
    scenario.teardown();
}

/// Broken by: a recovery that abandons the reservation of a committed decision, or settles one that was not committed.
#[tokio::test]
async fn a_crash_at_any_step_wastes_no_volume_once_it_was_recovered() {
    let scenario = fail::FailScenario::setup();
    for step in STEPS.into_iter().filter(|step| *step != "store::between_copies") {
        let directory = tempfile::tempdir().expect("a directory");
        let clock = shop::ManualClock::new();
        let app = shop::open_shop(shop::open_sled(directory.path()).await, Arc::clone(&clock)).await;
        let request = shop::with_key(OfferRequest { offers_max: 1, ..shop::request("ann", OfferKind::CrossSell) }, 7);
        let served = serve_offers(&app, &shop::request("bob", OfferKind::CrossSell), None).await.expect("an answer");
        let sale = ExplicitOffer {
            lever: 5.0,
            volume_cap: Some(3),
            ..ExplicitOffer::new(offer_id("sale"), served.decision.slate[0].product.clone())
        };
        upsert_offers(&app, std::slice::from_ref(&sale)).await.expect("stored");
        // So that a swap drops entries from the outbox.
        for number in 0..3 {
            let event = purchase(format!("e{number}"), "ann", "c150", app.now() - DAY * 5);
            record_events(&app, &[event]).await.expect("recorded");
        }

        fail::cfg(step, "return").expect("a failpoint");
        let stopped = serve_offers(&app, &request, None).await;
        fail::remove(step);
        assert!(stopped.is_err(), "{step} was not reached");
        drop(app);
        let app = shop::open_shop(shop::open_sled(directory.path()).await, Arc::clone(&clock)).await;
        let left = app.store().used_volume(&sale.id).await.expect("reads");
        assert_eq!(left, 1, "after a crash at {step}");
        assert_eq!(recover_expired_reservations(&app).await.expect("recovers"), 0, "its lease has not expired");
        clock.advance(std::time::Duration::from_secs(60));
        assert_eq!(recover_expired_reservations(&app).await.expect("settles"), 1);

        let again = serve_offers(&app, &request, None).await.expect("an answer");
        assert_eq!(again.decision.slate[0].id, sale.id);
        let used = app.store().used_volume(&sale.id).await.expect("reads");
        assert_eq!(used, 1, "after a crash at {step}");
    }
    scenario.teardown();
}
