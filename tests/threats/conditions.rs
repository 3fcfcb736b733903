//! Hostile conditions of explicit offers: texts whose evaluation, checking or parsing would never end.

use std::time::Duration;

use tactful::grpc::generated::tactful::v1::catalog_service_client::CatalogServiceClient;
use tactful::grpc::generated::tactful::v1::create_policy_request::Source;
use tactful::grpc::generated::tactful::v1::policy_service_client::PolicyServiceClient;
use tactful::grpc::generated::tactful::v1::{
    ActivatePolicyRequest, BatchUpsertOffersRequest, CreatePolicyRequest, ExplicitOffer,
};
use tonic::Code;

use super::steady_client::SteadyClient;
use crate::support::running_server::{RunningServer, stock};

/// Time within which a call must be answered: far more than it needs, and less than for ever.
const ANSWERED_WITHIN: Duration = Duration::from_secs(60);
/// Maximum length of a condition.
const CONDITION_BYTES_MAX: usize = 512;
/// Attributes of the policy.
const POLICY: &str =
    "version = 'attributes'\n[conditions]\nattributes = { segment = 'text', age = 'number', card = 'flag' }\n";

/// Texts within the permitted length that multiply their work with each level, or nest as deeply as they can.
fn hostile_conditions() -> Vec<String> {
    let nested = |levels: usize, list: &str, inner: &str| {
        (0..levels).fold(inner.to_owned(), |inner, _| format!("{list}.all(x, {inner})"))
    };
    let repeated = |text: &str| text.repeat(CONDITION_BYTES_MAX / text.len());
    let conditions = vec![
        nested(13, "[0,0,0,0,0,0]", "true"),
        nested(6, &format!("[{}]", ["0"; 20].join(",")), "age > 0.0"),
        nested(10, "[0,0,0,0]", "x.exists(y, y)"),
        "[0,0,0,0,0,0,0,0].map(a, [0,0,0,0,0,0,0,0].map(b, [a,b])).exists(c, c == age)".to_owned(),
        "segment.matches('(a+)+$')".to_owned(),
        format!("card{}", repeated(" ? card : card").split_at(CONDITION_BYTES_MAX - 16).0),
        repeated("("),
        repeated("["),
        repeated("!"),
        repeated("-"),
        repeated("{1:"),
        repeated("age."),
        repeated("card?"),
        repeated("segment.contains("),
        format!("{}card", repeated("card||").split_at(CONDITION_BYTES_MAX - 8).0),
        format!("age in [{}]", repeated("1,").split_at(CONDITION_BYTES_MAX - 12).0),
    ];
    assert!(conditions.iter().all(|condition| condition.len() <= CONDITION_BYTES_MAX));
    conditions
}

/// Each hostile condition is refused at once, and the server serves meanwhile; the largest condition that is accepted costs
/// nobody else anything. The work of a condition is counted in steps by `decision::conditions`.
/// Broken by: conditions that the cel interpreter evaluates, whose first entry here holds a core for ever.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hostile_conditions_are_refused_and_hold_no_core() {
    let directory = tempfile::tempdir().expect("a directory");
    let mut server = RunningServer::start_on(directory.path(), "127.0.0.1:0", &["--store", "memory"]);
    let channel = server.connect().await;
    stock(&channel).await;
    let mut policies = PolicyServiceClient::new(channel.clone());
    let request = CreatePolicyRequest { source: Some(Source::Toml(POLICY.to_owned())), validate_only: false };
    policies.create_policy(request).await.expect("stored");
    policies.activate_policy(ActivatePolicyRequest { version: "attributes".to_owned() }).await.expect("activates");

    let steady = SteadyClient::start(server.connect().await);
    let mut catalog = CatalogServiceClient::new(channel);
    for condition in hostile_conditions() {
        let offer = ExplicitOffer {
            offer_id: "hostile".to_owned(),
            product_id: "kettle".to_owned(),
            condition: condition.clone(),
            ..ExplicitOffer::default()
        };
        let call = catalog.batch_upsert_offers(BatchUpsertOffersRequest { offers: vec![offer] });
        let response = tokio::time::timeout(ANSWERED_WITHIN, call).await;
        let response = response.unwrap_or_else(|_| panic!("no answer to {condition}")).expect("answers").into_inner();
        let status = response.results[0].status.clone().unwrap_or_default();
        assert_eq!(Code::from(status.code), Code::InvalidArgument, "{condition}: {status:?}");
    }

    // Every product gets offers with the largest condition; each decision evaluates all of them.
    let largest = vec!["age<1.0"; 32].join("||");
    let offers = (0..1_000).map(|number| ExplicitOffer {
        offer_id: format!("large-{number}"),
        product_id: format!("complement{}", number % 60),
        condition: largest.clone(),
        ..ExplicitOffer::default()
    });
    let request = BatchUpsertOffersRequest { offers: offers.collect() };
    let response = tokio::time::timeout(ANSWERED_WITHIN, catalog.batch_upsert_offers(request)).await;
    let results = response.expect("is answered").expect("answers").into_inner().results;
    let accepted = results.iter().filter(|result| result.status.as_ref().is_none_or(|status| status.code == 0));
    assert_eq!(accepted.count(), 1_000);
    steady.stop().await.expect("serves");
    assert!(server.is_alive() && server.panic().is_none());
}
