//! `FeedbackService`: `RecordOutcomes`, `RecordEvents` and `StreamEvents`.

use std::time::Duration;

use prost_types::Timestamp;
use tactful::domain::time::DAY;
use tactful::grpc::generated::tactful::v1::{
    CapKind, CrossSellResponse, CustomerEvent, EntryResult, EventKind, GetRelationshipHealthRequest, HoldReason, Money,
    OfferOutcome, OutcomeKind, PlanDirection, RecordEventsRequest, RecordOutcomesRequest, StreamEventsRequest,
};
use tonic::Code;

use super::faults::{bad_fields, entry_refusal, is_ok, kind, refusal};
use super::harness::{ManualClock, TestServer, in_memory, on_disk};
use super::shop::{REQUEST_ID, ago, cap, in_future, now, open_shop, record, stock, stored_customer};
use crate::support::wire_shop::{complaint, cross_sell, event, gbp, preview, purchase};

async fn offered(shop: &TestServer) -> CrossSellResponse {
    shop.offers().cross_sell(cross_sell("ada")).await.expect("answers").into_inner()
}

fn outcome(answer: &CrossSellResponse, place: usize, kind: OutcomeKind) -> OfferOutcome {
    OfferOutcome {
        customer_id: "ada".into(),
        decision_id: answer.decision_id.clone(),
        offer_id: answer.offers[place].offer_id.clone(),
        kind: kind.into(),
        ..OfferOutcome::default()
    }
}

#[tokio::test]
async fn every_kind_of_event_is_taken_once_and_a_second_time_acknowledged() {
    let shop = TestServer::in_memory().await;
    let at = ago(&shop.clock, DAY);
    let of = |kind: EventKind| CustomerEvent { event_id: format!("{kind:?}"), ..event("", "ada", kind, at) };
    let about = |kind| CustomerEvent { product_id: "kettle".into(), ..of(kind) };
    let line = |kind| CustomerEvent {
        order_id: "order-1".into(),
        quantity: Some(1_000_000_000),
        unit_price: Some(gbp(0)),
        ..about(kind)
    };
    let case = |kind| CustomerEvent { case_id: "case-1".into(), ..of(kind) };
    let events = vec![
        line(EventKind::Purchase),
        line(EventKind::Return),
        of(EventKind::Cancellation),
        CustomerEvent { to_product_id: "pot".into(), ..about(EventKind::Downgrade) },
        about(EventKind::SubscriptionStart),
        about(EventKind::SubscriptionRenewal),
        about(EventKind::SubscriptionEnd),
        CustomerEvent { amount: Some(0.0), allowance: Some(1e12), ..about(EventKind::Usage) },
        CustomerEvent { severity: Some(1), ..case(EventKind::SupportTicket) },
        CustomerEvent { severity: Some(4), ..case(EventKind::Complaint) },
        case(EventKind::CaseResolved),
        of(EventKind::PaymentLate),
        of(EventKind::PaymentFailed),
        of(EventKind::PaymentDisputed),
        CustomerEvent { score: Some(0.0), score_max: Some(1000.0), ..of(EventKind::Survey) },
        about(EventKind::Visit),
        CustomerEvent {
            to_product_id: "pot".into(),
            plan_direction: PlanDirection::Sideways.into(),
            ..about(EventKind::PlanChange)
        },
        CustomerEvent { to_product_id: "pot".into(), ..about(EventKind::RightSized) },
        // Anonymous purchases train the model.
        CustomerEvent { customer_id: String::new(), ..line(EventKind::Purchase) },
    ];
    let count = events.len();
    let request = RecordEventsRequest { events };
    for duplicate in [false, true] {
        let answer = shop.feedback().record_events(request.clone()).await.expect("records").into_inner();
        assert_eq!(answer.results.len(), count);
        assert!(answer.results.iter().all(|result| is_ok(result) && result.duplicate == duplicate), "{answer:?}");
    }
    assert_eq!(shop.app.store().counts().await.expect("counts").events, count as u64);
}

/// Invalid events, each with its faults.
fn bad_events(shop: &TestServer) -> Vec<(CustomerEvent, Vec<&'static str>)> {
    let at = ago(&shop.clock, DAY);
    let of = |kind| event("bad", "bob", kind, at);
    let bought = || purchase("bad", "bob", "kettle", at);
    let paid = |currency_code: &str, units, nanos| CustomerEvent {
        unit_price: Some(Money { currency_code: currency_code.into(), units, nanos }),
        ..bought()
    };
    let about = |kind| CustomerEvent { product_id: "kettle".into(), ..of(kind) };
    let dated = |at| CustomerEvent { event_time: at, ..bought() };
    let survey = |score, score_max| CustomerEvent { score, score_max, ..of(EventKind::Survey) };
    let usage =
        |amount, allowance| CustomerEvent { product_id: "kettle".into(), amount, allowance, ..of(EventKind::Usage) };
    vec![
        (CustomerEvent::default(), vec!["event_id", "event_time", "kind"]),
        (CustomerEvent { kind: 19, ..bought() }, vec!["kind"]),
        (CustomerEvent { kind: -1, ..bought() }, vec!["kind"]),
        (
            CustomerEvent { event_id: "e".repeat(129), customer_id: " ".into(), ..bought() },
            vec!["event_id", "customer_id"],
        ),
        (dated(None), vec!["event_time"]),
        (dated(Some(in_future(&shop.clock, Duration::from_millis(300_001)))), vec!["event_time"]),
        (dated(Some(Timestamp { seconds: i64::MAX, nanos: 0 })), vec!["event_time"]),
        (dated(Some(Timestamp { seconds: i64::MIN, nanos: 0 })), vec!["event_time"]),
        (dated(Some(Timestamp { seconds: 0, nanos: -1 })), vec!["event_time.nanos"]),
        (CustomerEvent { product_id: String::new(), quantity: Some(0), ..bought() }, vec!["product_id", "quantity"]),
        (CustomerEvent { quantity: Some(-1), ..bought() }, vec!["quantity"]),
        (CustomerEvent { quantity: Some(1_000_000_001), ..bought() }, vec!["quantity"]),
        (CustomerEvent { quantity: Some(i64::MAX), ..bought() }, vec!["quantity"]),
        (CustomerEvent { order_id: "o".repeat(129), ..bought() }, vec!["order_id"]),
        (paid("GBP", -1, 0), vec!["unit_price"]),
        (paid("GBP", 1, -1), vec!["unit_price"]),
        (paid("GBP", 0, 1_000_000_000), vec!["unit_price"]),
        (paid("GBP", i64::MAX, 0), vec!["unit_price"]),
        (paid("", 1, 0), vec!["unit_price.currency_code"]),
        (paid("gbp", i64::MIN, 0), vec!["unit_price.currency_code", "unit_price"]),
        (survey(None, None), vec!["score", "score_max"]),
        (survey(Some(f64::NAN), Some(10.0)), vec!["score"]),
        (survey(Some(f64::INFINITY), Some(10.0)), vec!["score"]),
        (survey(Some(-0.5), Some(10.0)), vec!["score"]),
        (survey(Some(11.0), Some(10.0)), vec!["score"]),
        (survey(Some(5.0), Some(f64::NAN)), vec!["score_max"]),
        (survey(Some(5.0), Some(f64::INFINITY)), vec!["score_max"]),
        (survey(Some(f64::NAN), Some(0.0)), vec!["score", "score_max"]),
        (survey(None, Some(1000.5)), vec!["score", "score_max"]),
        (usage(None, Some(0.0)), vec!["amount", "allowance"]),
        (usage(Some(f64::NAN), Some(f64::NAN)), vec!["amount", "allowance"]),
        (usage(Some(-1.0), Some(f64::INFINITY)), vec!["amount", "allowance"]),
        (usage(Some(1e300), None), vec!["amount"]),
        (
            CustomerEvent { severity: Some(5), ..complaint("bad", "", "case\n", at) },
            vec!["case_id", "severity", "customer_id"],
        ),
        (CustomerEvent { severity: Some(0), ..of(EventKind::SupportTicket) }, vec!["severity"]),
        (of(EventKind::CaseResolved), vec!["case_id"]),
        (
            CustomerEvent {
                to_product_id: "kettle".into(),
                ..CustomerEvent { kind: EventKind::Downgrade.into(), ..bought() }
            },
            vec!["to_product_id"],
        ),
        (of(EventKind::SubscriptionStart), vec!["product_id"]),
        (CustomerEvent { plan_direction: 9, ..about(EventKind::PlanChange) }, vec!["plan_direction", "to_product_id"]),
        (CustomerEvent { plan_direction: 1, ..about(EventKind::RightSized) }, vec!["to_product_id", "plan_direction"]),
        // A field that a kind does not take is a fault, too.
        (
            CustomerEvent { product_id: "kettle".into(), score: Some(f64::NAN), ..of(EventKind::PaymentLate) },
            vec!["product_id", "score"],
        ),
    ]
}

fn paths(place: usize, fields: &[&str]) -> Vec<String> {
    fields.iter().map(|field| format!("events[{place}].{field}")).collect()
}

#[tokio::test]
async fn each_bad_event_names_its_faults_and_only_the_good_one_among_them_counts() {
    let shop = TestServer::in_memory().await;
    let cases = bad_events(&shop);
    let mut events: Vec<CustomerEvent> = cases.iter().map(|(event, _)| event.clone()).collect();
    events.push(purchase("good", "ada", "kettle", ago(&shop.clock, DAY)));
    let answer = shop.feedback().record_events(RecordEventsRequest { events }).await.expect("answers").into_inner();

    let (good, bad) = answer.results.split_last().expect("one result an event");
    for (place, ((event, fields), result)) in cases.iter().zip(bad).enumerate() {
        assert_eq!(bad_fields(&entry_refusal(result)), paths(place, fields), "{event:?}");
    }
    assert_eq!(bad.len(), cases.len());
    assert!(is_ok(good) && !good.duplicate);
    assert_eq!(shop.app.store().counts().await.expect("counts").events, 1);
    assert_eq!((stored_customer(&shop, "bob").await, stored_customer(&shop, "ada").await.is_some()), (None, true));
}

#[tokio::test]
async fn a_stream_of_events_is_counted_and_tells_of_its_first_hundred_rejections() {
    let shop = TestServer::in_memory().await;
    let at = ago(&shop.clock, DAY);
    let good = |number: usize| purchase(&format!("e{number}"), &format!("c{}", number % 7), "kettle", at);
    let parts = vec![
        StreamEventsRequest { events: (0..1000).map(good).collect() },
        StreamEventsRequest { events: Vec::new() },
        StreamEventsRequest { events: (999..1001).map(good).collect() },
        StreamEventsRequest { events: vec![CustomerEvent::default(); 150] },
    ];
    let answer = shop.feedback().stream_events(tokio_stream::iter(parts)).await.expect("answers").into_inner();
    assert_eq!((answer.recorded, answer.duplicates, answer.rejected), (1001, 1, 150));
    let places: Vec<u64> = answer.rejections.iter().map(|rejection| rejection.index).collect();
    assert_eq!(places, (1002..1102).collect::<Vec<u64>>());
    let first = answer.rejections[0].status.clone().expect("why");
    assert_eq!(first.code, i32::from(Code::InvalidArgument));
    assert_eq!(shop.app.store().counts().await.expect("counts").events, 1001);
}

#[tokio::test]
async fn an_oversized_part_ends_a_stream_and_earlier_events_stay() {
    let shop = TestServer::in_memory().await;
    let first = purchase("e1", "ada", "kettle", ago(&shop.clock, DAY));
    let parts = vec![
        StreamEventsRequest { events: vec![first] },
        StreamEventsRequest { events: vec![CustomerEvent::default(); 1001] },
    ];
    let status = refusal(shop.feedback().stream_events(tokio_stream::iter(parts)).await);
    assert_eq!(bad_fields(&status), ["events"]);
    assert_eq!(shop.app.store().counts().await.expect("counts").events, 1);
}

#[tokio::test]
async fn outcomes_are_recorded_once_and_shown_offers_are_not_released() {
    let shop = open_shop().await;
    let answer = offered(&shop).await;
    let outcomes = vec![
        outcome(&answer, 0, OutcomeKind::Shown),
        outcome(&answer, 0, OutcomeKind::Clicked),
        outcome(&answer, 1, OutcomeKind::NotShown),
        outcome(&answer, 2, OutcomeKind::Accepted),
    ];
    for duplicate in [false, true] {
        let request = RecordOutcomesRequest { outcomes: outcomes.clone() };
        let recorded = shop.feedback().record_outcomes(request).await.expect("records").into_inner();
        assert_eq!(recorded.results.len(), 4);
        assert!(recorded.results.iter().all(|result| is_ok(result) && result.duplicate == duplicate), "{recorded:?}");
    }
    let ask = GetRelationshipHealthRequest { customer_id: "ada".into() };
    let caps = shop.relationships().get_relationship_health(ask).await.expect("answers").into_inner().caps;
    assert_eq!(cap(&caps, CapKind::RelationshipHealth).used, 2, "only the offer that was not shown came back");
}

#[tokio::test]
async fn outcomes_withhold_offers_as_the_customer_requested() {
    for (kind, cap_kind, hold_reason, until) in [
        (OutcomeKind::Rejected, CapKind::BackOff, HoldReason::Unspecified, Some(DAY * 14)),
        (OutcomeKind::Complained, CapKind::Hold, HoldReason::OpenComplaint, Some(DAY * 90)),
        (OutcomeKind::OptedOut, CapKind::Hold, HoldReason::OptOut, None),
    ] {
        let shop = open_shop().await;
        let answer = offered(&shop).await;
        let request = RecordOutcomesRequest { outcomes: vec![outcome(&answer, 0, kind)] };
        shop.feedback().record_outcomes(request).await.expect("records");
        let next = shop.offers().cross_sell(preview("ada")).await.expect("answers").into_inner();
        let cap = next.cap.expect("a cap keeps offers back");
        assert_eq!((next.offers.len(), cap.kind(), cap.hold_reason()), (0, cap_kind, hold_reason), "{kind:?}");
        assert_eq!(cap.next_eligible_time, until.map(|span| in_future(&shop.clock, span)), "{kind:?}");
    }
}

#[tokio::test]
async fn each_bad_outcome_names_its_faults_and_changes_nothing() {
    let shop = open_shop().await;
    let answer = offered(&shop).await;
    let before = stored_customer(&shop, "ada").await;
    let good = || outcome(&answer, 0, OutcomeKind::Shown);
    let late = Some(in_future(&shop.clock, DAY));
    let cases = [
        (OfferOutcome::default(), vec!["customer_id", "decision_id", "offer_id", "kind"]),
        (OfferOutcome { kind: 0, ..good() }, vec!["kind"]),
        (OfferOutcome { kind: 9, ..good() }, vec!["kind"]),
        (
            OfferOutcome { decision_id: "d".into(), offer_id: "o".repeat(137), outcome_time: late, ..good() },
            vec!["decision_id", "offer_id", "outcome_time"],
        ),
        (OfferOutcome { case_id: "case".into(), ..good() }, vec!["case_id"]),
        (
            OfferOutcome { customer_id: "x".repeat(129), case_id: "c\0".into(), ..good() },
            vec!["customer_id", "case_id"],
        ),
    ];
    let outcomes = cases.iter().map(|(outcome, _)| outcome.clone()).collect();
    let request = RecordOutcomesRequest { outcomes };
    let recorded = shop.feedback().record_outcomes(request).await.expect("answers").into_inner();
    for (place, ((outcome, fields), result)) in cases.iter().zip(&recorded.results).enumerate() {
        let expected: Vec<String> = fields.iter().map(|field| format!("outcomes[{place}].{field}")).collect();
        assert_eq!(bad_fields(&entry_refusal(result)), expected, "{outcome:?}");
    }
    assert_eq!(stored_customer(&shop, "ada").await, before);
}

#[tokio::test]
async fn an_outcome_of_an_unserved_offer_is_not_found() {
    let shop = open_shop().await;
    let answer = offered(&shop).await;
    let before = stored_customer(&shop, "ada").await;
    let good = || outcome(&answer, 0, OutcomeKind::Accepted);
    let outcomes = vec![
        OfferOutcome { decision_id: REQUEST_ID.into(), ..good() },
        OfferOutcome { customer_id: "bob".into(), ..good() },
        OfferOutcome { offer_id: "product/kettle".into(), ..good() },
    ];
    let request = RecordOutcomesRequest { outcomes };
    let recorded = shop.feedback().record_outcomes(request).await.expect("answers").into_inner();
    let kinds: Vec<(Code, String)> = recorded.results.iter().map(|result| kind(&entry_refusal(result))).collect();
    let not_found = |reason: &str| (Code::NotFound, reason.to_owned());
    let (decision, offer) = (not_found("DECISION_NOT_FOUND"), not_found("OFFER_NOT_SERVED"));
    assert_eq!(kinds, [decision.clone(), decision, offer]);
    assert_eq!(stored_customer(&shop, "ada").await, before);
}

#[tokio::test]
async fn a_complaint_lowers_relationship_health() {
    let shop = open_shop().await;
    let ask = || GetRelationshipHealthRequest { customer_id: "ada".into() };
    let before = shop.relationships().get_relationship_health(ask()).await.expect("answers").into_inner();
    let events = vec![complaint("ada-3", "ada", "case", now(&shop.clock))];
    shop.feedback().record_events(RecordEventsRequest { events }).await.expect("records");
    let after = shop.relationships().get_relationship_health(ask()).await.expect("answers").into_inner();
    let score = |answer: tactful::grpc::generated::tactful::v1::GetRelationshipHealthResponse| {
        answer.relationship_health.expect("always set").score
    };
    assert!(score(after) < score(before));
}

/// Results of recording these events: `None` for a new one, "duplicate", or the reason of the rejection.
async fn results_of(server: &TestServer, events: &[CustomerEvent]) -> Vec<Option<String>> {
    let request = RecordEventsRequest { events: events.to_vec() };
    let answer = server.feedback().record_events(request).await.expect("answers").into_inner();
    let result = |result: &EntryResult| match (is_ok(result), result.duplicate) {
        (true, false) => None,
        (true, true) => Some("duplicate".to_owned()),
        (false, _) => Some(format!("{:?}", kind(&entry_refusal(result)))),
    };
    answer.results.iter().map(result).collect()
}

/// Broken by: treating every known id as a duplicate; comparing the defaults of unset fields as other content.
#[tokio::test]
async fn an_event_id_with_other_content_is_rejected_and_its_repetition_is_a_duplicate() {
    let directory = tempfile::tempdir().expect("a directory");
    for settings in [in_memory(), on_disk(directory.path())] {
        let server = TestServer::with(settings, ManualClock::new()).await;
        let at = ago(&server.clock, DAY);
        let sale = purchase("e", "ada", "kettle", at);
        let returned = CustomerEvent { kind: EventKind::Return.into(), ..sale.clone() };
        let anonymous = CustomerEvent { customer_id: String::new(), ..sale.clone() };
        let visit = event("v", "ada", EventKind::Visit, at);
        let ticket = event("t", "ada", EventKind::SupportTicket, at);
        let batch = [
            // The first event of an id counts, and the others of the batch are compared with it.
            sale.clone(),
            returned.clone(),
            sale.clone(),
            purchase("e", "bob", "toaster", at),
            anonymous.clone(),
            CustomerEvent { product_id: "toaster".into(), ..anonymous.clone() },
            visit.clone(),
            ticket.clone(),
        ];
        let (duplicate, reused) =
            (Some("duplicate".to_owned()), Some("(AlreadyExists, \"EVENT_ID_REUSED\")".to_owned()));
        let expected = [None, reused.clone(), duplicate.clone(), None, None, reused.clone(), None, None];
        assert_eq!(results_of(&server, &batch).await, expected);

        let before = (stored_customer(&server, "ada").await, server.app.store().digest().await.expect("a digest"));
        let repetitions = [
            sale.clone(),
            CustomerEvent { quantity: Some(1), ..sale.clone() },
            anonymous.clone(),
            visit.clone(),
            CustomerEvent { severity: Some(2), ..ticket.clone() },
        ];
        assert_eq!(results_of(&server, &repetitions).await, vec![duplicate.clone(); 5]);
        let others = [
            returned,
            CustomerEvent { quantity: Some(2), ..sale.clone() },
            CustomerEvent { unit_price: Some(gbp(1)), ..sale.clone() },
            CustomerEvent { event_time: Some(ago(&server.clock, DAY * 2)), ..sale },
            CustomerEvent { order_id: "o1".into(), ..anonymous },
            complaint("v", "ada", "case", at),
            CustomerEvent { severity: Some(3), ..ticket },
        ];
        assert_eq!(results_of(&server, &others).await, vec![reused.clone(); 7]);
        let after = (stored_customer(&server, "ada").await, server.app.store().digest().await.expect("a digest"));
        assert_eq!(after, before, "neither repetitions nor rejected events change anything");
        server.stop().await;
    }
}

/// Broken by: comparing the time of an outcome, which defaults to the time of the call.
#[tokio::test]
async fn an_outcome_is_repeated_whatever_its_time_but_its_id_takes_no_event() {
    let shop = open_shop().await;
    let answer = offered(&shop).await;
    let shown = outcome(&answer, 0, OutcomeKind::Shown);
    let request = |shown: OfferOutcome| RecordOutcomesRequest { outcomes: vec![shown] };
    shop.feedback().record_outcomes(request(shown.clone())).await.expect("records");
    shop.clock.advance(DAY);
    let dated = OfferOutcome { outcome_time: Some(ago(&shop.clock, DAY / 2)), ..shown.clone() };
    for repetition in [shown, dated] {
        let recorded = shop.feedback().record_outcomes(request(repetition)).await.expect("records").into_inner();
        assert!(is_ok(&recorded.results[0]) && recorded.results[0].duplicate, "{recorded:?}");
    }
    let id = format!("outcome/{}/1/shown", answer.decision_id);
    let visit = event(&id, "ada", EventKind::Visit, ago(&shop.clock, DAY));
    let reused = Some("(AlreadyExists, \"EVENT_ID_REUSED\")".to_owned());
    assert_eq!(results_of(&shop, &[visit]).await, [reused]);
}

#[tokio::test]
async fn a_stream_counts_reused_event_ids() {
    let shop = TestServer::in_memory().await;
    let at = ago(&shop.clock, DAY);
    let bought = |product: &str| purchase("e", "ada", product, at);
    let parts = vec![
        StreamEventsRequest { events: vec![bought("kettle"), CustomerEvent::default()] },
        StreamEventsRequest { events: vec![bought("toaster"), bought("kettle")] },
    ];
    let answer = shop.feedback().stream_events(tokio_stream::iter(parts)).await.expect("answers").into_inner();
    assert_eq!((answer.recorded, answer.duplicates, answer.rejected, answer.reused_ids), (1, 1, 2, 1));
}

/// Long ids fill a commit long before 64 events do: then fewer go into each.
#[tokio::test]
async fn events_with_the_longest_ids_are_all_recorded() {
    let directory = tempfile::tempdir().expect("a directory");
    for settings in [in_memory(), on_disk(directory.path())] {
        let server = TestServer::with(settings, ManualClock::new()).await;
        let long = |number: usize| format!("{number:0>128}");
        let at = ago(&server.clock, DAY * 3);
        let sold = |number: usize| CustomerEvent {
            order_id: long(number),
            ..purchase(&long(number), "ada", &long(number % 150), at)
        };
        record(&server, (0..1000).map(sold).collect()).await;
        let ada = stored_customer(&server, "ada").await.expect("known");
        let things = ada.holdings.len() + usize::try_from(ada.older_holdings).expect("few");
        assert_eq!(things, 150, "nothing bought is forgotten");
        assert_eq!(server.app.store().counts().await.expect("counts").events, 1000);
        server.stop().await;
    }
}

/// Decisions wait in the customer's value until they are copied to the decision log; meanwhile they evict nothing.
///
/// Broken by: one limit for the customer together with what waits, which evicts a quarter of the holdings.
#[tokio::test]
async fn decisions_on_their_way_to_the_log_evict_nothing() {
    let directory = tempfile::tempdir().expect("a directory");
    for settings in [in_memory(), on_disk(directory.path())] {
        let server = TestServer::with(settings, ManualClock::new()).await;
        stock(&server).await;
        let at = ago(&server.clock, DAY * 3);
        let bought = |number: usize| purchase(&number.to_string(), "ada", &format!("{number:0>60}"), at);
        record(&server, (0..150).map(bought).collect()).await;
        for _ in 0..10 {
            server.offers().cross_sell(cross_sell("ada")).await.expect("answers");
        }
        let ada = stored_customer(&server, "ada").await.expect("known");
        assert_eq!((ada.holdings.len(), ada.older_holdings), (152, 0));
        server.stop().await;
    }
}
