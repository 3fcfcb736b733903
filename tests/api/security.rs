//! Security: who may connect, who may call what, and what a rotation drops.
//!
//! Broken by, each seen: a CA that is not asked; roles that are not asked; a method without a role; certificates read once; a
//! token's own algorithm; a key set with a symmetric key. Five rotations; 50 in the long form (`TACTFUL_LONG=1`).

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use base64::prelude::{BASE64_URL_SAFE_NO_PAD, Engine};
use prost::Message;
use rcgen::{ExtendedKeyUsagePurpose, KeyPair, SanType, date_time_ymd};
use tactful::config::{Settings, WrittenSettings};
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

use super::harness::{HandClock, until, within_patience, written};
use super::shop::preview;
use crate::support::certificates::{Authority, key, name_caller};
use crate::support::long_form::short_or_long;

const CHECKOUT: &str = "spiffe://example.org/ns/shop/sa/checkout";

/// A server behind TLS in a directory of its files.
struct Behind {
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
roles = ["privacy", "operator"]
"#;

impl Behind {
    async fn tls(access: Option<&str>) -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let authority = Authority::new();
        put(directory.path(), &authority.server());
        std::fs::write(directory.path().join("ca.pem"), authority.pem()).expect("writes");
        let in_directory = |name: &str| directory.path().join(name).to_str().map(str::to_owned);
        if let Some(text) = access {
            std::fs::write(directory.path().join("access.toml"), text).expect("writes");
        }
        let written = WrittenSettings {
            tls_cert: in_directory("tls.crt"),
            tls_key: in_directory("tls.key"),
            client_ca: in_directory("ca.pem"),
            access: access.and_then(|_| in_directory("access.toml")),
            health_listen: Some("127.0.0.1:0".to_owned()),
            ..written()
        };
        let settings: Settings = written.check().expect("right");
        let server = Server::build(settings, Some(HandClock::new())).await.expect("starts");
        let (address, health) = (server.local_addr(), server.health_addr().expect("asked for"));
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
        // With TLS 1.3 a client learns of a refused certificate with its first answer only.
        match HealthClient::new(channel.clone()).check(HealthCheckRequest::default()).await {
            Ok(_) => Ok(channel),
            Err(status) => Err(format!("{status:?}")),
        }
    }
}

fn put(directory: &Path, [certificate, key]: &[String; 2]) {
    // The key first: a look between the two finds a pair that does not fit, and keeps the one before.
    std::fs::write(directory.join("tls.key"), key).expect("writes");
    std::fs::write(directory.join("tls.crt"), certificate).expect("writes");
}

async fn ask(channel: &Channel) -> Result<(), Status> {
    OfferServiceClient::new(channel.clone()).cross_sell(preview("ada")).await.map(|_| ())
}

#[tokio::test]
async fn only_who_has_a_right_certificate_connects() {
    let behind = Behind::tls(None).await;
    let authority = &behind.authority;
    let good = behind.connect(Some(&authority.caller(CHECKOUT))).await.expect("connects");
    ask(&good).await.expect("without rules everybody may do everything");

    let expired = authority.sign(|params| {
        name_caller(params, CHECKOUT);
        (params.not_before, params.not_after) = (date_time_ymd(2020, 1, 1), date_time_ymd(2021, 1, 1));
    });
    let wrong_usage = authority.sign(|params| {
        name_caller(params, CHECKOUT);
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    });
    let of_others = Authority::new().caller(CHECKOUT);
    for (what, caller) in
        [("none", None), ("expired", Some(expired)), ("for servers", Some(wrong_usage)), ("of others", Some(of_others))]
    {
        let refused = within_patience(behind.connect(caller.as_ref())).await;
        assert!(refused.is_err(), "a certificate {what} connects");
    }
    let plain = Endpoint::from_shared(format!("http://{}", behind.address)).expect("a URI");
    let refused =
        async { ask(&plain.connect().await.map_err(|error| error.to_string())?).await.map_err(|it| it.to_string()) };
    assert!(within_patience(refused).await.is_err(), "plain text is answered");
}

#[tokio::test]
async fn callers_do_what_their_roles_say_and_nothing_else() {
    let behind = Behind::tls(Some(ACCESS)).await;
    let authority = &behind.authority;
    let checkout = behind.connect(Some(&authority.caller(CHECKOUT))).await.expect("connects");
    let desk = authority.sign(|params| {
        params.subject_alt_names = vec![SanType::DnsName("desk.example.org".try_into().expect("a name"))];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    });
    let desk = behind.connect(Some(&desk)).await.expect("connects");
    let stranger =
        behind.connect(Some(&authority.caller("spiffe://example.org/ns/other/sa/x"))).await.expect("connects");

    let codes = async |channel: &Channel| {
        let request = GetCustomerRequest { customer_id: "ada".into() };
        let customer = CustomerServiceClient::new(channel.clone()).get_customer(request).await.map(|_| ());
        let model = ModelServiceClient::new(channel.clone()).get_model(GetModelRequest {}).await.map(|_| ());
        [ask(channel).await, customer, model].map(|answer| answer.map_or_else(|status| status.code(), |()| Code::Ok))
    };
    assert_eq!(codes(&checkout).await, [Code::Ok, Code::PermissionDenied, Code::PermissionDenied]);
    assert_eq!(codes(&desk).await, [Code::PermissionDenied, Code::NotFound, Code::NotFound]);
    assert_eq!(codes(&stranger).await, [Code::PermissionDenied; 3]);
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
async fn a_rotation_drops_nothing_and_a_bad_one_changes_nothing() {
    let behind = Behind::tls(Some(ACCESS)).await;
    let caller = behind.authority.caller(CHECKOUT);
    let old = behind.connect(Some(&caller)).await.expect("connects");
    let before = certificate_of(&behind).await;

    std::fs::write(behind.directory.path().join("tls.crt"), "torn").expect("writes");
    ask(&old).await.expect("the connection stays");
    behind.connect(Some(&caller)).await.expect("what was read before stays in use");

    // New connections are made all the while, and none may fail.
    let behind = Arc::new(behind);
    let (connecting, caller) = (Arc::clone(&behind), caller);
    let ends = Arc::new(AtomicBool::new(false));
    let newcomers = tokio::spawn({
        let ends = Arc::clone(&ends);
        async move {
            let mut made = 0_u64;
            while !ends.load(Ordering::SeqCst) {
                ask(&connecting.connect(Some(&caller)).await.expect("connects")).await.expect("is answered");
                made += 1;
            }
            made
        }
    });
    for _ in 0..short_or_long(5, 50) {
        let was = certificate_of(&behind).await;
        put(behind.directory.path(), &behind.authority.server());
        until(async || certificate_of(&behind).await != was).await;
        ask(&old).await.expect("the connection stays");
    }
    ends.store(true, Ordering::SeqCst);
    let made = within_patience(newcomers).await.expect("no handshake fails");
    eprintln!("{made} new connections over the rotations");
    assert_ne!(certificate_of(&behind).await, before);

    let access = ACCESS.replace("\"offers\"", "\"ingest\"");
    std::fs::write(behind.directory.path().join("access.toml"), access).expect("writes");
    until(async || ask(&old).await.is_err_and(|status| status.code() == Code::PermissionDenied)).await;
}

/// The certificate that a handshake is answered with.
async fn certificate_of(behind: &Behind) -> Vec<u8> {
    use rustls::pki_types::pem::PemObject;
    let mut roots = rustls::RootCertStore::empty();
    let authority = behind.authority.pem();
    let authority = rustls::pki_types::CertificateDer::from_pem_slice(authority.as_bytes()).expect("PEM");
    roots.add(authority).expect("a CA");
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let config = config.expect("versions").with_root_certificates(roots).with_no_client_auth();
    let stream = tokio::net::TcpStream::connect(behind.address).await.expect("connects");
    let name = rustls::pki_types::ServerName::try_from("localhost").expect("a name");
    let stream = tokio_rustls::TlsConnector::from(Arc::new(config)).connect(name, stream).await.expect("shakes hands");
    stream.get_ref().1.peer_certificates().expect("it has one")[0].to_vec()
}

#[tokio::test]
async fn probes_need_neither_tls_nor_a_name() {
    let behind = Behind::tls(Some(ACCESS)).await;
    let channel = Endpoint::from_shared(format!("http://{}", behind.health)).expect("a URI").connect().await;
    let mut health = HealthClient::new(channel.expect("connects"));
    for service in ["liveness", "tactful.v1.OfferService"] {
        let request = HealthCheckRequest { service: service.to_owned() };
        let status = within_patience(health.check(request)).await.expect("answers").into_inner().status;
        assert_eq!(status, i32::from(ServingStatus::Serving), "{service}");
    }
    let mut offers = OfferServiceClient::new(
        Endpoint::from_shared(format!("http://{}", behind.health)).expect("a URI").connect().await.expect("connects"),
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
fn jwk(key: &KeyPair) -> serde_json::Value {
    let [0x04, point @ ..] = key.public_key_raw() else { panic!("an uncompressed point") };
    let (x, y) = point.split_at(32);
    let text = |bytes: &[u8]| BASE64_URL_SAFE_NO_PAD.encode(bytes);
    serde_json::json!({"kty": "EC", "crv": "P-256", "kid": "one", "alg": "ES256", "x": text(x), "y": text(y)})
}

fn token(key: &KeyPair, change: impl FnOnce(&mut serde_json::Value)) -> String {
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

/// A server without TLS on this machine's own address, which knows tokens by this key set.
async fn behind_tokens(key_set: &serde_json::Value, rules: &str) -> Result<(TempDir, Channel), String> {
    let directory = tempfile::tempdir().expect("a directory");
    std::fs::write(directory.path().join("jwks.json"), key_set.to_string()).expect("writes");
    std::fs::write(directory.path().join("access.toml"), rules).expect("writes");
    let access = directory.path().join("access.toml").to_str().map(str::to_owned);
    let settings = WrittenSettings { access, ..written() }.check().map_err(|faults| faults.to_string())?;
    let server = Server::build(settings, Some(HandClock::new())).await.map_err(|error| error.to_string())?;
    let address = server.local_addr();
    tokio::spawn(server.run(std::future::pending()));
    let endpoint = Endpoint::from_shared(format!("http://{address}")).expect("a URI");
    Ok((directory, endpoint.connect().await.expect("connects")))
}

async fn ask_with(channel: &Channel, token: &str) -> Code {
    let mut request = Request::new(preview("ada"));
    let header = format!("Bearer {token}").parse().expect("a header");
    request.metadata_mut().insert("authorization", header);
    OfferServiceClient::new(channel.clone()).cross_sell(request).await.map_or_else(|status| status.code(), |_| Code::Ok)
}

#[tokio::test]
async fn tokens_count_when_everything_about_them_is_right() {
    let key = key();
    let set = serde_json::json!({"keys": [jwk(&key)]});
    let (_directory, channel) = behind_tokens(&set, WITH_TOKENS).await.expect("starts");
    assert_eq!(ask_with(&channel, &token(&key, |_| {})).await, Code::Ok);
    assert_eq!(ask(&channel).await.expect_err("without a token").code(), Code::Unauthenticated);
    assert_eq!(ask_with(&channel, &token(&key, |claims| claims["sub"] = "x".into())).await, Code::PermissionDenied);

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
        assert_eq!(ask_with(&channel, &token).await, Code::Unauthenticated, "{token}");
    }
}

#[tokio::test]
async fn algorithms_are_not_the_tokens_to_choose() {
    let key = key();
    let set = serde_json::json!({"keys": [jwk(&key)]});
    let rules = WITH_TOKENS.replace("ES256", "ES384");
    let (_directory, channel) = behind_tokens(&set, &rules).await.expect("starts");
    assert_eq!(ask_with(&channel, &token(&key, |_| {})).await, Code::Unauthenticated);
}

#[tokio::test]
async fn key_sets_that_could_sign_are_refused_at_the_start() {
    let symmetric = serde_json::json!({"keys": [{"kty": "oct", "kid": "one", "k": "AAAA"}]});
    for set in [symmetric, serde_json::json!({"keys": []}), serde_json::json!("no set")] {
        assert!(behind_tokens(&set, WITH_TOKENS).await.is_err(), "{set}");
    }
}
