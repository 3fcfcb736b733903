//! Promise 1 for volume caps, which hold across customers.

use std::collections::BTreeMap;
use std::sync::Arc;

use tactful::domain::explicit_offer::ExplicitOffer;
use tactful::domain::ids::OfferId;
use tactful::domain::offer::OfferKind;
use tactful::domain::policy::{BandCaps, Policy};
use tactful::domain::time::DAY;
use tactful::policy_document::format_policy::format_policy;
use tactful::store::contract::store::Store;
use tactful::use_cases::app::App;
use tactful::use_cases::explicit_offers::upsert_offers;
use tactful::use_cases::offer_request::{OfferRequest, ServingMode};
use tactful::use_cases::policies::{activate_policy, create_policy};
use tactful::use_cases::release_offers::release_offers;
use tactful::use_cases::serve_offers::serve_offers;

use super::shop;
use crate::support::shop::{channel, customer_id, offer_id, product_id};

pub const CAP: u64 = 25;
const OFFERS: usize = 4;

pub fn sale(number: usize) -> ExplicitOffer {
    ExplicitOffer {
        lever: 1.0,
        volume_cap: Some(CAP),
        ..ExplicitOffer::new(offer_id(format!("sale{number}")), product_id(format!("c{number}")))
    }
}

async fn open_sale(store: Arc<dyn Store>, clock: Arc<shop::ManualClock>) -> Arc<App> {
    let app = shop::open_shop(store, clock).await;
    let sales: Vec<ExplicitOffer> = (0..OFFERS).map(sale).collect();
    upsert_offers(&app, &sales).await.expect("stored");
    app
}

/// Returns a request whose only candidate is one of the products on sale.
pub fn sale_request(customer_name: &str, number: usize) -> OfferRequest {
    let product = number % OFFERS;
    let others = (0..shop::COMPLEMENTS).filter(|&other| other != product);
    let ladders = (0..shop::LADDERS).flat_map(|it| [format!("l{it}"), format!("u{it}")]);
    let excluded = others.map(|other| format!("c{other}")).chain(ladders).map(product_id).collect();
    OfferRequest { excluded, offers_max: 1, ..shop::request(customer_name, OfferKind::CrossSell) }
}

async fn used_volume(app: &App, number: usize) -> u64 {
    app.store().used_volume(&sale(number).id).await.expect("reads")
}

/// Broken by: a volume that is read but not reserved before the commit.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn sixty_four_callers_never_exceed_a_volume_in_memory() {
    sixty_four_callers(shop::memory()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn sixty_four_callers_never_exceed_a_volume_on_disk() {
    let directory = tempfile::tempdir().expect("a directory");
    sixty_four_callers(shop::open_sled(directory.path()).await).await;
}

/// Each caller serves customers of its own, releases every fourth decision and retries some.
async fn sixty_four_callers(store: Arc<dyn Store>) {
    let app = open_sale(store, shop::ManualClock::new()).await;
    let callers = (0..64_usize).map(|caller| {
        let app = Arc::clone(&app);
        tokio::spawn(async move {
            let mut unreleased = Vec::new();
            for step in 0..12_usize {
                let customer_name = format!("customer-{caller}-{step}");
                let key = ((caller as u128) << 64) + step as u128;
                let request = shop::with_key(sale_request(&customer_name, caller + step), key);
                let served = serve_offers(&app, &request, None).await.expect("served");
                let [offer] = served.decision.slate.as_slice() else { panic!("one product: {served:?}") };
                if step % 5 == 0 {
                    let again = serve_offers(&app, &request, None).await.expect("a replay");
                    assert_eq!(again.decision, served.decision);
                }
                if step % 4 == 0 {
                    let customer = customer_id(&customer_name);
                    release_offers(&app, &customer, served.decision.id, &[]).await.expect("released");
                } else {
                    unreleased.push(offer.id.clone());
                }
            }
            unreleased
        })
    });
    let mut granted: BTreeMap<OfferId, u64> = BTreeMap::new();
    for caller in callers.collect::<Vec<_>>() {
        for offer in caller.await.expect("no panic") {
            *granted.entry(offer).or_default() += 1;
        }
    }
    for number in 0..OFFERS {
        let unreleased = granted.get(&sale(number).id).copied().unwrap_or(0);
        let used = used_volume(&app, number).await;
        assert_eq!(used, unreleased, "the used volume is what was granted and not released");
        assert!(unreleased <= CAP, "{unreleased} of sale{number}");
        // Units may have been released after the last request.
        assert!(unreleased > CAP / 2, "{unreleased} of sale{number}");
    }
    assert!(
        granted.keys().any(OfferId::is_implicit),
        "the product at its own price takes the place of an exhausted offer"
    );
}

/// Broken by: a preview that ignores the volume; a preview that reserves some of it.
#[tokio::test]
async fn a_preview_reserves_no_volume_and_respects_an_exhausted_one() {
    let app = open_sale(shop::memory(), shop::ManualClock::new()).await;
    let preview = |customer_name: &str| OfferRequest { mode: ServingMode::Preview, ..sale_request(customer_name, 0) };
    let before = app.store().digest().await.expect("reads");
    let first = serve_offers(&app, &preview("ann"), None).await.expect("served");
    assert_eq!(first.decision.slate[0].id, sale(0).id);
    assert_eq!(app.store().digest().await.expect("reads"), before);
    for number in 0..CAP {
        serve_offers(&app, &sale_request(&format!("c{number}"), 0), None).await.expect("served");
    }
    let served = serve_offers(&app, &preview("ann"), None).await.expect("served");
    assert!(served.decision.slate[0].id.is_implicit());
    // An open offer holds its unit already.
    let repeated = serve_offers(&app, &sale_request("c3", 0), None).await.expect("served");
    assert_eq!((&repeated.decision.slate[0].id, repeated.decision.slate[0].is_already_granted), (&sale(0).id, true));
    assert_eq!(used_volume(&app, 0).await, CAP);
}

/// Broken by: a volume that counts grants of capped offers only, but subtracts every release.
#[tokio::test]
async fn a_cap_that_is_set_later_counts_earlier_grants() {
    let app = open_sale(shop::memory(), shop::ManualClock::new()).await;
    let set_cap = async |volume_cap| {
        upsert_offers(&app, &[ExplicitOffer { volume_cap, ..sale(0) }]).await.expect("stored");
    };
    set_cap(None).await;
    let early = serve_offers(&app, &sale_request("ann", 0), None).await.expect("served");
    set_cap(Some(2)).await;
    let offered = async |customer_name: &str| {
        let served = serve_offers(&app, &sale_request(customer_name, 0), None).await.expect("served");
        served.decision.slate[0].id.clone()
    };
    assert_eq!(offered("bob").await, sale(0).id);
    assert!(offered("cy").await.is_implicit(), "two are granted");
    release_offers(&app, &customer_id("ann"), early.decision.id, &[]).await.expect("released");
    assert_eq!(used_volume(&app, 0).await, 1);
    assert_eq!(offered("dan").await, sale(0).id);
    assert!(offered("eve").await.is_implicit(), "two are granted");
}

/// The unit of a grant stays taken whatever policy is in force, and returns once at most.
///
/// Broken by: a grant that a policy with shorter windows removes although it is open under its own terms: serving it again
/// makes a grant without a unit, whose release returns the unit of the first.
#[tokio::test]
async fn a_change_of_policy_never_returns_a_unit() {
    let clock = shop::ManualClock::new();
    let app = open_sale(shop::memory(), Arc::clone(&clock)).await;
    upsert_offers(&app, &[ExplicitOffer { volume_cap: Some(1), ..sale(0) }]).await.expect("stored");
    let first = serve_offers(&app, &sale_request("ann", 0), None).await.expect("served");
    assert_eq!(first.decision.slate[0].id, sale(0).id);

    let mut policy = Policy { version: "short".to_owned(), ..Policy::default() };
    let contact = &mut policy.contact;
    (contact.cap_window, contact.visit_window) = (DAY, DAY);
    contact.channels.terms_mut(&channel("email")).expect("a default channel").lease = None;
    contact.caps = [BandCaps { offers: 1, up_sell: 0 }; 5];
    let text = format_policy(&policy);
    create_policy(&app, policy, text).await.expect("stored");
    activate_policy(&app, "short").await.expect("activated");
    clock.advance(DAY * 2);
    let second = serve_offers(&app, &sale_request("ann", 0), None).await.expect("served");
    let [offer] = second.decision.slate.as_slice() else { panic!("one product: {second:?}") };
    assert!(offer.id.is_implicit() && !offer.is_already_granted, "the only unit is taken: {offer:?}");
    release_offers(&app, &customer_id("ann"), second.decision.id, &[]).await.expect("released");
    release_offers(&app, &customer_id("ann"), first.decision.id, &[]).await.expect("its lease has ended");
    assert_eq!(used_volume(&app, 0).await, 1);
    let other = serve_offers(&app, &sale_request("bob", 0), None).await.expect("served");
    assert!(other.decision.slate[0].id.is_implicit(), "a volume of 1 is granted once");
}
