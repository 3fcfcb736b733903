//! `CustomerService`: profiles and consents.

use std::collections::BTreeMap;
use std::time::Duration;

use tactful::domain::time::DAY;
use tactful::grpc::generated::tactful::v1::{
    BatchUpsertCustomersRequest, CapKind, Consents, CrossSellRequest, CustomerProfile, EntryResult, GetCustomerRequest,
    HoldReason, OfferKind,
};
use tonic::Code;

use super::faults::{bad_fields, bad_ids, entry_refusal, is_ok, kind, refusal};
use super::harness::TestServer;
use super::shop::{ago, in_future, open_shop, stored_customer};
use crate::support::wire_shop::{cross_sell, preview};

async fn upsert(server: &TestServer, customers: Vec<CustomerProfile>) -> Vec<EntryResult> {
    let request = BatchUpsertCustomersRequest { customers };
    server.customers().batch_upsert_customers(request).await.expect("answers").into_inner().results
}

fn profile(customer: &str) -> CustomerProfile {
    CustomerProfile {
        customer_id: customer.into(),
        attributes: BTreeMap::from([("segment".into(), "household".into())]),
        consents: Some(Consents::default()),
        ..CustomerProfile::default()
    }
}

#[tokio::test]
async fn a_profile_comes_back_as_it_was_set_and_again_is_a_duplicate() {
    let server = TestServer::in_memory().await;
    let ada = CustomerProfile {
        consents: Some(Consents { opted_out_channels: vec!["email".into()], ..Consents::default() }),
        ..profile("ada")
    };
    for duplicate in [false, true] {
        let results = upsert(&server, vec![ada.clone()]).await;
        assert!(is_ok(&results[0]) && results[0].duplicate == duplicate);
    }
    assert_eq!(stored_customer(&server, "ada").await.and_then(|stored| stored.customer), Some(ada.clone()));

    // Fields that are not set stay as they are.
    let nothing = CustomerProfile { attributes: BTreeMap::new(), consents: None, ..ada.clone() };
    assert!(upsert(&server, vec![nothing]).await[0].duplicate);
    assert_eq!(stored_customer(&server, "ada").await.and_then(|stored| stored.customer), Some(ada));
}

#[tokio::test]
async fn a_customer_is_returned_with_holdings_and_granted_offers() {
    let shop = open_shop().await;
    let answer = shop.offers().cross_sell(cross_sell("ada")).await.expect("answers").into_inner();
    let ada = stored_customer(&shop, "ada").await.expect("known");
    let holdings: Vec<(&str, u64)> =
        ada.holdings.iter().map(|holding| (holding.product_id.as_str(), holding.quantity)).collect();
    assert_eq!(holdings, [("kettle", 1), ("small-toaster", 1)]);
    assert_eq!(ada.holdings[0].first_time, Some(ago(&shop.clock, DAY * 30)));
    assert_eq!(ada.granted_offers.len(), answer.offers.len());
    let grant = &ada.granted_offers[0];
    assert_eq!((grant.offer_id.as_str(), grant.kind()), (answer.offers[0].offer_id.as_str(), OfferKind::CrossSell));
    assert_eq!(grant.lease_end_time, Some(in_future(&shop.clock, Duration::from_secs(15 * 60))));
    assert_eq!(grant.open_until_time, Some(in_future(&shop.clock, DAY * 7)));
}

#[tokio::test]
async fn consents_withhold_offers_and_say_so() {
    let shop = open_shop().await;
    let consenting = |consents| CustomerProfile { consents: Some(consents), ..profile("ada") };
    for (consents, reason) in [
        (Consents { opted_out: true, ..Consents::default() }, HoldReason::OptOut),
        (Consents { objects_to_profiling: true, ..Consents::default() }, HoldReason::ProfilingObjection),
    ] {
        upsert(&shop, vec![consenting(consents)]).await;
        let answer = shop.offers().cross_sell(cross_sell("ada")).await.expect("answers").into_inner();
        let cap = answer.cap.expect("the consent");
        assert_eq!((answer.offers.len(), cap.kind(), cap.hold_reason()), (0, CapKind::Hold, reason));
    }

    upsert(&shop, vec![consenting(Consents { opted_out_channels: vec!["email".into()], ..Consents::default() })]).await;
    for (channel, offers, cap_kind) in [("email", 0, Some(CapKind::ChannelOptOut)), ("web", 3, None)] {
        let request = CrossSellRequest { channel: channel.into(), ..preview("ada") };
        let answer = shop.offers().cross_sell(request).await.expect("answers").into_inner();
        assert_eq!(answer.offers.len(), offers, "{channel}");
        assert_eq!(answer.cap.map(|cap| cap.kind()).filter(|_| offers == 0), cap_kind, "{channel}");
    }
}

#[tokio::test]
async fn each_invalid_profile_reports_its_faults_and_only_the_valid_one_is_stored() {
    let server = TestServer::in_memory().await;
    let many = |count: usize| (0..count).map(|number| format!("n{number}")).collect::<Vec<_>>();
    let attributes = |entries: Vec<(String, String)>| entries.into_iter().collect::<BTreeMap<_, _>>();
    let channels = |opted_out_channels| Some(Consents { opted_out_channels, ..Consents::default() });
    let bad = || profile("bad");
    let cases = [
        (
            CustomerProfile {
                customer_id: " ".into(),
                attributes: attributes(vec![(String::new(), "x".into()), ("a".into(), "v".repeat(129))]),
                consents: channels(vec!["web".into(), String::new()]),
                ..CustomerProfile::default()
            },
            vec!["customer_id", "attributes", "attributes[a]", "consents.opted_out_channels[1]"],
        ),
        (
            CustomerProfile {
                attributes: attributes(many(49).into_iter().map(|name| (name, String::new())).collect()),
                consents: channels(many(17)),
                ..bad()
            },
            vec!["attributes", "consents.opted_out_channels"],
        ),
    ];
    let mut customers: Vec<CustomerProfile> = cases.iter().map(|(customer, _)| customer.clone()).collect();
    customers.push(CustomerProfile {
        attributes: attributes(many(48).into_iter().map(|name| (name, "v".repeat(128))).collect()),
        consents: channels(many(16)),
        ..profile("good")
    });
    let results = upsert(&server, customers).await;
    for (place, ((customer, fields), result)) in cases.iter().zip(&results).enumerate() {
        let expected: Vec<String> = fields.iter().map(|field| format!("customers[{place}].{field}")).collect();
        assert_eq!(bad_fields(&entry_refusal(result)), expected, "{customer:?}");
    }
    assert!(is_ok(&results[2]));
    assert!(stored_customer(&server, "good").await.is_some() && stored_customer(&server, "bad").await.is_none());
}

#[tokio::test]
async fn an_unknown_customer_is_not_found_and_no_id_is_refused() {
    let server = TestServer::in_memory().await;
    let get = async |id: &str| {
        let request = GetCustomerRequest { customer_id: id.into() };
        refusal(server.customers().get_customer(request).await)
    };
    assert_eq!(kind(&get("nobody").await), (Code::NotFound, "CUSTOMER_NOT_FOUND".into()));
    for id in bad_ids() {
        assert_eq!(bad_fields(&get(&id).await), ["customer_id"]);
    }
}
