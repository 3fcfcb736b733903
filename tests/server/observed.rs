//! Log of the real server: audited calls, traces and slow calls are logged; customer ids and secrets are not.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use base64::prelude::{BASE64_URL_SAFE_NO_PAD, Engine};
use hmac::{Hmac, KeyInit, Mac};
use rcgen::KeyPair;
use serde_json::{Value, json};
use sha2::Sha256;
use tactful::grpc::access::ROLES;
use tactful::grpc::generated::tactful::v1 as wire;
use tonic::metadata::MetadataValue;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint};
use tonic::{Request, Status};
use wire::backup_service_client::BackupServiceClient;
use wire::catalog_service_client::CatalogServiceClient;
use wire::customer_service_client::CustomerServiceClient;
use wire::feedback_service_client::FeedbackServiceClient;
use wire::model_service_client::ModelServiceClient;
use wire::offer_service_client::OfferServiceClient;
use wire::policy_service_client::PolicyServiceClient;
use wire::relationship_service_client::RelationshipServiceClient;

use crate::support::running_server::RunningServer;

const CUSTOMER: &str = "ada-with-a-recognizable-id";
const PSEUDONYM_KEY: &str = "a pseudonym key that must stay secret";
const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";

const ACCESS: &str = r#"
[[callers]]
identity = "jwt:desk"
roles = ["offers", "ingest", "agent", "operator", "privacy", "erasure", "backup"]

[jwt]
keys = "jwks.json"
algorithms = ["ES256"]
issuer = "https://issuer.example.org"
audience = "tactful"
"#;

/// Headers that a client sends with every call.
#[derive(Clone, Default)]
struct Headers(BTreeMap<&'static str, String>);

impl tonic::service::Interceptor for Headers {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        for (name, value) in &self.0 {
            request.metadata_mut().insert(*name, MetadataValue::try_from(value).expect("a header"));
        }
        Ok(request)
    }
}

type Caller = InterceptedService<Channel, Headers>;

fn caller<const N: usize>(channel: &Channel, headers: [(&'static str, String); N]) -> Caller {
    InterceptedService::new(channel.clone(), Headers(headers.into()))
}

fn event(id: &str, kind: wire::EventKind, product: &str) -> wire::CustomerEvent {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_secs();
    let yesterday = i64::try_from(now).expect("soon") - 86_400;
    let is_complaint = kind == wire::EventKind::Complaint;
    wire::CustomerEvent {
        event_id: id.to_owned(),
        customer_id: CUSTOMER.to_owned(),
        kind: kind.into(),
        event_time: Some(prost_types::Timestamp { seconds: yesterday, nanos: 0 }),
        product_id: product.to_owned(),
        case_id: if is_complaint { CUSTOMER.to_owned() } else { String::new() },
        severity: is_complaint.then_some(3),
        ..wire::CustomerEvent::default()
    }
}

/// Calls every method, most of them about the customer, with valid and invalid requests. Most responses are ignored.
#[allow(clippy::too_many_lines, reason = "there are as many lines as methods")]
async fn call_everything(caller: &Caller) {
    let id = || CUSTOMER.to_owned();
    let mut catalog = CatalogServiceClient::new(caller.clone());
    let mut feedback = FeedbackServiceClient::new(caller.clone());
    let mut customers = CustomerServiceClient::new(caller.clone());
    let mut relationships = RelationshipServiceClient::new(caller.clone());
    let mut offers = OfferServiceClient::new(caller.clone());
    let mut models = ModelServiceClient::new(caller.clone());
    let mut policies = PolicyServiceClient::new(caller.clone());
    let mut backups = BackupServiceClient::new(caller.clone());

    let product = |id: &str, with: &[&str]| wire::Product {
        product_id: id.to_owned(),
        title: id.to_owned(),
        compatible_with: with.iter().map(|id| (*id).to_owned()).collect(),
        ..wire::Product::default()
    };
    let products = vec![product("kettle", &[]), product("teapot", &["kettle"]), product("", &[])];
    let upserted = catalog.batch_upsert_products(wire::BatchUpsertProductsRequest { products: products.clone() }).await;
    upserted.expect("the caller may");
    let part = wire::StreamProductsRequest { products };
    drop(catalog.stream_products(tokio_stream::iter([part])).await);
    drop(catalog.get_product(wire::GetProductRequest { product_id: id() }).await);
    drop(catalog.list_products(wire::ListProductsRequest::default()).await);
    drop(catalog.delete_product(wire::DeleteProductRequest { product_id: id() }).await);
    drop(catalog.batch_upsert_offers(wire::BatchUpsertOffersRequest::default()).await);
    drop(catalog.get_offer(wire::GetOfferRequest { offer_id: id() }).await);
    drop(catalog.list_offers(wire::ListOffersRequest::default()).await);
    drop(catalog.delete_offer(wire::DeleteOfferRequest { offer_id: id() }).await);

    let events = vec![
        event("bought", wire::EventKind::Purchase, "kettle"),
        event("complained", wire::EventKind::Complaint, ""),
        event("", wire::EventKind::Unspecified, ""),
    ];
    feedback.record_events(wire::RecordEventsRequest { events: events.clone() }).await.expect("records");
    let part = wire::StreamEventsRequest { events };
    drop(feedback.stream_events(tokio_stream::iter([part])).await);
    let profile = wire::CustomerProfile { customer_id: id(), ..wire::CustomerProfile::default() };
    drop(customers.batch_upsert_customers(wire::BatchUpsertCustomersRequest { customers: vec![profile] }).await);
    drop(customers.get_customer(wire::GetCustomerRequest { customer_id: id() }).await);
    drop(customers.get_customer(wire::GetCustomerRequest { customer_id: format!("{CUSTOMER}\n") }).await);

    let health = wire::GetRelationshipHealthRequest { customer_id: id() };
    drop(relationships.get_relationship_health(health).await);
    let health = wire::BatchGetRelationshipHealthRequest { customer_ids: vec![id(), format!("{CUSTOMER}\n")] };
    drop(relationships.batch_get_relationship_health(health).await);
    let simulated = wire::SimulateRelationshipHealthRequest { customer_id: id(), ..Default::default() };
    drop(relationships.simulate_relationship_health(simulated).await);
    let hold = wire::CreateHoldRequest { customer_id: id(), hold_id: id(), ..Default::default() };
    drop(relationships.create_hold(hold).await);
    drop(relationships.list_holds(wire::ListHoldsRequest { customer_id: id() }).await);
    drop(relationships.delete_hold(wire::DeleteHoldRequest { customer_id: id(), hold_id: id() }).await);
    drop(relationships.get_backfire_report(wire::GetBackfireReportRequest::default()).await);

    let request = wire::CrossSellRequest { customer_id: id(), ..Default::default() };
    let response = offers.cross_sell(request.clone()).await.expect("answers").into_inner();
    drop(offers.batch_cross_sell(wire::BatchCrossSellRequest { requests: vec![request.clone(), request] }).await);
    let request = wire::UpSellRequest { customer_id: id(), ..Default::default() };
    drop(offers.up_sell(request.clone()).await);
    drop(offers.batch_up_sell(wire::BatchUpSellRequest { requests: vec![request] }).await);
    let decision_id = response.decision_id;
    let about = wire::explain_decision_request::About::DecisionId(decision_id.clone());
    drop(offers.explain_decision(wire::ExplainDecisionRequest { customer_id: id(), about: Some(about) }).await);
    let offer_ids = vec![id()];
    let release = wire::ReleaseOffersRequest { customer_id: id(), decision_id: decision_id.clone(), offer_ids };
    drop(offers.release_offers(release).await);
    let outcome = wire::OfferOutcome { customer_id: id(), decision_id, offer_id: id(), ..Default::default() };
    drop(feedback.record_outcomes(wire::RecordOutcomesRequest { outcomes: vec![outcome] }).await);

    drop(models.train_model(wire::TrainModelRequest {}).await);
    drop(models.get_model(wire::GetModelRequest {}).await);
    drop(policies.create_policy(wire::CreatePolicyRequest::default()).await);
    drop(policies.get_policy(wire::GetPolicyRequest { version: id() }).await);
    drop(policies.list_policies(wire::ListPoliciesRequest::default()).await);
    drop(policies.activate_policy(wire::ActivatePolicyRequest { version: id() }).await);
    drop(policies.roll_back_policy(wire::RollBackPolicyRequest { version: "default-1".to_owned() }).await);
    drop(policies.simulate_policy(wire::SimulatePolicyRequest::default()).await);
    let mut pieces = backups.create_backup(wire::CreateBackupRequest {}).await.expect("answers").into_inner();
    while pieces.message().await.expect("goes on").is_some() {}

    drop(customers.export_customer(wire::ExportCustomerRequest { customer_id: id() }).await);
    let (from_customer_id, into_customer_id) = (format!("{CUSTOMER}-guest"), id());
    let merge = wire::MergeCustomersRequest { from_customer_id, into_customer_id };
    customers.merge_customers(merge.clone()).await.expect("merges");
    let wire::MergeCustomersRequest { from_customer_id, into_customer_id } = merge;
    let unmerge = wire::UnmergeCustomersRequest { from_customer_id, into_customer_id };
    customers.unmerge_customers(unmerge).await.expect("splits");
    customers.erase_customer(wire::EraseCustomerRequest { customer_id: id() }).await.expect("erases");
    let again = vec![event("too late", wire::EventKind::Purchase, "kettle")];
    drop(feedback.record_events(wire::RecordEventsRequest { events: again }).await);
}

/// Secrets of a server with TLS and tokens, and credentials of a client.
struct Secrets {
    authority: String,
    token: String,
    /// Texts that must not be logged.
    hidden: Vec<String>,
}

fn write_secrets(directory: &Path) -> Secrets {
    let signed = rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("signs");
    let (authority, tls_key) = (signed.cert.pem(), signed.signing_key.serialize_pem());
    let issuer = KeyPair::generate().expect("a key");
    let point = issuer.public_key_raw();
    let base64 = |bytes: &[u8]| BASE64_URL_SAFE_NO_PAD.encode(bytes);
    let (x, y) = (base64(&point[1..33]), base64(&point[33..]));
    let keys = json!({"keys": [{"kty": "EC", "crv": "P-256", "alg": "ES256", "kid": "one", "x": x, "y": y}]});
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_secs();
    let claims = json!({"sub": "desk", "iss": "https://issuer.example.org", "aud": "tactful", "exp": now + 600});
    let mut header = jsonwebtoken::Header::new(jsonwebtoken::Algorithm::ES256);
    header.kid = Some("one".to_owned());
    let signing = jsonwebtoken::EncodingKey::from_ec_der(issuer.serialized_der());
    let token = jsonwebtoken::encode(&header, &claims, &signing).expect("signs");
    let keys = keys.to_string();
    let files = [
        ("access.toml", ACCESS),
        ("jwks.json", &keys),
        ("tls.crt", &authority),
        ("tls.key", &tls_key),
        ("key", PSEUDONYM_KEY),
    ];
    for (name, text) in files {
        std::fs::write(directory.join(name), text).expect("writes");
    }
    let inside_key = tls_key.lines().nth(1).expect("a line of the key").to_owned();
    let hidden = vec![token.clone(), "a.token.that-is-not-one".to_owned(), inside_key, PSEUDONYM_KEY.to_owned()];
    Secrets { authority, token, hidden }
}

fn values(lines: &[String]) -> Vec<Value> {
    lines.iter().map(|line| serde_json::from_str(line).unwrap_or_else(|_| panic!("not JSON: {line}"))).collect()
}

/// Broken by: an audit line with the customer's plain id. No code prints a token or a key that could break it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn log_has_no_customer_ids_or_secrets_and_audit_log_has_pseudonyms() {
    let directory = tempfile::tempdir().expect("a directory");
    let secrets = write_secrets(directory.path());
    let file = |name: &str| directory.path().join(name);
    let server = RunningServer::start_with(&directory.path().join("data"), |command| {
        command.args(["--log", "debug", "--tls-cert"]).arg(file("tls.crt")).arg("--tls-key").arg(file("tls.key"));
        command.arg("--access").arg(file("access.toml")).arg("--log-customer-key").arg(file("key"))
    });
    let tls = ClientTlsConfig::new().ca_certificate(Certificate::from_pem(&secrets.authority)).domain_name("localhost");
    let url = server.url().replace("http:", "https:");
    let endpoint = Endpoint::from_shared(url).expect("a URL").tls_config(tls).expect("TLS");
    let channel = endpoint.connect().await.unwrap_or_else(|error| panic!("{error:?}:\n{}", server.log()));
    call_everything(&caller(&channel, [("authorization", format!("Bearer {}", secrets.token))])).await;
    let unauthenticated = caller(&channel, [("authorization", "Bearer a.token.that-is-not-one".to_owned())]);
    let erase = wire::EraseCustomerRequest { customer_id: CUSTOMER.to_owned() };
    CustomerServiceClient::new(unauthenticated).erase_customer(erase).await.expect_err("access is denied");
    let lines = server.stop_and_read();

    let as_bytes = format!("{:?}", CUSTOMER.as_bytes());
    let as_bytes = as_bytes.trim_matches(['[', ']']);
    for line in &lines {
        assert!(!line.contains(CUSTOMER) && !line.contains(as_bytes), "{line}");
        assert!(!secrets.hidden.iter().any(|secret| line.contains(secret)), "{line}");
    }
    let lines = values(&lines);
    let called: BTreeSet<&str> = lines.iter().filter_map(|line| line["span"]["rpc"].as_str()).collect();
    let all: BTreeSet<&str> = ROLES.iter().map(|(path, _)| path.trim_start_matches('/')).collect();
    assert_eq!(called, all, "every method was called and logged");

    let mut mac = Hmac::<Sha256>::new_from_slice(PSEUDONYM_KEY.as_bytes()).expect("any length");
    mac.update(CUSTOMER.as_bytes());
    let pseudonym = mac.finalize().into_bytes()[..6].iter().fold(String::new(), |hex, byte| format!("{hex}{byte:02x}"));
    let audit = |method: &str| -> Vec<(String, String, String)> {
        let audited = lines.iter().filter(|line| line["target"] == "tactful::audit" && line["rpc"] == method);
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        audited.map(|line| (text(&line["caller"]), text(&line["code"]), text(&line["customer"]))).collect()
    };
    let by_desk = |customer: &str| ("jwt:desk".to_owned(), "OK".to_owned(), customer.to_owned());
    for method in ["ExportCustomer", "EraseCustomer"] {
        assert_eq!(audit(&format!("tactful.v1.CustomerService/{method}"))[0], by_desk(&pseudonym));
    }
    assert_eq!(audit("tactful.v1.RelationshipService/ListHolds"), [by_desk(&pseudonym)]);
    assert_eq!(audit("tactful.v1.PolicyService/ListPolicies"), [by_desk("")]);
    let denied = ("unknown".to_owned(), "UNAUTHENTICATED".to_owned(), String::new());
    assert_eq!(audit("tactful.v1.CustomerService/EraseCustomer")[1], denied);
    let decided =
        lines.iter().find(|line| line["message"] == "offers decided").expect("decisions are logged at debug level");
    assert_eq!(decided["customer"], pseudonym.as_str());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn plain_customer_ids_are_logged_when_configured() {
    let directory = tempfile::tempdir().expect("a directory");
    let server = RunningServer::start_with(&directory.path().join("data"), |command| {
        command.args(["--log", "info", "--log-customer-ids"])
    });
    let export = wire::ExportCustomerRequest { customer_id: CUSTOMER.to_owned() };
    let not_found = CustomerServiceClient::new(server.connect().await).export_customer(export).await;
    assert_eq!(not_found.expect_err("an unknown customer").code(), tonic::Code::NotFound);
    let lines = values(&server.stop_and_read());
    let audit = lines.iter().find(|line| line["target"] == "tactful::audit").expect("an audit line");
    assert_eq!((audit["customer"].as_str(), audit["code"].as_str()), (Some(CUSTOMER), Some("NOT_FOUND")));
}

/// Broken by: a slow-call line without its stages.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn slow_calls_are_logged_with_trace_id_and_stage_durations() {
    let directory = tempfile::tempdir().expect("a directory");
    let server = RunningServer::start_with(&directory.path().join("data"), |command| {
        // Lines are joined to their call whatever the filter.
        command.args(["--log", "warn,tactful::server=info", "--slow-call-threshold", "1ns"])
    });
    let channel = server.connect().await;
    let traced =
        |parent: String, id: &str| caller(&channel, [("traceparent", parent), ("x-request-id", id.to_owned())]);
    let valid = traced(format!("00-{TRACE}-b7ad6b7169203331-00"), "valid");
    let request = || wire::CrossSellRequest { customer_id: CUSTOMER.to_owned(), ..Default::default() };
    OfferServiceClient::new(valid.clone()).cross_sell(request()).await.expect("answers");
    let batch = wire::BatchCrossSellRequest { requests: vec![request()] };
    OfferServiceClient::new(valid.clone()).batch_cross_sell(batch).await.expect("answers");
    let message = || wire::StreamEventsRequest { events: vec![event("e", wire::EventKind::Purchase, "kettle")] };
    FeedbackServiceClient::new(valid).stream_events(tokio_stream::iter([message()])).await.expect("records");
    let invalid = traced(format!("00-{TRACE}-0000000000000000-01"), "invalid");
    let events = message().events;
    FeedbackServiceClient::new(invalid).record_events(wire::RecordEventsRequest { events }).await.expect("records");

    let lines = values(&server.stop_and_read());
    let slow: Vec<&Value> = lines.iter().filter(|line| line["message"] == "slow call").collect();
    let stages = ["convert_ms", "load_ms", "rank_ms", "decide_ms", "apply_ms", "commit_ms", "durable_ms"];
    let summary = |line: &Value| {
        assert!(line["took_ms"].as_f64().is_some_and(|took| took > 0.0) && line["code"] == "OK", "{line}");
        let stages = stages.into_iter().filter(|stage| line[stage].as_f64().is_some_and(|took| took > 0.0));
        let text = |name: &str| line["span"][name].as_str().unwrap_or_default().to_owned();
        (text("rpc"), text("request_id"), text("trace_id"), stages.collect::<Vec<_>>())
    };
    let call = |method: &str, id: &str, trace: &str, stages: &[&'static str]| {
        (format!("tactful.v1.{method}"), id.to_owned(), trace.to_owned(), stages.to_vec())
    };
    let deciding = ["convert_ms", "load_ms", "rank_ms", "decide_ms", "commit_ms", "durable_ms"];
    let recording = ["convert_ms", "load_ms", "durable_ms"];
    let expected = [
        call("OfferService/CrossSell", "valid", TRACE, &deciding),
        call("OfferService/BatchCrossSell", "valid", TRACE, &deciding),
        call("FeedbackService/RecordEvents", "invalid", "", &recording),
    ];
    assert_eq!(slow.into_iter().map(summary).collect::<Vec<_>>(), expected);
}

/// A log that is no terminal has no colours, and values as they are, not as the language's debug output.
/// Broken by: colours that depend on an environment variable only; values logged as `Some(...)`.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_text_log_in_a_file_has_no_colours_and_no_debug_output() {
    let directory = tempfile::tempdir().expect("a directory");
    let log_file = directory.path().join("log");
    let log = std::fs::File::create(&log_file).expect("creates");
    let mut process = std::process::Command::new(env!("CARGO_BIN_EXE_tactful"))
        .args(["serve", "--demo", "--listen", "127.0.0.1:0", "--metrics-listen", "off", "--log-format", "text"])
        .args(["--log", "tactful=debug", "--health-listen", "127.0.0.1:0"])
        .env_remove("NO_COLOR")
        .stdout(std::process::Stdio::null())
        .stderr(log)
        .spawn()
        .expect("the binary runs");
    let text = || std::fs::read_to_string(&log_file).expect("reads");
    let address = loop {
        let serving = text().lines().find(|line| line.contains("serving")).map(str::to_owned);
        if let Some(line) = serving {
            break line.rsplit("address=").next().expect("an address").trim().to_owned();
        }
        assert!(process.try_wait().expect("ours").is_none(), "{}", text());
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    };
    // A connection with the wrong protocol logs its address.
    let mut stream = tokio::net::TcpStream::connect(&address).await.expect("connects");
    tokio::io::AsyncWriteExt::write_all(&mut stream, &[22, 3, 1]).await.expect("sends");
    let mut answer = Vec::new();
    tokio::io::AsyncReadExt::read_to_end(&mut stream, &mut answer).await.expect("an answer");
    let stopped = std::process::Command::new("kill").arg(process.id().to_string()).status().expect("kill is there");
    assert!(stopped.success() && process.wait().expect("ends").success());
    let text = text();
    assert!(text.contains("connection with the wrong protocol rejected"), "{text}");
    for debug in ["\u{1b}", "Some(", "None", "Ok(", "{ "] {
        let line = text.lines().find(|line| line.contains("tactful") && line.contains(debug));
        assert_eq!(line, None, "{debug:?} is in the log");
    }
}

/// Each change of the files to others that cannot be used is reported. That the same fault is reported once is tested in
/// `server::security`, without waiting for polls.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_change_to_a_broken_file_is_reported() {
    let directory = tempfile::tempdir().expect("a directory");
    write_secrets(directory.path());
    let file = |name: &str| directory.path().join(name);
    let server = RunningServer::start_with(&directory.path().join("data"), |command| {
        command.args(["--log", "info"]).arg("--access").arg(file("access.toml"))
    });
    let rejected = |log: &str| log.lines().filter(|line| line.contains("configuration not reloaded")).count();
    let until = async |what: &dyn Fn(&str) -> bool| {
        let waited = tokio::time::timeout(std::time::Duration::from_secs(60), async {
            while !what(&server.log()) {
                tokio::time::sleep(std::time::Duration::from_millis(50)).await;
            }
        });
        waited.await.unwrap_or_else(|_| panic!("{}", server.log()));
    };
    let good = std::fs::read_to_string(file("access.toml")).expect("reads");
    std::fs::write(file("access.toml"), "broken =").expect("writes");
    until(&|log| rejected(log) == 1).await;
    std::fs::write(file("access.toml"), "broken = [").expect("writes");
    until(&|log| rejected(log) == 2).await;
    std::fs::remove_file(file("access.toml")).expect("removes");
    until(&|log| rejected(log) == 3).await;
    std::fs::write(file("access.toml"), good).expect("writes");
    until(&|log| log.contains("again those in use")).await;
    std::fs::write(file("access.toml"), "broken =").expect("writes");
    until(&|log| rejected(log) == 4).await;
}
