//! Promises 2 and 8 when the process dies between two steps of a commit. What dies here is one store; kill -9 of a whole
//! server is in `tests/kill.rs`. A binary of its own: failpoints belong to the process.
//!
//! Seen to fail when an event was written to history before it was applied: after the crash the retry found a duplicate,
//! and the customer never counted it.

use std::sync::Arc;

use tactful::domain::offer::OfferKind;
use tactful::use_cases::keep_customers::get_customer;
use tactful::use_cases::record_events::record_events;
use tactful::use_cases::recorded::Recorded;
use tactful::use_cases::serve_offers::serve_offers;

#[path = "promises/shop.rs"]
#[allow(dead_code, reason = "other tests use more of it")]
mod shop;

const STEPS: [&str; 5] =
    ["store::before_apply", "store::after_apply", "store::between_copies", "store::after_copy", "store::before_drop"];

#[tokio::test]
async fn a_crash_at_any_step_leaves_one_decision_and_every_event_counted_once() {
    let scenario = fail::FailScenario::setup();
    for step in STEPS {
        let directory = tempfile::tempdir().expect("a directory");
        let clock = shop::HandClock::new();
        let request = shop::with_key(shop::request("ann", OfferKind::CrossSell), 7);
        let tactful = shop::open_shop(shop::open_sled(directory.path()).await, Arc::clone(&clock)).await;
        let events: Vec<_> =
            (0..10).map(|number| shop::purchase(&format!("e{number}"), "ann", "c150", &tactful, number)).collect();
        record_events(&tactful, &events[..3]).await.expect("recorded");

        fail::cfg(step, "return").expect("a failpoint");
        let stopped = record_events(&tactful, &events).await;
        assert!(stopped.is_err(), "{step} was not reached");
        fail::remove(step);
        drop(tactful);

        let tactful = shop::open_shop(shop::open_sled(directory.path()).await, Arc::clone(&clock)).await;
        let mut backwards = events.clone();
        backwards.reverse();
        let recorded = record_events(&tactful, &backwards).await.expect("recorded");
        assert!(recorded.iter().all(|recorded| matches!(recorded, Recorded::New | Recorded::Duplicate)));
        let ann = get_customer(&tactful, &request.customer).await.expect("reads").expect("is stored");
        assert_eq!(ann.holdings.latest[&shop::product("c150")].bought, 10, "after a crash at {step}");
        assert_eq!(tactful.store().counts().await.expect("counts").events, 10, "after a crash at {step}");

        fail::cfg(step, "return").expect("a failpoint");
        let stopped = serve_offers(&tactful, &request, None).await;
        fail::remove(step);
        drop(tactful);
        let tactful = shop::open_shop(shop::open_sled(directory.path()).await, Arc::clone(&clock)).await;
        let first = serve_offers(&tactful, &request, None).await.expect("an answer");
        let again = serve_offers(&tactful, &request, None).await.expect("an answer");
        assert!(again.is_replayed);
        assert_eq!(again.decision, first.decision);
        let ann = get_customer(&tactful, &request.customer).await.expect("reads").expect("is stored");
        assert_eq!(ann.ledger.grants.len(), first.decision.slate.len(), "after a crash at {step}: {stopped:?}");
    }
    scenario.teardown();
}
