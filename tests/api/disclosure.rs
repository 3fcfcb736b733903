//! The reasons of holds and quiet periods are for callers who may list holds; all others learn that offers are not made now.

use std::time::Duration;

use prost_types::Timestamp;
use tactful::domain::time::DAY;
use tactful::grpc::access::role_of;
use tactful::grpc::generated::tactful::v1::customer_service_client::CustomerServiceClient;
use tactful::grpc::generated::tactful::v1::explain_decision_request::About;
use tactful::grpc::generated::tactful::v1::feedback_service_client::FeedbackServiceClient;
use tactful::grpc::generated::tactful::v1::offer_service_client::OfferServiceClient;
use tactful::grpc::generated::tactful::v1::relationship_service_client::RelationshipServiceClient;
use tactful::grpc::generated::tactful::v1::{
    BatchCrossSellRequest, BatchGetRelationshipHealthRequest, BatchUpSellRequest, BatchUpsertCustomersRequest,
    Consents, CreateHoldRequest, CrossSellRequest, CustomerEvent, CustomerProfile, EventKind, Explain,
    ExplainDecisionRequest, GetRelationshipHealthRequest, HoldReason, OfferKind, RecordEventsRequest,
    ReleaseOffersRequest, SimulateRelationshipHealthRequest, UpSellRequest, WhatIf,
};
use tonic::metadata::MetadataValue;
use tonic::service::Interceptor;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::Channel;
use tonic::{Request, Status};

use super::security::{jwk, start_with_tokens, token};
use crate::support::certificates::key;
use crate::support::wire_shop::{complaint, cross_sell, event, up_sell};

/// Adds a bearer token to each request.
#[derive(Clone)]
struct Bearer(String);

impl Interceptor for Bearer {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        let header: MetadataValue<_> = format!("Bearer {}", self.0).parse().expect("a header");
        request.metadata_mut().insert("authorization", header);
        Ok(request)
    }
}

type Calls = InterceptedService<Channel, Bearer>;

/// Name of the role that a method requires, as access rules write it.
fn role_name(path: &str) -> &'static str {
    role_of(path).expect("a method").as_str()
}

fn ago(span: Duration) -> Timestamp {
    let seconds = 1_700_000_000 - i64::try_from(span.as_secs()).expect("a short span");
    Timestamp { seconds, nanos: 0 }
}

/// Every way in which offers to a customer are paused by default, each for a customer of its own, with words that give it
/// away.
const PAUSES: [(&str, &[&str]); 10] = [
    ("c0", &["opt_out", "optout", "opted out"]),
    ("c1", &["profiling"]),
    ("c2", &["complain", "case-2"]),
    ("c3", &["agent", "on hold since"]),
    ("c4", &["cancel", "notice"]),
    ("c5", &["collection", "debt"]),
    ("c6", &["bereave"]),
    ("c7", &["vulnerab", "particular care"]),
    ("c8", &["ticket"]),
    ("c9", &["trouble", "failed"]),
];

async fn pause_all(calls: &Calls) {
    let consents = |customer: &str, consents| CustomerProfile {
        customer_id: customer.into(),
        consents: Some(consents),
        ..CustomerProfile::default()
    };
    let customers = vec![
        consents("c0", Consents { opted_out: true, ..Consents::default() }),
        consents("c1", Consents { objects_to_profiling: true, ..Consents::default() }),
    ];
    let request = BatchUpsertCustomersRequest { customers };
    CustomerServiceClient::new(calls.clone()).batch_upsert_customers(request).await.expect("upserts");
    let soon = ago(Duration::from_secs(60));
    let ticket = CustomerEvent { severity: Some(1), ..event("e2", "c8", EventKind::SupportTicket, soon) };
    let events =
        vec![complaint("e1", "c2", "case-2", ago(DAY)), ticket, event("e3", "c9", EventKind::PaymentFailed, soon)];
    let recorded =
        FeedbackServiceClient::new(calls.clone()).record_events(RecordEventsRequest { events }).await.expect("records");
    assert!(recorded.into_inner().results.iter().all(|result| result.status.as_ref().is_some_and(|it| it.code == 0)));
    for (customer, reason) in [
        ("c3", HoldReason::AgentHold),
        ("c4", HoldReason::CancellationNotice),
        ("c5", HoldReason::Collections),
        ("c6", HoldReason::Bereavement),
        ("c7", HoldReason::Vulnerability),
    ] {
        let request = CreateHoldRequest {
            customer_id: customer.into(),
            reason: reason.into(),
            note: "a note on hold since yesterday".to_owned(),
            ..CreateHoldRequest::default()
        };
        RelationshipServiceClient::new(calls.clone()).create_hold(request).await.expect("creates");
    }
}

/// Everything that a caller with the role `offers` can read about a customer.
async fn readable(calls: &Calls, customer: &str) -> String {
    let mut offers = OfferServiceClient::new(calls.clone());
    let mut relationships = RelationshipServiceClient::new(calls.clone());
    let full = CrossSellRequest { explain: Explain::Full.into(), ..cross_sell(customer) };
    let cross = offers.cross_sell(full.clone()).await.expect("answers").into_inner();
    assert!(cross.offers.is_empty(), "{cross:?}");
    let up = UpSellRequest { explain: Explain::Full.into(), ..up_sell(customer) };
    let release = ReleaseOffersRequest {
        customer_id: customer.into(),
        decision_id: cross.decision_id.clone(),
        ..ReleaseOffersRequest::default()
    };
    let explain = |about| ExplainDecisionRequest { customer_id: customer.into(), about: Some(about) };
    let recorded = explain(About::DecisionId(cross.decision_id.clone()));
    let what_if = explain(About::WhatIf(WhatIf { kind: OfferKind::CrossSell.into(), ..WhatIf::default() }));
    let health = GetRelationshipHealthRequest { customer_id: customer.into() };
    let healths = BatchGetRelationshipHealthRequest { customer_ids: vec![customer.into()] };
    let simulation = SimulateRelationshipHealthRequest {
        customer_id: customer.into(),
        ..SimulateRelationshipHealthRequest::default()
    };
    let read = format!(
        "{cross:?}\n{:?}\n{:?}\n{:?}\n{:?}\n{:?}\n{:?}\n{:?}\n{:?}\n{:?}",
        offers.up_sell(up.clone()).await.expect("answers").into_inner(),
        offers.batch_cross_sell(BatchCrossSellRequest { requests: vec![full] }).await.expect("answers").into_inner(),
        offers.batch_up_sell(BatchUpSellRequest { requests: vec![up] }).await.expect("answers").into_inner(),
        offers.release_offers(release).await.expect("releases").into_inner(),
        offers.explain_decision(recorded).await.expect("explains").into_inner(),
        offers.explain_decision(what_if).await.expect("explains").into_inner(),
        relationships.get_relationship_health(health).await.expect("answers").into_inner(),
        relationships.batch_get_relationship_health(healths).await.expect("answers").into_inner(),
        relationships.simulate_relationship_health(simulation).await.expect("answers").into_inner(),
    );
    read.to_lowercase()
}

/// Broken by: a role that is not asked for in any one of the methods, a hold's note, a script that fits the hold, the
/// counts behind a component, the time since which a cap holds.
#[tokio::test]
async fn only_callers_who_may_list_holds_learn_why_offers_are_paused() {
    let callers = format!(
        r#"
[[callers]]
identity = "jwt:web"
roles = ["{offers}"]

[[callers]]
identity = "jwt:desk"
roles = ["{offers}", "{holds}", "{profiles}", "{events}"]

[jwt]
keys = "jwks.json"
algorithms = ["ES256"]
issuer = "https://issuer.example.org"
audience = "tactful"
"#,
        offers = role_name("/tactful.v1.OfferService/CrossSell"),
        holds = role_name("/tactful.v1.RelationshipService/ListHolds"),
        profiles = role_name("/tactful.v1.CustomerService/BatchUpsertCustomers"),
        events = role_name("/tactful.v1.FeedbackService/RecordEvents"),
    );
    let key = key();
    let set = serde_json::json!({"keys": [jwk(&key)]});
    let (_directory, channel) = start_with_tokens(&set, &callers).await.expect("starts");
    let of = |name: &str| {
        let name = name.to_owned();
        InterceptedService::new(channel.clone(), Bearer(token(&key, move |claims| claims["sub"] = name.into())))
    };
    let (web, desk) = (of("web"), of("desk"));
    pause_all(&desk).await;
    for (customer, words) in PAUSES {
        let (seen, full) = (readable(&web, customer).await, readable(&desk, customer).await);
        assert!(seen.contains("not now: no offers"), "{customer}: {seen}");
        assert!(words.iter().any(|word| full.contains(word)), "{customer}: {full}");
        for time in ["since_time: some", "resolved_time: some"] {
            assert!(!seen.contains(time), "{customer}: {time} is in {seen}");
        }
        for (_, words) in PAUSES {
            for word in words {
                assert!(!seen.contains(word), "{customer}: `{word}` is in {seen}");
            }
        }
    }
}
