//! `FeedbackService`.

use tactful::grpc::generated::tactful::v1 as wire;
use tonic::Code;
use wire::{EventKind, OutcomeKind};

use crate::harness::{Api, HandClock, NOW, at, bought, cross_sell, entry_status, event, on_disk, reason, written};

fn outcome(decision: &str, offer: &str, kind: OutcomeKind) -> wire::OfferOutcome {
    wire::OfferOutcome {
        customer_id: "ann".to_owned(),
        decision_id: decision.to_owned(),
        offer_id: offer.to_owned(),
        kind: kind.into(),
        outcome_time: at(NOW),
        case_id: String::new(),
    }
}

async fn report(api: &Api, outcomes: Vec<wire::OfferOutcome>) -> Vec<wire::EntryResult> {
    let request = wire::RecordOutcomesRequest { outcomes };
    api.feedback().record_outcomes(request).await.expect("an answer").into_inner().results
}

#[tokio::test]
async fn an_event_counts_once_however_often_it_is_sent() {
    let api = Api::start().await;
    let events = vec![bought("1", "ann", "line", 3), bought("1", "ann", "line", 3), bought("2", "ann", "line", 2)];
    for sent in 0..3 {
        let request = wire::RecordEventsRequest { events: events.clone() };
        let results = api.feedback().record_events(request).await.expect("an answer").into_inner().results;
        let duplicates: Vec<bool> = results.iter().map(|result| result.duplicate).collect();
        assert_eq!(duplicates, if sent == 0 { [false, true, false] } else { [true; 3] });
    }
    let request = wire::GetCustomerRequest { customer_id: "ann".to_owned() };
    let ann = api.customers().get_customer(request).await.expect("known").into_inner();
    assert_eq!(ann.holdings[0].bought, 2);
}

#[tokio::test]
async fn a_bad_entry_is_told_and_the_others_are_recorded() {
    let api = Api::start().await;
    let nobody = wire::CustomerEvent { customer_id: String::new(), ..event("2", "", EventKind::Complaint, 1) };
    let request = wire::RecordEventsRequest {
        events: vec![bought("1", "ann", "line", 3), nobody, bought("3", "ann", "line", 1)],
    };
    let results = api.feedback().record_events(request).await.expect("an answer").into_inner().results;
    let codes: Vec<Code> = results.iter().map(|result| entry_status(result).code()).collect();
    assert_eq!(codes, [Code::Ok, Code::InvalidArgument, Code::Ok]);
    assert_eq!(api.tactful.store().counts().await.expect("counts").events, 2);
}

#[tokio::test]
async fn a_stream_is_tallied_and_its_rejections_are_told() {
    let api = Api::start().await;
    let part = |from: u32| wire::StreamEventsRequest {
        events: (from..from + 500).map(|number| bought(&number.to_string(), "ann", "line", 1)).collect(),
    };
    let bad = wire::StreamEventsRequest { events: vec![event("bad", "", EventKind::Visit, 1)] };
    let parts = tokio_stream::iter([part(0), part(500), wire::StreamEventsRequest::default(), part(250), bad]);
    let tally = api.feedback().stream_events(parts).await.expect("an answer").into_inner();
    assert_eq!((tally.recorded, tally.duplicates, tally.rejected), (1000, 500, 1));
    assert_eq!(tally.rejections[0].index, 1500);
}

#[tokio::test]
async fn a_rejected_offer_makes_it_rest_and_the_customer_is_left_in_peace() {
    let api = Api::start().await;
    api.sell_to_ann_and_bob().await;
    let request = wire::CrossSellRequest { max_offers: 1, ..cross_sell("ann") };
    let served = api.offers().cross_sell(request).await.expect("an answer").into_inner();
    let offer = served.offers[0].offer_id.as_str();
    let results = report(
        &api,
        vec![
            outcome(&served.decision_id, offer, OutcomeKind::Shown),
            outcome(&served.decision_id, offer, OutcomeKind::Rejected),
        ],
    )
    .await;
    assert!(results.iter().all(|result| entry_status(result).code() == Code::Ok && !result.duplicate));
    let again = report(&api, vec![outcome(&served.decision_id, offer, OutcomeKind::Rejected)]).await;
    assert!(again[0].duplicate);

    let answer = api.offers().cross_sell(cross_sell("ann")).await.expect("an answer").into_inner();
    assert!(answer.offers.is_empty());
    let cap = answer.cap.expect("a cap bound");
    assert_eq!(cap.kind(), wire::CapKind::BackOff);
    assert_eq!(answer.message, "No offers before 28 November 2023: the customer rejected an offer.");
}

#[tokio::test]
async fn an_outcome_of_what_was_not_served_is_refused() {
    let api = Api::start().await;
    api.sell_to_ann_and_bob().await;
    let served = api.offers().cross_sell(cross_sell("ann")).await.expect("an answer").into_inner();
    let unknown = "6f1c1f0e-6a0b-4d6c-9d6e-0d2b8a1f4c11";
    let results = report(
        &api,
        vec![
            outcome(unknown, &served.offers[0].offer_id, OutcomeKind::Shown),
            outcome(&served.decision_id, "something else", OutcomeKind::Shown),
        ],
    )
    .await;
    let statuses: Vec<_> = results.iter().map(entry_status).collect();
    assert!(statuses.iter().all(|status| status.code() == Code::NotFound));
    assert_eq!([reason(&statuses[0]), reason(&statuses[1])], ["DECISION_NOT_FOUND", "OFFER_NOT_SERVED"]);
}

/// Long ids fill a commit long before 64 events do: then fewer go into each.
#[tokio::test]
async fn events_with_the_longest_ids_are_all_recorded() {
    let directory = tempfile::tempdir().expect("a directory");
    for written in [written(), on_disk(directory.path())] {
        let api = Api::start_with(written, HandClock::new()).await;
        let long = |number: usize| format!("{number:0>128}");
        let sold = |number: usize| wire::CustomerEvent {
            order_id: long(number),
            ..bought(&long(number), "ann", &long(number % 150), 3)
        };
        api.record((0..1000).map(sold).collect()).await;
        let request = wire::GetCustomerRequest { customer_id: "ann".to_owned() };
        let ann = api.customers().get_customer(request).await.expect("known").into_inner();
        let known = ann.holdings.len() + usize::try_from(ann.older_holdings).expect("few");
        assert_eq!(known, 150, "nothing bought is forgotten");
        assert_eq!(api.tactful.store().counts().await.expect("counts").events, 1000);
        api.stop().await.expect("stops");
    }
}
