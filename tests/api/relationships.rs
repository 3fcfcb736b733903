//! `RelationshipService`: `GetRelationshipHealth`, `BatchGetRelationshipHealth`, `SimulateRelationshipHealth`,
//! `CreateHold`, `ListHolds` and `DeleteHold`.

use prost_types::Timestamp;
use tactful::domain::time::DAY;
use tactful::grpc::generated::tactful::v1::create_policy_request::Source;
use tactful::grpc::generated::tactful::v1::{
    ActivatePolicyRequest, BatchGetRelationshipHealthRequest, CapKind, CreateHoldRequest, CreatePolicyRequest,
    CustomerEvent, DeleteHoldRequest, EventKind, GetRelationshipHealthRequest, GetRelationshipHealthResponse, Hold,
    HoldReason, ListHoldsRequest, OutcomeKind, QuietPeriodCause, RelationshipBand, SimulateRelationshipHealthRequest,
};
use tonic::Code;

use super::faults::{bad_fields, bad_ids, kind, refusal};
use super::harness::TestServer;
use super::shop::{ago, cap, in_future, now, open_shop, record, stored_customer};
use crate::support::shop::MS;
use crate::support::wire_shop::{complaint, event, preview, up_sell};

fn hold(reason: HoldReason) -> CreateHoldRequest {
    CreateHoldRequest {
        customer_id: "ada".into(),
        hold_id: "hold-1".into(),
        reason: reason.into(),
        note: "asked for quiet on the phone".into(),
        ..CreateHoldRequest::default()
    }
}

fn delete(customer: &str, hold: &str) -> DeleteHoldRequest {
    DeleteHoldRequest { customer_id: customer.into(), hold_id: hold.into() }
}

async fn holds(server: &TestServer, customer: &str) -> Vec<Hold> {
    let request = ListHoldsRequest { customer_id: customer.into() };
    server.relationships().list_holds(request).await.expect("lists").into_inner().holds
}

#[tokio::test]
async fn relationship_health_comes_with_components_caps_and_a_sentence() {
    let shop = open_shop().await;
    let before = stored_customer(&shop, "ada").await;
    let ask = |customer: &str| GetRelationshipHealthRequest { customer_id: customer.into() };
    let ada = shop.relationships().get_relationship_health(ask("ada")).await.expect("answers").into_inner();
    let health = ada.relationship_health.expect("always set");
    assert_eq!((health.band(), health.components.len()), (RelationshipBand::NewCustomer, 7));
    assert!((0.0..=1.0).contains(&health.score) && (0.0..=1.0).contains(&health.coverage));
    assert_eq!(cap(&ada.caps, CapKind::RelationshipHealth).remaining, 3);
    assert_eq!(ada.message, "The customer is new. 3 offers can be made now.");
    assert_eq!(ada.as_of, Some(now(&shop.clock)));
    assert_eq!((ada.policy_version.as_str(), ada.holds.len()), ("default-1", 0));

    let nobody = shop.relationships().get_relationship_health(ask("nobody")).await.expect("answers").into_inner();
    assert_eq!(nobody.relationship_health.expect("always set").band(), RelationshipBand::NewCustomer);
    assert_eq!((stored_customer(&shop, "ada").await, stored_customer(&shop, "nobody").await), (before, None));
}

async fn health_of(server: &TestServer, customer: &str) -> GetRelationshipHealthResponse {
    let request = GetRelationshipHealthRequest { customer_id: customer.into() };
    server.relationships().get_relationship_health(request).await.expect("answers").into_inner()
}

fn score(view: &GetRelationshipHealthResponse) -> f64 {
    view.relationship_health.as_ref().expect("always set").score
}

#[tokio::test]
async fn relationship_health_is_explained() {
    let shop = open_shop().await;
    record(&shop, vec![complaint("ada-3", "ada", "case", ago(&shop.clock, DAY))]).await;
    let view = health_of(&shop, "ada").await;
    let components = &view.relationship_health.as_ref().expect("always set").components;
    let friction = &components[0];
    assert_eq!(friction.name, "service_friction");
    let input = |name: &str| friction.raw_inputs.iter().find(|input| input.name == name).map(|input| input.value);
    assert_eq!((input("open_complaints"), input("days_since_latest_report")), (Some(1.0), Some(1.0)));
    assert!(friction.trend > 0.0, "an old complaint weighs less: {friction:?}");

    let first = view.what_if_effects.first().expect("something would help");
    assert_eq!(first.event, "the open case is resolved");
    assert!(first.score > score(&view) && first.offers_cap == 0, "held for 14 days after it: {first:?}");
    let last = view.what_if_effects.last().expect("something would hurt");
    assert!(last.score < score(&view), "{last:?}");
    assert!(view.what_if_effects.len() <= 6);
}

/// Settling a complaint gives 14 days from then, not the 90 days of an open one, and so it is the first suggestion.
///
/// Broken by: suggestions in the order of the score alone, or without the look-ahead.
#[tokio::test]
async fn the_suggested_remedy_is_the_one_that_works() {
    let shop = open_shop().await;
    record(&shop, vec![complaint("ada-3", "ada", "case", ago(&shop.clock, DAY))]).await;
    let view = health_of(&shop, "ada").await;
    assert_eq!(view.next_eligible_time, Some(in_future(&shop.clock, DAY * 89)));
    let until = Some(in_future(&shop.clock, DAY * 14));
    let [first, others @ ..] = &view.what_if_effects[..] else { panic!("{view:?}") };
    assert_eq!((first.event.as_str(), first.offers_left), ("the open case is resolved", 0));
    assert_eq!(first.next_eligible_time, until);
    assert!(others.iter().all(|effect| effect.next_eligible_time != until && effect.offers_left == 0), "{others:?}");

    let resolved =
        CustomerEvent { case_id: "case".into(), ..event("ada-4", "ada", EventKind::CaseResolved, now(&shop.clock)) };
    record(&shop, vec![resolved]).await;
    assert_eq!(health_of(&shop, "ada").await.next_eligible_time, until);
    let held = shop.offers().cross_sell(preview("ada")).await.expect("answers").into_inner();
    assert_eq!(held.next_eligible_time, until);
    shop.clock.advance((DAY * 14).saturating_sub(MS));
    assert!(shop.offers().cross_sell(preview("ada")).await.expect("answers").into_inner().offers.is_empty());
    shop.clock.advance(MS);
    let free = shop.offers().cross_sell(preview("ada")).await.expect("answers").into_inner();
    assert!(!free.offers.is_empty(), "{free:?}");
    let view = health_of(&shop, "ada").await;
    assert!(view.next_eligible_time.is_none() && view.what_if_effects[0].offers_left > 0, "{view:?}");
}

/// A purchase raises the score of this customer, but the quiet period after it allows no offer.
///
/// Broken by: suggestions in the order of the score alone.
#[tokio::test]
async fn events_that_allow_an_offer_are_suggested_before_those_that_only_raise_the_score() {
    let shop = open_shop().await;
    let text = "version = 'quiet'\n[contact]\nquiet_after_purchase = '10d'\n".to_owned();
    let request = CreatePolicyRequest { source: Some(Source::Toml(text)), validate_only: false };
    shop.policies().create_policy(request).await.expect("stored");
    shop.policies().activate_policy(ActivatePolicyRequest { version: "quiet".into() }).await.expect("activates");
    let view = health_of(&shop, "ada").await;
    let raising: Vec<_> = view.what_if_effects.iter().filter(|effect| effect.score > score(&view)).collect();
    assert_eq!(raising.len(), 3);
    assert!(raising.iter().all(|effect| effect.offers_left > 0), "{raising:?}");
}

/// Broken by: a message that states the band alone.
#[tokio::test]
async fn the_message_states_a_notice_payment_trouble_and_negative_surveys() {
    let shop = open_shop().await;
    let at = ago(&shop.clock, DAY * 5);
    let survey = |id: &str| CustomerEvent {
        score: Some(0.0),
        score_max: Some(10.0),
        ..event(id, "surveyed", EventKind::Survey, at)
    };
    record(
        &shop,
        vec![
            survey("s1"),
            survey("s2"),
            survey("s3"),
            event("p1", "failed", EventKind::PaymentFailed, at),
            event("c1", "leaving", EventKind::Cancellation, at),
        ],
    )
    .await;
    for (customer, expected) in [
        ("surveyed", "recent surveys were very negative"),
        ("failed", "there was payment trouble on 9 November"),
        ("leaving", "notice of cancellation was given on 9 November"),
    ] {
        let message = health_of(&shop, customer).await.message;
        assert!(message.contains(expected) && !message.contains("is strong"), "{message}");
    }
}

/// Broken by: a quiet period without the event that it follows.
#[tokio::test]
async fn a_quiet_period_names_its_cause() {
    let shop = open_shop().await;
    let at = ago(&shop.clock, DAY / 2);
    record(&shop, vec![event("p1", "ada", EventKind::PaymentFailed, at)]).await;
    let answer = shop.offers().cross_sell(preview("ada")).await.expect("answers").into_inner();
    let cap = answer.cap.expect("the quiet period");
    assert_eq!((cap.kind(), cap.quiet_period_cause()), (CapKind::QuietPeriod, QuietPeriodCause::PaymentTrouble));
    assert_eq!(cap.since_time, Some(at));
    assert!(answer.message.ends_with(": quiet period after payment trouble on 14 November."), "{}", answer.message);
}

#[tokio::test]
async fn a_simulation_returns_the_effects_of_events_and_changes_nothing() {
    let shop = open_shop().await;
    let before = (stored_customer(&shop, "ada").await, shop.app.store().digest().await.expect("reads"));
    let complaint = CustomerEvent { kind: EventKind::Complaint.into(), severity: Some(4), ..CustomerEvent::default() };
    let simulate = |events: Vec<CustomerEvent>, outcomes: Vec<OutcomeKind>| SimulateRelationshipHealthRequest {
        customer_id: "ada".into(),
        events,
        outcomes: outcomes.into_iter().map(Into::into).collect(),
        as_of: None,
    };
    let ask = |request| async {
        let answer = shop.relationships().simulate_relationship_health(request).await.expect("answers").into_inner();
        (answer.before.expect("set"), answer.after.expect("set"))
    };
    let (now, after) = ask(simulate(vec![complaint.clone()], vec![])).await;
    assert_eq!(now, health_of(&shop, "ada").await);
    assert!(score(&after) < score(&now));
    assert_eq!(after.holds[0].reason(), HoldReason::OpenComplaint);
    // An acceptance raises the score, and an immediate return lowers it by more.
    let (now, accepted) = ask(simulate(vec![], vec![OutcomeKind::Accepted])).await;
    assert!(score(&accepted) > score(&now));
    let (now, rejected) = ask(simulate(vec![], vec![OutcomeKind::Rejected, OutcomeKind::Rejected])).await;
    assert!(score(&rejected) < score(&now));
    // Its effect decays with time.
    let later = SimulateRelationshipHealthRequest {
        as_of: Some(in_future(&shop.clock, DAY * 200)),
        ..simulate(vec![complaint], vec![])
    };
    let (_, later) = ask(later).await;
    assert!(later.holds.is_empty() && later.as_of == Some(in_future(&shop.clock, DAY * 200)), "{later:?}");

    let still = (stored_customer(&shop, "ada").await, shop.app.store().digest().await.expect("reads"));
    assert_eq!(still, before);
}

#[tokio::test]
async fn a_simulation_names_every_bad_field() {
    let server = TestServer::in_memory().await;
    let event =
        |kind: i32, customer: &str| CustomerEvent { kind, customer_id: customer.into(), ..CustomerEvent::default() };
    let request = SimulateRelationshipHealthRequest {
        customer_id: "ada".into(),
        events: vec![event(0, ""), event(EventKind::Visit.into(), "bob"), event(EventKind::Purchase.into(), "ada")],
        outcomes: vec![OutcomeKind::NotShown.into(), 99],
        as_of: Some(ago(&server.clock, DAY)),
    };
    let status = refusal(server.relationships().simulate_relationship_health(request).await);
    let fields = bad_fields(&status);
    for field in
        ["events[0].kind", "events[1].customer_id", "events[2].product_id", "outcomes[0]", "outcomes[1]", "as_of"]
    {
        assert!(fields.iter().any(|bad| bad == field), "{field} is not in {fields:?}");
    }
    let visit = || event(EventKind::Visit.into(), "");
    let request = SimulateRelationshipHealthRequest {
        customer_id: "ada".into(),
        events: (0..101).map(|_| visit()).collect(),
        ..SimulateRelationshipHealthRequest::default()
    };
    let status = refusal(server.relationships().simulate_relationship_health(request).await);
    assert_eq!(bad_fields(&status), ["events"]);
}

#[tokio::test]
async fn a_batch_answers_each_customer_and_rejects_an_invalid_batch() {
    let shop = open_shop().await;
    let ask = |ids: Vec<String>| BatchGetRelationshipHealthRequest { customer_ids: ids };
    let request = ask(vec!["ada".into(), String::new(), "nobody".into()]);
    let entries =
        shop.relationships().batch_get_relationship_health(request).await.expect("answers").into_inner().entries;
    assert_eq!(entries.len(), 3);
    assert_eq!(entries[0].answer, Some(health_of(&shop, "ada").await));
    assert_eq!(
        (entries[1].status.as_ref().expect("set").code, &entries[1].answer),
        (Code::InvalidArgument as i32, &None)
    );
    assert_eq!(entries[2].status.as_ref().expect("set").code, 0);
    for bad in [vec![], vec!["ada".to_owned(), "ada".to_owned()], (0..101).map(|id| format!("c{id}")).collect()] {
        let status = refusal(shop.relationships().batch_get_relationship_health(ask(bad)).await);
        assert_eq!(status.code(), Code::InvalidArgument);
    }
}

#[tokio::test]
async fn a_hold_withholds_every_offer_and_says_why_until_it_ends() {
    let shop = open_shop().await;
    let until = in_future(&shop.clock, DAY * 3);
    let request = CreateHoldRequest { expire_time: Some(until), ..hold(HoldReason::Bereavement) };
    let created = shop.relationships().create_hold(request).await.expect("creates").into_inner().hold;
    let expected = Hold {
        hold_id: "hold-1".into(),
        reason: HoldReason::Bereavement.into(),
        note: "asked for quiet on the phone".into(),
        create_time: Some(now(&shop.clock)),
        expire_time: Some(until),
        derived: false,
    };
    assert_eq!(created.as_ref(), Some(&expected));
    assert_eq!(holds(&shop, "ada").await, [expected]);

    let cross = shop.offers().cross_sell(preview("ada")).await.expect("answers").into_inner();
    let up = shop.offers().up_sell(up_sell("ada")).await.expect("answers").into_inner();
    assert!(cross.offers.is_empty() && up.offers.is_empty());
    let cap = cross.cap.expect("the hold");
    assert_eq!((cap.kind(), cap.hold_reason()), (CapKind::Hold, HoldReason::Bereavement));
    assert_eq!(cap.next_eligible_time, Some(until));
    assert_eq!(cross.message, "No offers before 17 November: bereavement reported on 14 November.");

    shop.clock.advance(DAY * 3);
    assert!(holds(&shop, "ada").await.is_empty());
    assert!(!shop.offers().cross_sell(preview("ada")).await.expect("answers").into_inner().offers.is_empty());
}

#[tokio::test]
async fn a_hold_without_an_end_lasts_until_it_is_deleted() {
    let shop = open_shop().await;
    let request = CreateHoldRequest { hold_id: String::new(), ..hold(HoldReason::AgentHold) };
    let created = shop.relationships().create_hold(request).await.expect("creates").into_inner().hold;
    let id = created.expect("as stored").hold_id;
    assert!(!id.is_empty());
    shop.clock.advance(DAY * 365);
    let held = shop.offers().cross_sell(preview("ada")).await.expect("answers").into_inner();
    assert!(held.offers.is_empty());
    assert_eq!(held.cap.expect("the hold").next_eligible_time, None);

    shop.relationships().delete_hold(delete("ada", &id)).await.expect("deletes");
    assert!(!shop.offers().cross_sell(preview("ada")).await.expect("answers").into_inner().offers.is_empty());
    let status = refusal(shop.relationships().delete_hold(delete("ada", &id)).await);
    assert_eq!(kind(&status), (Code::NotFound, "HOLD_NOT_FOUND".into()));
}

#[tokio::test]
async fn the_same_hold_again_replaces_the_first_and_a_seventeenth_is_refused() {
    let server = TestServer::in_memory().await;
    for reason in [HoldReason::AgentHold, HoldReason::Vulnerability] {
        server.relationships().create_hold(hold(reason)).await.expect("creates");
    }
    let kept: Vec<HoldReason> = holds(&server, "ada").await.iter().map(Hold::reason).collect();
    assert_eq!(kept, [HoldReason::Vulnerability]);

    let numbered =
        |number: usize| CreateHoldRequest { hold_id: format!("hold-{number}"), ..hold(HoldReason::AgentHold) };
    for number in 2..=16 {
        server.relationships().create_hold(numbered(number)).await.expect("creates");
    }
    let status = refusal(server.relationships().create_hold(numbered(17)).await);
    assert_eq!(kind(&status), (Code::ResourceExhausted, "TOO_MANY_HOLDS".into()));
    assert_eq!(holds(&server, "ada").await.len(), 16);
}

#[tokio::test]
async fn a_hold_that_follows_from_an_event_is_listed_and_cannot_be_deleted() {
    let shop = open_shop().await;
    record(&shop, vec![complaint("ada-3", "ada", "case", ago(&shop.clock, DAY))]).await;
    let [derived] = holds(&shop, "ada").await.try_into().expect("one hold");
    assert!(derived.derived);
    assert_eq!((derived.reason(), derived.create_time), (HoldReason::OpenComplaint, Some(ago(&shop.clock, DAY))));
    let status = refusal(shop.relationships().delete_hold(delete("ada", &derived.hold_id)).await);
    assert_eq!(status.code(), Code::NotFound);
    assert_eq!(holds(&shop, "ada").await, [derived]);
}

#[tokio::test]
async fn each_bad_hold_names_its_faults_and_holds_nothing() {
    let server = TestServer::in_memory().await;
    let good = || hold(HoldReason::AgentHold);
    let ends = |at| CreateHoldRequest { expire_time: Some(at), ..good() };
    let everything = CreateHoldRequest {
        customer_id: String::new(),
        hold_id: "h".repeat(129),
        reason: 0,
        note: "n".repeat(257),
        expire_time: Some(ago(&server.clock, DAY)),
    };
    let mut cases = vec![
        (everything, vec!["customer_id", "hold_id", "reason", "note", "expire_time"]),
        (CreateHoldRequest { reason: 9, ..good() }, vec!["reason"]),
        (CreateHoldRequest { reason: -1, ..good() }, vec!["reason"]),
        (CreateHoldRequest { hold_id: "derived/open_complaint".into(), ..good() }, vec!["hold_id"]),
        (ends(now(&server.clock)), vec!["expire_time"]),
        (ends(Timestamp { seconds: 1 << 40, nanos: 0 }), vec!["expire_time"]),
        (ends(Timestamp { seconds: 1_800_000_000, nanos: i32::MAX }), vec!["expire_time.nanos"]),
    ];
    for reason in [HoldReason::OptOut, HoldReason::OpenComplaint, HoldReason::ProfilingObjection] {
        cases.push((hold(reason), vec!["reason"]));
    }
    for (request, fields) in cases {
        let status = refusal(server.relationships().create_hold(request.clone()).await);
        assert_eq!(bad_fields(&status), fields, "{request:?}");
    }
    assert!(holds(&server, "ada").await.is_empty());
    assert_eq!(stored_customer(&server, "ada").await, None);
}

#[tokio::test]
async fn ids_that_are_none_are_refused_by_every_method() {
    let server = TestServer::in_memory().await;
    for id in bad_ids() {
        let request = GetRelationshipHealthRequest { customer_id: id.clone() };
        let status = refusal(server.relationships().get_relationship_health(request).await);
        assert_eq!(bad_fields(&status), ["customer_id"]);
        let status = refusal(server.relationships().list_holds(ListHoldsRequest { customer_id: id.clone() }).await);
        assert_eq!(bad_fields(&status), ["customer_id"]);
        let status = refusal(server.relationships().delete_hold(delete(&id, &id)).await);
        assert_eq!(bad_fields(&status), ["customer_id", "hold_id"]);
    }
}
