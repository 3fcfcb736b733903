//! `RelationshipService`.

use std::time::Duration;

use tactful::grpc::generated::tactful::v1 as wire;
use tonic::Code;
use wire::{EventKind, HoldReason, RelationshipBand};

use crate::harness::{Api, DAY, NOW, at, bad_fields, cross_sell, event, reason};

fn hold(reason: HoldReason) -> wire::CreateHoldRequest {
    wire::CreateHoldRequest {
        customer_id: "ann".to_owned(),
        hold_id: "call-17".to_owned(),
        reason: reason.into(),
        note: "asked for quiet".to_owned(),
        expire_time: at(NOW + 10 * DAY),
    }
}

async fn list(api: &Api) -> Vec<wire::Hold> {
    let request = wire::ListHoldsRequest { customer_id: "ann".to_owned() };
    api.relationships().list_holds(request).await.expect("an answer").into_inner().holds
}

#[tokio::test]
async fn a_stranger_is_a_new_customer() {
    let api = Api::start().await;
    let request = wire::GetRelationshipHealthRequest { customer_id: "stranger".to_owned() };
    let view = api.relationships().get_relationship_health(request).await.expect("an answer").into_inner();
    let health = view.relationship_health.expect("told");
    assert_eq!(health.band(), RelationshipBand::NewCustomer);
    assert_eq!(health.components.len(), 7);
    assert!(health.components.iter().all(|component| (0.0..=1.0).contains(&component.value)));
    assert_eq!(view.message, "The customer is new; 3 offers can be made now.");
    assert_eq!(view.as_of, at(NOW));
}

#[tokio::test]
async fn a_hold_withholds_until_it_ends_or_is_deleted() {
    let api = Api::start().await;
    api.sell_to_ann_and_bob().await;
    let created = api.relationships().create_hold(hold(HoldReason::AgentHold)).await.expect("held").into_inner();
    assert_eq!(list(&api).await, [created.hold.expect("told")]);
    let held = api.offers().cross_sell(cross_sell("ann")).await.expect("an answer").into_inner();
    assert!(held.offers.is_empty());
    assert_eq!(held.message, "No offers before 24 November 2023: on hold since 14 November 2023.");
    assert_eq!(held.cap.expect("a cap bound").hold_reason(), HoldReason::AgentHold);

    let delete = wire::DeleteHoldRequest { customer_id: "ann".to_owned(), hold_id: "call-17".to_owned() };
    api.relationships().delete_hold(delete.clone()).await.expect("deleted");
    assert!(list(&api).await.is_empty());
    let gone = api.relationships().delete_hold(delete).await.expect_err("it is gone");
    assert_eq!((gone.code(), reason(&gone).as_str()), (Code::NotFound, "HOLD_NOT_FOUND"));

    api.relationships().create_hold(hold(HoldReason::Bereavement)).await.expect("held");
    api.clock.advance(Duration::from_hours(240));
    let free = api.offers().cross_sell(cross_sell("ann")).await.expect("an answer").into_inner();
    assert!(!free.offers.is_empty(), "the hold has ended");
}

#[tokio::test]
async fn a_hold_that_follows_from_a_complaint_is_listed_and_ends_with_it() {
    let api = Api::start().await;
    api.record(vec![event("c", "ann", EventKind::Complaint, 4)]).await;
    let holds = list(&api).await;
    assert_eq!((holds.len(), holds[0].reason(), holds[0].derived), (1, HoldReason::OpenComplaint, true));
    assert_eq!(holds[0].note, "open since 10 November 2023");
    let id = holds[0].hold_id.clone();
    let taken = wire::CreateHoldRequest { hold_id: id.clone(), ..hold(HoldReason::AgentHold) };
    assert_eq!(bad_fields(&api.relationships().create_hold(taken).await.expect_err("reserved")), ["hold_id"]);
    let delete = wire::DeleteHoldRequest { customer_id: "ann".to_owned(), hold_id: id };
    assert_eq!(api.relationships().delete_hold(delete).await.expect_err("not kept").code(), Code::NotFound);
}

#[tokio::test]
async fn creating_a_hold_again_renews_it_and_there_is_a_limit() {
    let api = Api::start().await;
    for number in 0..16 {
        let request = wire::CreateHoldRequest { hold_id: format!("hold-{number}"), ..hold(HoldReason::AgentHold) };
        api.relationships().create_hold(request).await.expect("held");
    }
    let renewed = wire::CreateHoldRequest { hold_id: "hold-3".to_owned(), ..hold(HoldReason::Collections) };
    api.relationships().create_hold(renewed).await.expect("renewed");
    assert_eq!(list(&api).await.len(), 16);
    let full = api.relationships().create_hold(hold(HoldReason::AgentHold)).await.expect_err("one too many");
    assert_eq!((full.code(), reason(&full).as_str()), (Code::ResourceExhausted, "TOO_MANY_HOLDS"));
}
