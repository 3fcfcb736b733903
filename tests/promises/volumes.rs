//! Promise 1 for the caps that hold over all customers.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tactful::domain::explicit_offer::{ExplicitOffer, Volume, VolumeToken};
use tactful::domain::ids::{DecisionId, OfferId};
use tactful::domain::offer::OfferKind;
use tactful::store::contract::change::{Appended, CommitOutcome};
use tactful::store::contract::store::Store;
use tactful::use_cases::app::App;
use tactful::use_cases::explicit_offers::upsert_offers;
use tactful::use_cases::offer_request::{OfferRequest, ServingMode};
use tactful::use_cases::release_offers::release_offers;
use tactful::use_cases::serve_offers::serve_offers;
use tactful::use_cases::volumes::recover_expired_reservations;

use super::shop;

const CAP: u64 = 25;
const OFFERS: usize = 4;
const LEASE: Duration = Duration::from_secs(60);

fn sale(number: usize) -> ExplicitOffer {
    ExplicitOffer {
        lever: 1.0,
        volume_cap: Some(CAP),
        ..ExplicitOffer::new(
            OfferId::new(format!("sale{number}")).expect("a valid id"),
            shop::product(&format!("c{number}")),
        )
    }
}

async fn open_sale(store: Arc<dyn Store>, clock: Arc<shop::HandClock>) -> Arc<App> {
    let app = shop::open_shop(store, clock).await;
    let sales: Vec<ExplicitOffer> = (0..OFFERS).map(sale).collect();
    upsert_offers(&app, &sales).await.expect("kept");
    app
}

/// Asks for one of the products on sale.
fn asking(whose: &str, number: usize) -> OfferRequest {
    let product = number % OFFERS;
    let others = (0..shop::COMPLEMENTS).filter(|&other| other != product);
    let rungs = (0..shop::LADDERS).flat_map(|it| [format!("l{it}"), format!("u{it}")]);
    let excluded = others.map(|other| format!("c{other}")).chain(rungs).map(|it| shop::product(&it)).collect();
    OfferRequest { excluded, offers_max: 1, ..shop::request(whose, OfferKind::CrossSell) }
}

async fn volume(app: &App, number: usize) -> Volume {
    app.store().load_volume(&sale(number).id).await.expect("reads")
}

/// Broken by: the volume looked at and not taken before the commit.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn sixty_four_callers_never_exceed_a_volume_in_memory() {
    sixty_four_callers(shop::memory()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn sixty_four_callers_never_exceed_a_volume_on_disk() {
    let directory = tempfile::tempdir().expect("a directory");
    sixty_four_callers(shop::open_sled(directory.path()).await).await;
}

/// Each asks about customers of its own, gives every fourth answer back and retries some.
async fn sixty_four_callers(store: Arc<dyn Store>) {
    let app = open_sale(store, shop::HandClock::new()).await;
    let callers = (0..64_usize).map(|caller| {
        let app = Arc::clone(&app);
        tokio::spawn(async move {
            let mut kept = Vec::new();
            for step in 0..12_usize {
                let whose = format!("customer-{caller}-{step}");
                let key = ((caller as u128) << 64) + step as u128;
                let request = shop::with_key(asking(&whose, caller + step), key);
                let served = serve_offers(&app, &request, None).await.expect("an answer");
                let [offer] = served.decision.slate.as_slice() else { panic!("one product: {served:?}") };
                if step % 5 == 0 {
                    let again = serve_offers(&app, &request, None).await.expect("a replay");
                    assert_eq!(again.decision, served.decision);
                }
                if step % 4 == 0 {
                    let customer = shop::customer(&whose);
                    release_offers(&app, &customer, served.decision.id, &[]).await.expect("released");
                } else {
                    kept.push(offer.id.clone());
                }
            }
            kept
        })
    });
    let mut granted: BTreeMap<OfferId, u64> = BTreeMap::new();
    for caller in callers.collect::<Vec<_>>() {
        for offer in caller.await.expect("no panic") {
            *granted.entry(offer).or_default() += 1;
        }
    }
    for number in 0..OFFERS {
        let kept = granted.get(&sale(number).id).copied().unwrap_or(0);
        let volume = volume(&app, number).await;
        assert_eq!((volume.settled, volume.pending.len()), (kept, 0), "what is gone is what was granted and kept");
        assert!(kept <= CAP, "{kept} of sale{number}");
        // Released ones may have come back after everybody had asked.
        assert!(kept > CAP / 2, "{kept} of sale{number}");
    }
    assert!(granted.keys().any(OfferId::is_implicit), "what is gone leaves the product at its own price");
}

/// Broken by: a preview that does not look at the volume; a preview that takes some.
#[tokio::test]
async fn a_preview_takes_nothing_and_sees_what_is_gone() {
    let app = open_sale(shop::memory(), shop::HandClock::new()).await;
    let preview = |whose: &str| OfferRequest { mode: ServingMode::Preview, ..asking(whose, 0) };
    let before = app.store().digest().await.expect("reads");
    let first = serve_offers(&app, &preview("ann"), None).await.expect("an answer");
    assert_eq!(first.decision.slate[0].id, sale(0).id);
    assert_eq!(app.store().digest().await.expect("reads"), before);
    for number in 0..CAP {
        serve_offers(&app, &asking(&format!("c{number}"), 0), None).await.expect("an answer");
    }
    let served = serve_offers(&app, &preview("ann"), None).await.expect("an answer");
    assert!(served.decision.slate[0].id.is_implicit());
    // An open offer took its part already.
    let repeated = serve_offers(&app, &asking("c3", 0), None).await.expect("an answer");
    assert_eq!((&repeated.decision.slate[0].id, repeated.decision.slate[0].is_repeat), (&sale(0).id, true));
    assert_eq!(volume(&app, 0).await.settled, CAP);
}

/// A decision that was stopped after it took a token can not be committed once the token was given back. Broken by: the
/// token given back without a fence, or before it.
#[tokio::test]
async fn a_token_given_back_fences_the_decision_that_took_it() {
    let clock = shop::HandClock::new();
    let app = open_sale(shop::memory(), Arc::clone(&clock)).await;
    serve_offers(&app, &asking("ann", 1), None).await.expect("an answer");
    let ann = shop::customer("ann");
    let read = app.store().load_customer(&ann).await.expect("reads").expect("stored");
    let stopped = VolumeToken {
        offer: sale(0).id,
        decision: DecisionId::from_bits(99),
        customer: ann.clone(),
        lease_ends_at: app.now() + LEASE,
    };
    assert!(app.store().take_volume(&stopped, CAP).await.expect("takes"));
    assert_eq!(recover_expired_reservations(&app).await.expect("settles"), 0, "its lease has not ended");
    clock.advance(LEASE);
    assert_eq!(recover_expired_reservations(&app).await.expect("settles"), 1);
    assert_eq!(volume(&app, 0).await, Volume::default());
    let late = app.store().commit_customer(read.version, &read.value, &Appended::default()).await;
    assert_eq!(late.expect("the store works"), CommitOutcome::Conflict);
    // It gives up what it took, which somebody has given up for it: the grants of others stay counted.
    serve_offers(&app, &asking("bob", 0), None).await.expect("an answer");
    app.store().abandon_volume(&stopped.offer, stopped.decision).await.expect("the store works");
    assert_eq!(volume(&app, 0).await.settled, 1);
}

/// Broken by: only grants of capped offers counted, and releases of any given back.
#[tokio::test]
async fn a_cap_that_is_set_later_counts_what_was_granted_before() {
    let app = open_sale(shop::memory(), shop::HandClock::new()).await;
    let set_cap = async |volume_cap| {
        upsert_offers(&app, &[ExplicitOffer { volume_cap, ..sale(0) }]).await.expect("kept");
    };
    set_cap(None).await;
    let early = serve_offers(&app, &asking("ann", 0), None).await.expect("an answer");
    set_cap(Some(2)).await;
    let offered = async |whose: &str| {
        let served = serve_offers(&app, &asking(whose, 0), None).await.expect("an answer");
        served.decision.slate[0].id.clone()
    };
    assert_eq!(offered("bob").await, sale(0).id);
    assert!(offered("cy").await.is_implicit(), "two are granted");
    release_offers(&app, &shop::customer("ann"), early.decision.id, &[]).await.expect("released");
    assert_eq!(volume(&app, 0).await.settled, 1);
    assert_eq!(offered("dan").await, sale(0).id);
    assert!(offered("eve").await.is_implicit(), "two are granted");
}
