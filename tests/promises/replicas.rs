//! The promises with three replicas over one database: each call goes to any of them.
//!
//! Each replica has its own store, caches and turns. Broken by: an update of a customer that does not compare versions, or a
//! replay that is not found by the replica that did not make the decision.

use std::collections::BTreeSet;
use std::sync::Arc;

use tactful::domain::offer::OfferKind;
use tactful::domain::time::DAY;
use tactful::store::contract::store::Store;
use tactful::store::postgres::settings::PostgresSettings;
use tactful::store::postgres::store::PostgresStore;
use tactful::use_cases::app::App;
use tactful::use_cases::batch_entry::EntryOutcome;
use tactful::use_cases::customers::get_customer;
use tactful::use_cases::explicit_offers::upsert_offers;
use tactful::use_cases::record_events::record_events;
use tactful::use_cases::serve_offers::serve_offers;

use super::shop;
use super::volumes::{CAP, sale, sale_request};
use crate::support::postgres::new_store;
use crate::support::shop::{customer_id, product_id, purchase};

const REPLICAS: usize = 3;
/// Caps of a new customer: 3 offers.
const OFFERS_MAX: usize = 3;

async fn open(settings: &PostgresSettings) -> Arc<dyn Store> {
    Arc::new(PostgresStore::open(settings.clone()).await.expect("opens"))
}

/// Opens the shop with an offer of limited volume, then the replicas that share it.
async fn replicas() -> Vec<Arc<App>> {
    let settings = new_store().await;
    let clock = shop::ManualClock::new();
    let first = shop::open_shop(open(&settings).await, Arc::clone(&clock)).await;
    upsert_offers(&first, &[sale(0)]).await.expect("stored");
    let mut replicas = vec![first];
    for _ in 1..REPLICAS {
        replicas.push(Arc::new(shop::open_app(open(&settings).await, Arc::clone(&clock)).await));
    }
    replicas
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn calls_for_one_customer_never_exceed_a_cap() {
    let replicas = replicas().await;
    for round in 0..5 {
        let customer_name = format!("customer{round}");
        let calls = (0..64).map(|number| {
            let (one, other) = (&replicas[number % REPLICAS], &replicas[(number + 1) % REPLICAS]);
            let (one, other, customer_name) = (Arc::clone(one), Arc::clone(other), customer_name.clone());
            tokio::spawn(async move {
                let request = shop::with_key(shop::disjoint_request(&customer_name, number), number as u128);
                let served = serve_offers(&one, &request, None).await.expect("served");
                if number % 8 == 0 {
                    let again = serve_offers(&other, &request, None).await.expect("a replay");
                    assert!(again.is_replayed);
                    assert_eq!(again.decision, served.decision);
                }
                served
            })
        });
        let mut granted = BTreeSet::new();
        for call in calls.collect::<Vec<_>>() {
            for offer in call.await.expect("no panic").decision.slate {
                granted.insert((offer.kind, offer.id));
            }
        }
        assert_eq!(granted.len(), OFFERS_MAX, "the cap is used up, and not exceeded");
        let view = get_customer(&replicas[0], &customer_id(&customer_name)).await.expect("reads").expect("is stored");
        assert_eq!(view.customer.ledger.grants.len(), OFFERS_MAX);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn attempts_at_several_replicas_are_one_decision() {
    let replicas = replicas().await;
    for round in 0..20_u128 {
        let attempts = replicas.iter().map(|replica| {
            let replica = Arc::clone(replica);
            let request = shop::with_key(shop::request(&format!("c{round}"), OfferKind::CrossSell), round);
            tokio::spawn(async move { serve_offers(&replica, &request, None).await.expect("served") })
        });
        let mut decisions = Vec::new();
        for attempt in attempts.collect::<Vec<_>>() {
            decisions.push(attempt.await.expect("no panic").decision);
        }
        assert!(decisions.iter().all(|decision| *decision == decisions[0]));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn callers_of_several_replicas_never_exceed_a_volume() {
    let replicas = replicas().await;
    let callers = (0..3 * CAP).map(|number| {
        let replica = Arc::clone(&replicas[usize::try_from(number).expect("few") % REPLICAS]);
        tokio::spawn(async move {
            let request = sale_request(&format!("customer{number}"), 0);
            serve_offers(&replica, &request, None).await.expect("served").decision
        })
    });
    let mut granted = 0;
    for caller in callers.collect::<Vec<_>>() {
        let decision = caller.await.expect("no panic");
        granted += decision.slate.iter().filter(|offer| offer.id == sale(0).id).count() as u64;
    }
    let used = replicas[0].store().used_volume(&sale(0).id).await.expect("reads");
    assert_eq!((granted, used), (CAP, CAP), "the volume is used up, and not exceeded");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn events_sent_to_several_replicas_count_once() {
    let replicas = replicas().await;
    let writers = replicas.iter().map(|replica| {
        let replica = Arc::clone(replica);
        tokio::spawn(async move {
            let mut new = 0;
            for number in 0..20 {
                let event = purchase(format!("e{number}"), "busy", "c1", replica.now() - DAY);
                let outcomes = record_events(&replica, &[event]).await.expect("recorded");
                new += outcomes.iter().filter(|outcome| **outcome == EntryOutcome::New).count();
            }
            new
        })
    });
    let mut new = 0;
    for writer in writers.collect::<Vec<_>>() {
        new += writer.await.expect("no panic");
    }
    let view = get_customer(&replicas[0], &customer_id("busy")).await.expect("reads").expect("is stored");
    assert_eq!((new, view.customer.holdings.latest[&product_id("c1")].items.quantity()), (20, 20));
}
