//! Promise 1: no cap is exceeded by calls that meet.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use tactful::domain::ids::{DecisionId, OfferId};
use tactful::domain::ledger::ReleaseResult;
use tactful::domain::offer::OfferKind;
use tactful::store::contract::Store;
use tactful::use_cases::keep_customers::get_customer;
use tactful::use_cases::record_events::record_events;
use tactful::use_cases::release_offers::release_offers;
use tactful::use_cases::serve_offers::{ServedOffers, serve_offers};
use tactful::use_cases::tactful::Tactful;

use super::shop;

/// The caps of a new customer, who has no level to rise from: 3 offers, 1 of them up-sell.
const OFFERS_MAX: usize = 3;
const UP_SELL_MAX: usize = 1;

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn sixty_four_calls_for_one_customer_never_exceed_a_cap_in_memory() {
    sixty_four_calls_for_one_customer(shop::memory()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn sixty_four_calls_for_one_customer_never_exceed_a_cap_on_disk() {
    let directory = tempfile::tempdir().expect("a directory");
    sixty_four_calls_for_one_customer(shop::open_sled(directory.path()).await).await;
}

/// Disjoint contexts and both RPCs: together they ask for 160 different offers where 3 are allowed. Identical calls
/// would get the same open offers and prove nothing.
async fn sixty_four_calls_for_one_customer(store: Arc<dyn Store>) {
    let tactful = shop::open_shop(store, shop::HandClock::new()).await;
    for round in 0..10 {
        let whose = format!("customer{round}");
        let calls = (0..64).map(|number| {
            let (tactful, whose) = (Arc::clone(&tactful), whose.clone());
            tokio::spawn(async move {
                let request = shop::with_key(shop::disjoint_request(&whose, number), number as u128);
                let served = serve_offers(&tactful, &request, None).await.expect("an answer");
                if number % 8 == 0 {
                    let again = serve_offers(&tactful, &request, None).await.expect("a replay");
                    assert_eq!(again.decision.id, served.decision.id);
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
        assert_eq!(granted.len(), OFFERS_MAX, "the cap is spent, and not exceeded");
        assert!(granted.iter().filter(|(kind, _)| *kind == OfferKind::UpSell).count() <= UP_SELL_MAX);
        assert_within_caps(&tactful, &whose).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_mix_with_releases_and_replays_over_a_thousand_customers_never_exceeds_a_cap() {
    let directory = tempfile::tempdir().expect("a directory");
    let tactful = shop::open_shop(shop::open_sled(directory.path()).await, shop::HandClock::new()).await;
    let workers = (0..64usize).map(|worker| {
        let tactful = Arc::clone(&tactful);
        tokio::spawn(async move {
            let mut live: Vec<(String, DecisionId, OfferId)> = Vec::new();
            for step in 0..100usize {
                let whose = format!("customer{}", (worker * 7 + step * 13) % 1000);
                let number = worker + step;
                let key = ((worker as u128) << 64) + step as u128;
                let request = shop::with_key(shop::disjoint_request(&whose, number % 64), key);
                let served = serve_offers(&tactful, &request, None).await.expect("an answer");
                match step % 3 {
                    0 => release_all(&tactful, &whose, &served).await,
                    1 => {
                        let again = serve_offers(&tactful, &request, None).await.expect("a replay");
                        assert!(again.is_replayed);
                        assert_eq!(again.decision, served.decision);
                        live.extend(offers_of(&whose, &served));
                    }
                    _ => live.extend(offers_of(&whose, &served)),
                }
            }
            live
        })
    });
    let mut granted: BTreeMap<String, BTreeMap<OfferId, usize>> = BTreeMap::new();
    for worker in workers.collect::<Vec<_>>() {
        for (whose, _, offer) in worker.await.expect("no panic") {
            *granted.entry(whose).or_default().entry(offer).or_default() += 1;
        }
    }
    assert!(granted.len() > 900, "most customers were served");
    for (whose, offers) in granted {
        assert!(offers.len() <= OFFERS_MAX, "{whose} was shown {} offers", offers.len());
        assert_within_caps(&tactful, &whose).await;
    }
}

fn offers_of(whose: &str, served: &ServedOffers) -> Vec<(String, DecisionId, OfferId)> {
    let offers = served.decision.slate.iter();
    offers.map(|offer| (whose.to_owned(), served.decision.id, offer.id.clone())).collect()
}

async fn release_all(tactful: &Tactful, whose: &str, served: &ServedOffers) {
    let released = release_offers(tactful, &shop::customer(whose), served.decision.id, &[]).await.expect("released");
    for (_, result) in released.offers {
        assert!(matches!(result, ReleaseResult::Released | ReleaseResult::StillServed));
    }
}

async fn assert_within_caps(tactful: &Tactful, whose: &str) {
    let customer = get_customer(tactful, &shop::customer(whose)).await.expect("reads").expect("is stored");
    let grants = &customer.ledger.grants;
    assert!(grants.len() <= OFFERS_MAX, "{whose} holds {} grants", grants.len());
    let up_sells = grants.iter().filter(|grant| grant.kind == OfferKind::UpSell).count();
    assert!(up_sells <= UP_SELL_MAX, "{whose} holds {up_sells} up-sell grants");
}

/// Events and decisions for one customer at once: nothing of either is lost.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn events_that_meet_are_all_counted() {
    let directory = tempfile::tempdir().expect("a directory");
    let tactful = shop::open_shop(shop::open_sled(directory.path()).await, shop::HandClock::new()).await;
    let writers = (0..32usize).map(|writer| {
        let tactful = Arc::clone(&tactful);
        tokio::spawn(async move {
            for number in 0..20 {
                let event = shop::purchase(&format!("e{writer}-{number}"), "busy", "c1", &tactful, 1);
                record_events(&tactful, &[event.clone(), event]).await.expect("recorded");
            }
        })
    });
    for writer in writers.collect::<Vec<_>>() {
        writer.await.expect("no panic");
    }
    let customer = get_customer(&tactful, &shop::customer("busy")).await.expect("reads").expect("is stored");
    assert_eq!(customer.holdings.latest[&shop::product("c1")].bought, 32 * 20);
    assert_eq!(tactful.store().counts().await.expect("counts").events, 32 * 20);
}
