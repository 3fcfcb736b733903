//! `CustomerService.MergeCustomers` and `UnmergeCustomers`.

use tactful::domain::time::DAY;
use tactful::grpc::generated::tactful::v1::create_policy_request::Source;
use tactful::grpc::generated::tactful::v1::customer_export_record::Record;
use tactful::grpc::generated::tactful::v1::{
    ActivatePolicyRequest, BatchUpsertCustomersRequest, CapKind, CreateHoldRequest, CreatePolicyRequest,
    CustomerProfile, EraseCustomerRequest, ExportCustomerRequest, GetBackfireReportRequest, Hold, HoldReason,
    ListHoldsRequest, MergeCustomersRequest, MergeCustomersResponse, UnmergeCustomersRequest,
};
use tonic::{Code, Status};

use super::faults::{bad_fields, kind, refusal};
use super::harness::TestServer;
use super::shop::{ago, open_shop, record, stored_customer};
use crate::support::wire_shop::{complaint, cross_sell, purchase};

async fn try_merge(shop: &TestServer, from: &str, into: &str) -> Result<MergeCustomersResponse, Status> {
    let request = MergeCustomersRequest { from_customer_id: from.into(), into_customer_id: into.into() };
    shop.customers().merge_customers(request).await.map(tonic::Response::into_inner)
}

async fn merge(shop: &TestServer, from: &str, into: &str) -> MergeCustomersResponse {
    try_merge(shop, from, into).await.expect("merges")
}

fn unmerge(from: &str, into: &str) -> UnmergeCustomersRequest {
    UnmergeCustomersRequest { from_customer_id: from.into(), into_customer_id: into.into() }
}

/// Broken by: two caps; a complaint that stays with the guest.
#[tokio::test]
async fn a_guest_and_an_account_are_one_customer() {
    let shop = open_shop().await;
    let offered = shop.offers().cross_sell(cross_sell("guest")).await.expect("answers").into_inner().offers;
    assert!(!offered.is_empty());
    let merged = merge(&shop, "guest", "ada").await;
    assert_eq!(
        (merged.customer_id.as_str(), merged.merged_customer_ids, merged.duplicate),
        ("ada", vec!["guest".to_owned()], false)
    );
    assert!(merge(&shop, "guest", "ada").await.duplicate);
    let ada = stored_customer(&shop, "guest").await.expect("stored");
    assert_eq!(ada.customer.expect("a profile").customer_id, "ada");
    assert_eq!(ada.merged_customer_ids, ["guest"]);
    assert_eq!(ada.granted_offers.len(), offered.len());

    record(&shop, vec![complaint("c1", "guest", "case", ago(&shop.clock, DAY))]).await;
    let answer = shop.offers().cross_sell(cross_sell("ada")).await.expect("answers").into_inner();
    assert_eq!((answer.offers.len(), answer.cap.expect("one binds").hold_reason()), (0, HoldReason::OpenComplaint));

    let request = ExportCustomerRequest { customer_id: "guest".into() };
    let mut pages = shop.customers().export_customer(request).await.expect("answers").into_inner();
    let (mut customers, mut events) = (Vec::new(), Vec::new());
    while let Some(page) = pages.message().await.expect("goes on") {
        for record in page.records {
            match record.record.expect("a record") {
                Record::Customer(customer) => {
                    let id = customer.profile.expect("a profile").customer_id;
                    customers.push((id, customer.alias_of_customer_id, customer.merged_customer_ids));
                }
                Record::Event(event) => events.push((event.customer_id, event.event_id)),
                Record::Ranking(_) | Record::Outcome(_) | Record::Decision(_) => {}
            }
        }
    }
    let of = |id: &str, alias_of: &str, members: &[&str]| {
        (id.to_owned(), alias_of.to_owned(), members.iter().map(ToString::to_string).collect::<Vec<_>>())
    };
    assert_eq!(customers, [of("ada", "", &["guest"]), of("guest", "ada", &[])]);
    assert!(events.contains(&("guest".to_owned(), "c1".to_owned())), "{events:?}");
}

/// Broken by: a reason that is not that of the documentation.
#[tokio::test]
async fn impossible_merges_are_refused_with_their_reason() {
    let shop = open_shop().await;
    for (from, into, fields) in [
        ("", "ada", &["from_customer_id"] as &[&str]),
        ("a", "b\n", &["into_customer_id"]),
        ("", "", &["from_customer_id", "into_customer_id"]),
        ("ada", "ada", &["into_customer_id"]),
    ] {
        assert_eq!(bad_fields(&refusal(try_merge(&shop, from, into).await.map(tonic::Response::new))), fields);
        assert_eq!(bad_fields(&refusal(shop.customers().unmerge_customers(unmerge(from, into)).await)), fields);
    }
    merge(&shop, "guest", "ada").await;
    for number in 2..8 {
        merge(&shop, &format!("guest{number}"), "ada").await;
    }
    shop.customers().erase_customer(EraseCustomerRequest { customer_id: "gone".into() }).await.expect("erases");
    for (from, into, reason) in [
        ("ada", "guest", "MERGE_CYCLE"),
        ("guest", "bob", "MERGED_ELSEWHERE"),
        ("one-more", "ada", "TOO_MANY_IDS"),
        ("ada", "one-more", "TOO_MANY_IDS"),
        ("gone", "ada", "CUSTOMER_ERASED"),
        ("bob", "gone", "CUSTOMER_ERASED"),
    ] {
        let refused = refusal(try_merge(&shop, from, into).await.map(tonic::Response::new));
        assert_eq!(kind(&refused), (Code::FailedPrecondition, reason.into()), "{from} into {into}");
    }
    let refused = refusal(shop.customers().unmerge_customers(unmerge("ada", "guest")).await);
    assert_eq!(kind(&refused), (Code::FailedPrecondition, "MERGE_CYCLE".into()));
    let separate = shop.customers().unmerge_customers(unmerge("bob", "ada")).await.expect("answers").into_inner();
    assert!(separate.duplicate && separate.merged_customer_ids.len() == 7);
}

/// Broken by: the attributes of the guest for the account; a hold that ends with the merge.
#[tokio::test]
async fn an_unmerge_restores_profiles_and_keeps_holds_on_both() {
    let shop = open_shop().await;
    let profile = |id: &str, segment: &str| CustomerProfile {
        customer_id: id.into(),
        attributes: [("segment".to_owned(), segment.to_owned())].into(),
        ..CustomerProfile::default()
    };
    let customers = vec![profile("guest", "visitor"), profile("ada", "gold")];
    shop.customers().batch_upsert_customers(BatchUpsertCustomersRequest { customers }).await.expect("upserts");
    record(&shop, vec![purchase("p1", "guest", "mug", ago(&shop.clock, DAY * 20))]).await;
    merge(&shop, "guest", "ada").await;
    let ada = stored_customer(&shop, "guest").await.expect("stored");
    assert_eq!(ada.holdings.len(), 3);
    assert_eq!(ada.customer.expect("a profile").attributes["segment"], "gold");
    let hold = CreateHoldRequest {
        customer_id: "guest".into(),
        reason: HoldReason::Bereavement.into(),
        ..CreateHoldRequest::default()
    };
    shop.relationships().create_hold(hold).await.expect("created");

    let split = shop.customers().unmerge_customers(unmerge("guest", "ada")).await.expect("splits").into_inner();
    assert_eq!((split.customer_id.as_str(), split.merged_customer_ids.len(), split.duplicate), ("ada", 0, false));
    for (id, segment, holdings) in [("guest", "visitor", 1), ("ada", "gold", 2)] {
        let customer = stored_customer(&shop, id).await.expect("stored");
        assert_eq!(customer.holdings.len(), holdings, "{id}");
        let profile = customer.customer.expect("a profile");
        assert_eq!((profile.customer_id.as_str(), profile.attributes["segment"].as_str()), (id, segment));
        let request = ListHoldsRequest { customer_id: id.into() };
        let holds = shop.relationships().list_holds(request).await.expect("lists").into_inner().holds;
        assert_eq!(holds.iter().map(Hold::reason).collect::<Vec<_>>(), [HoldReason::Bereavement], "{id}");
    }
}

/// Broken by: the arm of the guest; a report that counts a customer of both arms.
#[tokio::test]
async fn an_experiment_keeps_the_arm_and_leaves_the_customer_out() {
    let shop = open_shop().await;
    let text = "version = 'half'\n[control_group]\nshare = 0.5\nsalt = 'spring'\n".to_owned();
    let request = CreatePolicyRequest { source: Some(Source::Toml(text)), validate_only: false };
    shop.policies().create_policy(request).await.expect("stored");
    shop.policies().activate_policy(ActivatePolicyRequest { version: "half".into() }).await.expect("activates");
    let is_control = async |id: &str| {
        let answer = shop.offers().cross_sell(cross_sell(id)).await.expect("answers").into_inner();
        answer.caps.iter().any(|cap| cap.kind() == CapKind::ControlGroup)
    };
    let mut arms = [Vec::new(), Vec::new()];
    for number in 0..20 {
        let id = format!("customer-{number}");
        arms[usize::from(is_control(&id).await)].push(id);
    }
    let [treatment, control] = &arms;
    merge(&shop, &treatment[0], &control[0]).await;
    merge(&shop, &control[1], &treatment[1]).await;
    assert!(is_control(&treatment[0]).await && is_control(&control[0]).await);
    assert!(!is_control(&treatment[1]).await && !is_control(&control[1]).await);
    shop.customers().unmerge_customers(unmerge(&control[1], &treatment[1])).await.expect("splits");
    assert!(is_control(&control[1]).await);
    let request = GetBackfireReportRequest { follow_up: None };
    let refused = refusal(shop.relationships().get_backfire_report(request).await);
    assert!(refused.message().contains("16 more are waiting"), "{}", refused.message());
}
