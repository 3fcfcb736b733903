//! Customers of whom nothing but decisions is known are deleted some time after the last one.

use std::collections::BTreeMap;
use std::sync::Arc;

use tactful::domain::offer::OfferKind;
use tactful::domain::time::DAY;
use tactful::policy_document::parse_policy::parse_policy;
use tactful::use_cases::customers::{ProfileUpdate, get_customer, upsert_customers};
use tactful::use_cases::expire_idle_customers::expire_idle_customers;
use tactful::use_cases::policies::{activate_policy, create_policy};
use tactful::use_cases::record_events::record_events;
use tactful::use_cases::retention::Retention;
use tactful::use_cases::serve_offers::serve_offers;

use super::shop;
use crate::support::shop::{customer_id, purchase};

/// Broken by: deleting by the age of the last decision alone.
#[tokio::test]
async fn visitors_who_asked_once_are_deleted_and_all_others_stay() {
    let directory = tempfile::tempdir().expect("a directory");
    for store in [shop::memory(), shop::open_sled(directory.path()).await] {
        let clock = shop::ManualClock::new();
        shop::open_shop(Arc::clone(&store), Arc::clone(&clock)).await;
        let retention = Retention { idle_customers: Some(DAY * 200), ..Retention::default() };
        let app = shop::open_app(store, Arc::clone(&clock)).await.with_retention(retention);
        for name in ["visitor", "buyer", "regular", "named", "member"] {
            if name == "member" {
                // From here on every new customer is assigned to an arm of an experiment.
                let text = "version = \"experiment\"\n[control_group]\nshare = 0.5\n";
                create_policy(&app, parse_policy(text).expect("a policy"), text.to_owned()).await.expect("stored");
                activate_policy(&app, "experiment").await.expect("activated");
            }
            serve_offers(&app, &shop::request(name, OfferKind::CrossSell), None).await.expect("served");
        }
        record_events(&app, &[purchase("e1", "buyer", "c1", app.now())]).await.expect("recorded");
        let attributes = BTreeMap::from([("segment".to_owned(), "new".to_owned())]);
        let named = ProfileUpdate { customer: customer_id("named"), attributes, consents: None };
        upsert_customers(&app, &[named]).await.expect("stored");
        clock.advance(DAY * 150);
        serve_offers(&app, &shop::request("regular", OfferKind::CrossSell), None).await.expect("served");
        clock.advance(DAY * 50);
        assert_eq!(expire_idle_customers(&app).await.expect("swept"), 0, "no longer than the retention period");
        clock.advance(DAY / 24);
        assert_eq!(expire_idle_customers(&app).await.expect("swept"), 1);
        for name in ["visitor", "buyer", "regular", "named", "member"] {
            let stored = get_customer(&app, &customer_id(name)).await.expect("reads");
            assert_eq!(stored.is_some(), name != "visitor", "{name}");
        }
        let again = serve_offers(&app, &shop::request("visitor", OfferKind::CrossSell), None).await.expect("served");
        let first = shop::request("newcomer", OfferKind::CrossSell);
        let first = serve_offers(&app, &first, None).await.expect("served");
        assert_eq!(again.decision.slate.len(), first.decision.slate.len(), "a stranger again");
    }
}
