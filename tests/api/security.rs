//! Security: authentication, authorisation, and certificate rotation without dropped connections.
//!
//! Broken by, each observed: a CA that is not checked; roles that are not checked; a method without a role; certificates read
//! once; the algorithm of the token's header; a key set with a symmetric key. Five rotations; 50 in the long form
//! (`TACTFUL_LONG=1`).

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use base64::prelude::{BASE64_URL_SAFE_NO_PAD, Engine};
use prost::Message;
use rcgen::{ExtendedKeyUsagePurpose, KeyPair, SanType, date_time_ymd};
use tactful::grpc::access::{ROLES, role_of};
use tactful::grpc::generated::FILE_DESCRIPTOR_SET;
use tactful::grpc::generated::tactful::v1::customer_service_client::CustomerServiceClient;
use tactful::grpc::generated::tactful::v1::model_service_client::ModelServiceClient;
use tactful::grpc::generated::tactful::v1::offer_service_client::OfferServiceClient;
use tactful::grpc::generated::tactful::v1::{CrossSellRequest, GetCustomerRequest, GetModelRequest};
use tactful::server::serve::Server;
use tempfile::TempDir;
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity};
use tonic::{Code, Request, Status};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;

use super::harness::{ManualClock, TestServer, until, within_timeout, written};
use crate::support::certificates::{Authority, key, name_caller};
use crate::support::long_form::short_or_long;
use crate::support::wire_shop::preview;

const CHECKOUT: &str = "spiffe://example.org/ns/shop/sa/checkout";

/// Server with TLS, and the directory of its files.
struct SecuredServer {
    directory: TempDir,
    authority: Authority,
    address: std::net::SocketAddr,
    health: std::net::SocketAddr,
}

const ACCESS: &str = r#"
[[callers]]
identity = "spiffe://example.org/ns/shop/sa/checkout"
roles = ["offers"]

[[callers]]
identity = "dns:desk.example.org"
roles = ["agent", "operator"]
"#;

impl SecuredServer {
    async fn start(access: Option<&str>) -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let authority = Authority::new();
        put(directory.path(), &authority.server());
        std::fs::write(directory.path().join("ca.pem"), authority.pem()).expect("writes");
        let path = |name: &str| directory.path().join(name).to_str().expect("UTF-8").to_owned();
        let mut written = written()
            .with("tls-cert", path("tls.crt"))
            .with("tls-key", path("tls.key"))
            .with("client-ca", path("ca.pem"))
            .with("health-listen", "127.0.0.1:0");
        if let Some(text) = access {
            std::fs::write(path("access.toml"), text).expect("writes");
            written = written.with("access", path("access.toml"));
        }
        let settings = written.check().expect("valid settings");
        let server = Server::build(settings, Some(ManualClock::new())).await.expect("starts");
        let (address, health) = (server.local_addr(), server.health_addr().expect("requested"));
        tokio::spawn(server.run(std::future::pending()));
        Self { directory, authority, address, health }
    }

    async fn connect(&self, caller: Option<&[String; 2]>) -> Result<Channel, String> {
        let mut tls = ClientTlsConfig::new().ca_certificate(Certificate::from_pem(self.authority.pem()));
        tls = tls.domain_name("localhost");
        if let Some([certificate, key]) = caller {
            tls = tls.identity(Identity::from_pem(certificate, key));
        }
        let endpoint = Endpoint::from_shared(format!("https://{}", self.address)).expect("a URI");
        let channel = endpoint.tls_config(tls).expect("TLS").connect().await.map_err(|error| format!("{error:?}"))?;
        // With TLS 1.3 a client learns of its rejected certificate only with the first response.
        match HealthClient::new(channel.clone()).check(HealthCheckRequest::default()).await {
            Ok(_) => Ok(channel),
            Err(status) => Err(format!("{status:?}")),
        }
    }
}

fn put(directory: &Path, [certificate, key]: &[String; 2]) {
    // The key first: a reload between the two finds a pair that does not match, and keeps the previous one.
    std::fs::write(directory.join("tls.key"), key).expect("writes");
    std::fs::write(directory.join("tls.crt"), certificate).expect("writes");
}

async fn call(channel: &Channel) -> Result<(), Status> {
    OfferServiceClient::new(channel.clone()).cross_sell(preview("ada")).await.map(|_| ())
}

#[tokio::test]
async fn only_clients_with_a_valid_certificate_connect() {
    let server = SecuredServer::start(None).await;
    let authority = &server.authority;
    let good = server.connect(Some(&authority.caller(CHECKOUT))).await.expect("connects");
    call(&good).await.expect("without rules every client may call everything");

    let expired = authority.sign(|params| {
        name_caller(params, CHECKOUT);
        (params.not_before, params.not_after) = (date_time_ymd(2020, 1, 1), date_time_ymd(2021, 1, 1));
    });
    let wrong_usage = authority.sign(|params| {
        name_caller(params, CHECKOUT);
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    });
    let of_others = Authority::new().caller(CHECKOUT);
    for (kind, caller) in
        [("none", None), ("expired", Some(expired)), ("for servers", Some(wrong_usage)), ("of others", Some(of_others))]
    {
        let refused = within_timeout(server.connect(caller.as_ref())).await;
        assert!(refused.is_err(), "a client with a certificate {kind} connects");
    }
    let plain = Endpoint::from_shared(format!("http://{}", server.address)).expect("a URI");
    let refused =
        async { call(&plain.connect().await.map_err(|error| error.to_string())?).await.map_err(|it| it.to_string()) };
    assert!(within_timeout(refused).await.is_err(), "a plain-text call is answered");
}

/// Broken by: a TLS handshake that fails on the preface, after which the client knows of a broken connection only.
#[tokio::test]
async fn a_plaintext_client_of_a_tls_port_reads_what_is_wrong() {
    let server = SecuredServer::start(None).await;
    let plain = Endpoint::from_shared(format!("http://{}", server.address)).expect("a URI");
    let answer = async { call(&plain.connect().await.expect("the connection is accepted")).await };
    let status = within_timeout(answer).await.expect_err("a plain-text call is answered");
    let causes = std::iter::successors(Some(&status as &dyn std::error::Error), |error| error.source());
    let causes: Vec<String> = causes.map(ToString::to_string).collect();
    assert!(causes.join(": ").contains("this port serves gRPC with TLS"), "{causes:?}");

    let response = within_timeout(raw_answer(server.address, b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")).await;
    assert!(response.starts_with("HTTP/1.1 400 Bad Request\r\n"), "{response}");
    assert!(response.ends_with("this port serves gRPC with TLS: connect with TLS (https://)\n"), "{response}");
}

/// Broken by: a TLS record that is read as a preface, after which the connection closes without an answer.
#[tokio::test]
async fn a_tls_client_of_a_plaintext_port_reads_what_is_wrong() {
    let server = TestServer::in_memory().await;
    let response = within_timeout(raw_answer(server.address, &[22, 3, 1, 0, 5, 1, 0, 0, 1, 0])).await;
    assert!(response.ends_with("this port serves gRPC without TLS: connect without TLS (http://)\n"), "{response}");
    let authority = Authority::new();
    let tls = ClientTlsConfig::new().ca_certificate(Certificate::from_pem(authority.pem())).domain_name("localhost");
    let endpoint = Endpoint::from_shared(format!("https://{}", server.address)).expect("a URI");
    let error = within_timeout(endpoint.tls_config(tls).expect("TLS").connect()).await.expect_err("no TLS there");
    assert!(format!("{error:?}").contains("InvalidContentType"), "{error:?}");
}

/// Sends bytes and returns all that comes back until the server closes the connection.
async fn raw_answer(address: std::net::SocketAddr, bytes: &[u8]) -> String {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let mut stream = tokio::net::TcpStream::connect(address).await.expect("connects");
    stream.write_all(bytes).await.expect("sends");
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.expect("reads to the end");
    String::from_utf8_lossy(&answer).into_owned()
}

#[tokio::test]
async fn clients_may_call_only_what_their_roles_allow() {
    let server = SecuredServer::start(Some(ACCESS)).await;
    let authority = &server.authority;
    let checkout = server.connect(Some(&authority.caller(CHECKOUT))).await.expect("connects");
    let desk = authority.sign(|params| {
        params.subject_alt_names = vec![SanType::DnsName("desk.example.org".try_into().expect("a name"))];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    });
    let desk = server.connect(Some(&desk)).await.expect("connects");
    let stranger =
        server.connect(Some(&authority.caller("spiffe://example.org/ns/other/sa/x"))).await.expect("connects");

    let codes = async |channel: &Channel| {
        let request = GetCustomerRequest { customer_id: "ada".into() };
        let customer = CustomerServiceClient::new(channel.clone()).get_customer(request).await.map(|_| ());
        let model = ModelServiceClient::new(channel.clone()).get_model(GetModelRequest {}).await.map(|_| ());
        [call(channel).await, customer, model].map(|answer| answer.map_or_else(|status| status.code(), |()| Code::Ok))
    };
    assert_eq!(codes(&checkout).await, [Code::Ok, Code::PermissionDenied, Code::PermissionDenied]);
    assert_eq!(codes(&desk).await, [Code::PermissionDenied, Code::NotFound, Code::NotFound]);
    assert_eq!(codes(&stranger).await, [Code::PermissionDenied; 3]);
}

/// Methods that each role opens.
const OPENED: &[(&str, &[&str])] = &[
    (
        "offers",
        &[
            "OfferService/CrossSell",
            "OfferService/UpSell",
            "OfferService/BatchCrossSell",
            "OfferService/BatchUpSell",
            "OfferService/ExplainDecision",
            "OfferService/ReleaseOffers",
            "RelationshipService/GetRelationshipHealth",
            "RelationshipService/BatchGetRelationshipHealth",
            "RelationshipService/SimulateRelationshipHealth",
        ],
    ),
    (
        "ingest",
        &[
            "FeedbackService/RecordOutcomes",
            "FeedbackService/RecordEvents",
            "FeedbackService/StreamEvents",
            "CatalogService/BatchUpsertProducts",
            "CatalogService/StreamProducts",
            "CatalogService/GetProduct",
            "CatalogService/ListProducts",
            "CatalogService/DeleteProduct",
            "CatalogService/BatchUpsertOffers",
            "CatalogService/GetOffer",
            "CatalogService/ListOffers",
            "CatalogService/DeleteOffer",
            "CustomerService/BatchUpsertCustomers",
            "CustomerService/MergeCustomers",
        ],
    ),
    (
        "agent",
        &[
            "CustomerService/GetCustomer",
            "CustomerService/UnmergeCustomers",
            "RelationshipService/CreateHold",
            "RelationshipService/ListHolds",
            "RelationshipService/DeleteHold",
        ],
    ),
    (
        "operator",
        &[
            "RelationshipService/GetBackfireReport",
            "ModelService/TrainModel",
            "ModelService/GetModel",
            "PolicyService/CreatePolicy",
            "PolicyService/GetPolicy",
            "PolicyService/ListPolicies",
            "PolicyService/ActivatePolicy",
            "PolicyService/RollBackPolicy",
            "PolicyService/SimulatePolicy",
        ],
    ),
    ("privacy", &["CustomerService/ExportCustomer"]),
    ("erasure", &["CustomerService/EraseCustomer"]),
    ("backup", &["BackupService/CreateBackup"]),
];

/// Calls a method with an empty message.
async fn call_empty(channel: &Channel, path: &str) -> Code {
    let mut client = tonic::client::Grpc::new(channel.clone());
    client.ready().await.expect("connected");
    let path = path.parse().expect("a path");
    let codec = tonic_prost::ProstCodec::<(), ()>::default();
    let response = client.server_streaming(Request::new(()), path, codec).await;
    match response {
        Err(status) => status.code(),
        Ok(response) => response.into_inner().message().await.map_or_else(|status| status.code(), |_| Code::Ok),
    }
}

/// Every method is open to exactly one role, each tried with a client that has no other.
/// Broken by: erasure that the role to read a customer opens; holds that need the role of policies.
#[tokio::test]
async fn each_role_opens_its_methods_and_no_others() {
    let rules = OPENED.iter().fold(String::new(), |rules, (role, _)| {
        format!("{rules}[[callers]]\nidentity = \"dns:{role}.example.org\"\nroles = [\"{role}\"]\n")
    });
    let server = SecuredServer::start(Some(&rules)).await;
    let listed: BTreeSet<String> = ROLES.iter().map(|(path, _)| path.replace("/tactful.v1.", "")).collect();
    let expected = OPENED.iter().flat_map(|(_, methods)| methods.iter().map(|&method| method.to_owned()));
    assert_eq!(listed, expected.collect());
    for (role, opened) in OPENED {
        let caller = server.authority.sign(|params| {
            let name = format!("{role}.example.org");
            params.subject_alt_names = vec![SanType::DnsName(name.try_into().expect("a name"))];
            params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        });
        let channel = server.connect(Some(&caller)).await.expect("connects");
        for method in &listed {
            let code = within_timeout(call_empty(&channel, &format!("/tactful.v1.{method}"))).await;
            let is_open = code != Code::PermissionDenied;
            assert_eq!(is_open, opened.contains(&method.as_str()), "{role} calls {method}: {code:?}");
        }
    }
}

#[test]
fn every_method_has_one_role() {
    let descriptors = prost_types::FileDescriptorSet::decode(FILE_DESCRIPTOR_SET).expect("ours");
    let methods: BTreeSet<String> = descriptors
        .file
        .iter()
        .flat_map(|file| file.service.iter().map(move |service| (file.package().to_owned(), service)))
        .filter(|(package, _)| package.starts_with("tactful."))
        .flat_map(|(package, service)| {
            service.method.iter().map(move |method| format!("/{package}.{}/{}", service.name(), method.name()))
        })
        .collect();
    let with_role: Vec<&str> = ROLES.iter().map(|(path, _)| *path).collect();
    assert_eq!(methods, with_role.iter().map(|&path| path.to_owned()).collect());
    assert_eq!(with_role.len(), methods.len(), "a method is there twice");
    assert_eq!(role_of("/tactful.v1.OfferService/Unheard"), None);
}

#[tokio::test]
async fn a_rotation_drops_no_connection_and_an_invalid_one_changes_nothing() {
    let server = SecuredServer::start(Some(ACCESS)).await;
    let caller = server.authority.caller(CHECKOUT);
    let old = server.connect(Some(&caller)).await.expect("connects");
    let before = certificate_of(&server).await;

    std::fs::write(server.directory.path().join("tls.crt"), "torn").expect("writes");
    call(&old).await.expect("the connection stays");
    server.connect(Some(&caller)).await.expect("the previous certificate stays in use");

    // New connections are made during all rotations, and none may fail.
    let server = Arc::new(server);
    let (connecting, caller) = (Arc::clone(&server), caller);
    let ends = Arc::new(AtomicBool::new(false));
    let connections = tokio::spawn({
        let ends = Arc::clone(&ends);
        async move {
            let mut made = 0_u64;
            while !ends.load(Ordering::SeqCst) {
                call(&connecting.connect(Some(&caller)).await.expect("connects")).await.expect("is answered");
                made += 1;
            }
            made
        }
    });
    for _ in 0..short_or_long(5, 50) {
        let was = certificate_of(&server).await;
        put(server.directory.path(), &server.authority.server());
        until(async || certificate_of(&server).await != was).await;
        call(&old).await.expect("the connection stays");
    }
    ends.store(true, Ordering::SeqCst);
    let made = within_timeout(connections).await.expect("no handshake fails");
    eprintln!("{made} new connections over the rotations");
    assert_ne!(certificate_of(&server).await, before);

    let access = ACCESS.replace("\"offers\"", "\"ingest\"");
    std::fs::write(server.directory.path().join("access.toml"), access).expect("writes");
    until(async || call(&old).await.is_err_and(|status| status.code() == Code::PermissionDenied)).await;
}

/// The certificate that the server presents.
async fn certificate_of(server: &SecuredServer) -> Vec<u8> {
    use rustls::pki_types::pem::PemObject;
    let mut roots = rustls::RootCertStore::empty();
    let authority = server.authority.pem();
    let authority = rustls::pki_types::CertificateDer::from_pem_slice(authority.as_bytes()).expect("PEM");
    roots.add(authority).expect("a CA");
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let config = config.expect("versions").with_root_certificates(roots).with_no_client_auth();
    let stream = tokio::net::TcpStream::connect(server.address).await.expect("connects");
    let name = rustls::pki_types::ServerName::try_from("localhost").expect("a name");
    let stream = tokio_rustls::TlsConnector::from(Arc::new(config)).connect(name, stream).await.expect("shakes hands");
    stream.get_ref().1.peer_certificates().expect("it has one")[0].to_vec()
}

#[tokio::test]
async fn probes_need_neither_tls_nor_an_identity() {
    let server = SecuredServer::start(Some(ACCESS)).await;
    let channel = Endpoint::from_shared(format!("http://{}", server.health)).expect("a URI").connect().await;
    let mut health = HealthClient::new(channel.expect("connects"));
    for service in ["liveness", "tactful.v1.OfferService"] {
        let request = HealthCheckRequest { service: service.to_owned() };
        let status = within_timeout(health.check(request)).await.expect("answers").into_inner().status;
        assert_eq!(status, i32::from(ServingStatus::Serving), "{service}");
    }
    let mut offers = OfferServiceClient::new(
        Endpoint::from_shared(format!("http://{}", server.health)).expect("a URI").connect().await.expect("connects"),
    );
    let refused = offers.cross_sell(CrossSellRequest::default()).await.expect_err("nothing else is served there");
    assert_eq!(refused.code(), Code::Unimplemented);
}

// ---------------------------------------------------------------------------------------------------------------------
// Tokens.

const WITH_TOKENS: &str = r#"
[[callers]]
identity = "jwt:desk"
roles = ["offers"]

[jwt]
keys = "jwks.json"
algorithms = ["ES256"]
issuer = "https://issuer.example.org"
audience = "tactful"
"#;

/// A public key as a JSON Web Key.
pub fn jwk(key: &KeyPair) -> serde_json::Value {
    let [0x04, point @ ..] = key.public_key_raw() else { panic!("an uncompressed point") };
    let (x, y) = point.split_at(32);
    let text = |bytes: &[u8]| BASE64_URL_SAFE_NO_PAD.encode(bytes);
    serde_json::json!({"kty": "EC", "crv": "P-256", "kid": "one", "alg": "ES256", "x": text(x), "y": text(y)})
}

pub fn token(key: &KeyPair, change: impl FnOnce(&mut serde_json::Value)) -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_secs();
    let mut claims = serde_json::json!({
        "sub": "desk", "iss": "https://issuer.example.org", "aud": "tactful", "exp": now + 600, "nbf": now - 5,
    });
    change(&mut claims);
    let mut header = jsonwebtoken::Header::new(jsonwebtoken::Algorithm::ES256);
    header.kid = Some("one".to_owned());
    let signing = jsonwebtoken::EncodingKey::from_ec_der(key.serialized_der());
    jsonwebtoken::encode(&header, &claims, &signing).expect("signs")
}

/// Starts a server without TLS on the loopback address that verifies tokens with this key set.
pub async fn start_with_tokens(key_set: &serde_json::Value, rules: &str) -> Result<(TempDir, Channel), String> {
    let directory = tempfile::tempdir().expect("a directory");
    std::fs::write(directory.path().join("jwks.json"), key_set.to_string()).expect("writes");
    std::fs::write(directory.path().join("access.toml"), rules).expect("writes");
    let access = directory.path().join("access.toml").display().to_string();
    let settings = written().with("access", access).check().map_err(|faults| faults.to_string())?;
    let server = Server::build(settings, Some(ManualClock::new())).await.map_err(|error| error.to_string())?;
    let address = server.local_addr();
    tokio::spawn(server.run(std::future::pending()));
    let endpoint = Endpoint::from_shared(format!("http://{address}")).expect("a URI");
    Ok((directory, endpoint.connect().await.expect("connects")))
}

async fn call_with_token(channel: &Channel, token: &str) -> Code {
    let mut request = Request::new(preview("ada"));
    let header = format!("Bearer {token}").parse().expect("a header");
    request.metadata_mut().insert("authorization", header);
    OfferServiceClient::new(channel.clone()).cross_sell(request).await.map_or_else(|status| status.code(), |_| Code::Ok)
}

#[tokio::test]
async fn tokens_are_accepted_only_if_every_claim_is_valid() {
    let key = key();
    let set = serde_json::json!({"keys": [jwk(&key)]});
    let (_directory, channel) = start_with_tokens(&set, WITH_TOKENS).await.expect("starts");
    assert_eq!(call_with_token(&channel, &token(&key, |_| {})).await, Code::Ok);
    assert_eq!(call(&channel).await.expect_err("without a token").code(), Code::Unauthenticated);
    assert_eq!(
        call_with_token(&channel, &token(&key, |claims| claims["sub"] = "x".into())).await,
        Code::PermissionDenied
    );

    let remove = |name: &'static str| {
        move |claims: &mut serde_json::Value| {
            claims.as_object_mut().expect("claims").remove(name);
        }
    };
    let mut wrong = vec![
        token(&key, |claims| claims["exp"] = 1.into()),
        token(&key, |claims| claims["nbf"] = 99_999_999_999_u64.into()),
        token(&key, |claims| claims["iss"] = "https://other.example.org".into()),
        token(&key, |claims| claims["aud"] = "other".into()),
        token(&self::key(), |_| {}),
        String::new(),
        "a.b.c".to_owned(),
    ];
    wrong.extend(["exp", "iss", "aud", "sub"].map(|name| token(&key, remove(name))));
    // Signed with the public key as if it were a shared secret, and not signed at all.
    let right = token(&key, |_| {});
    let claims = right.split('.').nth(1).expect("three parts");
    let none = BASE64_URL_SAFE_NO_PAD.encode(br#"{"alg":"none","typ":"JWT","kid":"one"}"#);
    wrong.push(format!("{none}.{claims}."));
    let secret = jsonwebtoken::EncodingKey::from_secret(key.public_key_raw());
    let far = serde_json::json!({
        "sub": "desk", "iss": "https://issuer.example.org", "aud": "tactful", "exp": 99_999_999_999_u64,
    });
    wrong.push(jsonwebtoken::encode(&jsonwebtoken::Header::default(), &far, &secret).expect("signs"));
    for token in wrong {
        assert_eq!(call_with_token(&channel, &token).await, Code::Unauthenticated, "{token}");
    }
}

#[tokio::test]
async fn a_token_does_not_choose_its_algorithm() {
    let key = key();
    let set = serde_json::json!({"keys": [jwk(&key)]});
    let rules = WITH_TOKENS.replace("ES256", "ES384");
    let (_directory, channel) = start_with_tokens(&set, &rules).await.expect("starts");
    assert_eq!(call_with_token(&channel, &token(&key, |_| {})).await, Code::Unauthenticated);
}

#[tokio::test]
async fn symmetric_key_sets_are_rejected_at_start() {
    let symmetric = serde_json::json!({"keys": [{"kty": "oct", "kid": "one", "k": "AAAA"}]});
    for set in [symmetric, serde_json::json!({"keys": []}), serde_json::json!("no set")] {
        assert!(start_with_tokens(&set, WITH_TOKENS).await.is_err(), "{set}");
    }
}
