//! Promise 6: a preview returns what a reserve call would, and changes nothing.

use tactful::domain::decision::Decision;
use tactful::domain::ids::{DecisionId, GrantId};
use tactful::domain::offer::OfferKind;
use tactful::domain::time::DAY;
use tactful::use_cases::get_relationship_health::get_relationship_health;
use tactful::use_cases::offer_request::{OfferRequest, ServingMode};
use tactful::use_cases::record_events::record_events;
use tactful::use_cases::serve_offers::serve_offers;

use super::shop;
use crate::support::shop::{customer_id, purchase};

#[tokio::test]
async fn a_preview_equals_the_decision_it_previews_and_changes_nothing() {
    let app = shop::open_shop(shop::memory(), shop::ManualClock::new()).await;
    let purchases =
        [purchase("e1", "ann", "l0", app.now() - DAY * 90), purchase("e2", "ann", "l1", app.now() - DAY * 30)];
    record_events(&app, &purchases).await.expect("recorded");
    for kind in [OfferKind::CrossSell, OfferKind::UpSell] {
        let before = app.store().digest().await.expect("a digest");
        let preview = OfferRequest { mode: ServingMode::Preview, ..shop::request("ann", kind) };
        let previewed = serve_offers(&app, &shop::with_key(preview, 1), None).await.expect("served");
        get_relationship_health(&app, &customer_id("ann")).await.expect("served");
        assert_eq!(app.store().digest().await.expect("a digest"), before, "nothing changed");

        let reserved = serve_offers(&app, &shop::request("ann", kind), None).await.expect("served");
        assert!(!reserved.decision.slate.is_empty());
        let without_id = |mut decision: Decision| {
            let id = DecisionId::from_bits(0);
            for offer in &mut decision.slate {
                offer.grant = GrantId::of(id, &offer.id);
            }
            Decision { id, ..decision }
        };
        assert_eq!(without_id(previewed.decision), without_id(reserved.decision));
    }
}
