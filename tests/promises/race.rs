//! Promise 1: concurrent calls never exceed a cap.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use tactful::domain::ids::{DecisionId, OfferId, ProductId};
use tactful::domain::ledger::ReleaseResult;
use tactful::domain::offer::OfferKind;
use tactful::domain::policy::{BandCaps, NeverAfter, Policy, ProductFamily};
use tactful::domain::time::DAY;
use tactful::policy_document::format_policy::format_policy;
use tactful::store::contract::store::Store;
use tactful::use_cases::app::App;
use tactful::use_cases::customers::get_customer;
use tactful::use_cases::offer_request::OfferRequest;
use tactful::use_cases::policies::{activate_policy, create_policy};
use tactful::use_cases::record_events::record_events;
use tactful::use_cases::release_offers::release_offers;
use tactful::use_cases::serve_offers::{ServedOffers, serve_offers};

use super::shop;
use crate::support::shop::{channel, customer_id, product_id, purchase};

/// Caps of a new customer: 3 offers, 1 of them up-sell.
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

/// Calls with disjoint contexts and of both kinds: together they request 160 different offers where 3 are allowed.
/// Identical calls would get the same open offers and prove nothing.
async fn sixty_four_calls_for_one_customer(store: Arc<dyn Store>) {
    let app = shop::open_shop(store, shop::ManualClock::new()).await;
    for round in 0..10 {
        let customer_name = format!("customer{round}");
        let calls = (0..64).map(|number| {
            let (app, customer_name) = (Arc::clone(&app), customer_name.clone());
            tokio::spawn(async move {
                let request = shop::with_key(shop::disjoint_request(&customer_name, number), number as u128);
                let served = serve_offers(&app, &request, None).await.expect("served");
                if number % 8 == 0 {
                    let again = serve_offers(&app, &request, None).await.expect("a replay");
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
        assert_eq!(granted.len(), OFFERS_MAX, "the cap is used up, and not exceeded");
        assert!(granted.iter().filter(|(kind, _)| *kind == OfferKind::UpSell).count() <= UP_SELL_MAX);
        assert_within_caps(&app, &customer_name).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_mix_with_releases_and_replays_over_a_thousand_customers_never_exceeds_a_cap() {
    let directory = tempfile::tempdir().expect("a directory");
    let app = shop::open_shop(shop::open_sled(directory.path()).await, shop::ManualClock::new()).await;
    let workers = (0..64usize).map(|worker| {
        let app = Arc::clone(&app);
        tokio::spawn(async move {
            let mut live: Vec<(String, DecisionId, OfferId)> = Vec::new();
            for step in 0..100usize {
                let customer_name = format!("customer{}", (worker * 7 + step * 13) % 1000);
                let number = worker + step;
                let key = ((worker as u128) << 64) + step as u128;
                let request = shop::with_key(shop::disjoint_request(&customer_name, number % 64), key);
                let served = serve_offers(&app, &request, None).await.expect("served");
                match step % 3 {
                    0 => release_all(&app, &customer_name, &served).await,
                    1 => {
                        let again = serve_offers(&app, &request, None).await.expect("a replay");
                        assert!(again.is_replayed);
                        assert_eq!(again.decision, served.decision);
                        live.extend(offers_of(&customer_name, &served));
                    }
                    _ => live.extend(offers_of(&customer_name, &served)),
                }
            }
            live
        })
    });
    let mut granted: BTreeMap<String, BTreeMap<OfferId, usize>> = BTreeMap::new();
    for worker in workers.collect::<Vec<_>>() {
        for (customer_name, _, offer) in worker.await.expect("no panic") {
            *granted.entry(customer_name).or_default().entry(offer).or_default() += 1;
        }
    }
    assert!(granted.len() > 900, "most customers were served");
    for (customer_name, offers) in granted {
        assert!(offers.len() <= OFFERS_MAX, "{customer_name} was shown {} offers", offers.len());
        assert_within_caps(&app, &customer_name).await;
    }
}

fn offers_of(customer_name: &str, served: &ServedOffers) -> Vec<(String, DecisionId, OfferId)> {
    let offers = served.decision.slate.iter();
    offers.map(|offer| (customer_name.to_owned(), served.decision.id, offer.id.clone())).collect()
}

async fn release_all(app: &App, customer_name: &str, served: &ServedOffers) {
    let released = release_offers(app, &customer_id(customer_name), served.decision.id, &[]).await.expect("released");
    for (_, result) in released.offers {
        assert!(matches!(result, ReleaseResult::Released | ReleaseResult::StillServed));
    }
}

async fn assert_within_caps(app: &App, customer_name: &str) {
    let view = get_customer(app, &customer_id(customer_name)).await.expect("reads").expect("is stored");
    let grants = &view.customer.ledger.grants;
    assert!(grants.len() <= OFFERS_MAX, "{customer_name} holds {} grants", grants.len());
    let up_sells = grants.iter().filter(|grant| grant.kind == OfferKind::UpSell).count();
    assert!(up_sells <= UP_SELL_MAX, "{customer_name} holds {up_sells} up-sell grants");
}

/// Concurrent batches for one customer: no event is lost or counted twice.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn concurrent_events_are_all_counted() {
    let directory = tempfile::tempdir().expect("a directory");
    let app = shop::open_shop(shop::open_sled(directory.path()).await, shop::ManualClock::new()).await;
    let writers = (0..32usize).map(|writer| {
        let app = Arc::clone(&app);
        tokio::spawn(async move {
            for number in 0..20 {
                let event = purchase(format!("e{writer}-{number}"), "busy", "c1", app.now() - DAY);
                record_events(&app, &[event.clone(), event]).await.expect("recorded");
            }
        })
    });
    for writer in writers.collect::<Vec<_>>() {
        writer.await.expect("no panic");
    }
    let view = get_customer(&app, &customer_id("busy")).await.expect("reads").expect("is stored");
    assert_eq!(view.customer.holdings.latest[&product_id("c1")].items.quantity(), 32 * 20);
    assert_eq!(app.store().counts().await.expect("counts").events, 32 * 20);
}

/// The rules of the contact policy hold as caps do: they are checked against the version that the commit replaces.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn sixty_four_calls_for_one_customer_break_no_rule() {
    let directory = tempfile::tempdir().expect("a directory");
    let app = shop::open_shop(shop::open_sled(directory.path()).await, shop::ManualClock::new()).await;
    let complement = |number: usize| product_id(format!("c{number}"));
    let mut policy = Policy { version: "rules".to_owned(), ..Policy::default() };
    policy.contact.caps = [BandCaps { offers: 20, up_sell: 5 }; 5];
    // Each call requests three products, whose rules exclude products of the next calls.
    policy.contact.never_together = (0..60).map(|number| (complement(number), complement(number + 3))).collect();
    policy.contact.never_after = (0..60)
        .map(|number| NeverAfter { first: complement(number), then: complement(number + 6), within: DAY })
        .collect();
    policy.contact.families = vec![ProductFamily {
        name: "the first hundred".to_owned(),
        category: Vec::new(),
        products: (0..100).map(complement).collect(),
        per_slate: 2,
        per_window: 5,
    }];
    policy.contact.channels.terms_mut(&channel("email")).expect("a default channel").cap = Some(2);
    let text = format_policy(&policy);
    create_policy(&app, policy.clone(), text).await.expect("stored");
    activate_policy(&app, "rules").await.expect("activates");

    for round in 0..10 {
        let customer_name = format!("customer{round}");
        let calls = (0..64).map(|number| {
            let (app, customer_name) = (Arc::clone(&app), customer_name.clone());
            tokio::spawn(async move {
                let request = OfferRequest {
                    channel: (number % 2 == 0).then(|| channel("email")),
                    ..shop::disjoint_request(&customer_name, number)
                };
                (number % 2 == 0, serve_offers(&app, &request, None).await.expect("served").decision)
            })
        });
        let mut granted: BTreeSet<ProductId> = BTreeSet::new();
        let mut by_email = BTreeSet::new();
        for call in calls.collect::<Vec<_>>() {
            let (is_by_email, decision) = call.await.expect("no panic");
            for offer in decision.slate {
                if is_by_email {
                    by_email.insert(offer.product.clone());
                }
                granted.insert(offer.product);
            }
        }
        assert!(!granted.is_empty() && granted.len() <= 20, "{granted:?}");
        assert!(by_email.len() <= 2, "{by_email:?}");
        let contact = &policy.contact;
        assert!(granted.iter().filter(|product| contact.families[0].products.contains(product)).count() <= 5);
        for (a, b) in &contact.never_together {
            assert!(!(granted.contains(a) && granted.contains(b)), "{a} and {b}: {granted:?}");
        }
        // All grants are within seconds, so the second product of a rule may only have been granted before the first.
        let view = get_customer(&app, &customer_id(&customer_name)).await.expect("reads").expect("known");
        let ledger = &view.customer.ledger;
        for rule in &contact.never_after {
            let granted_at = |product: &ProductId| ledger.grants.iter().position(|grant| grant.product == *product);
            if let (Some(first), Some(then)) = (granted_at(&rule.first), granted_at(&rule.then)) {
                assert!(then < first, "{rule:?}");
            }
        }
    }
}
