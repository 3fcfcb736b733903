//! TLS to the database: what is encrypted, and which servers are refused.

use std::sync::OnceLock;

use crate::support::certificates::Authority;
use crate::support::postgres::TestServer;
use crate::support::shop::*;
use crate::support::stored_records::*;
use tactful::store::contract::change::CommitOutcome;
use tactful::store::contract::customers::CustomerStore;
use tactful::store::postgres::schema::{OpenPostgresError, init};
use tactful::store::postgres::settings::PostgresSettings;
use tactful::store::postgres::store::PostgresStore;

/// A server with a certificate for `localhost`, and the PEM of the CA that signed it.
fn server_with_tls() -> &'static (TestServer, String) {
    static SERVER: OnceLock<(TestServer, String)> = OnceLock::new();
    SERVER.get_or_init(|| {
        let (authority, directory) = (Authority::new(), tempfile::tempdir().expect("a directory"));
        let [certificate, key] = authority.server();
        for (file, pem) in [("server.crt", certificate), ("server.key", key)] {
            std::fs::write(directory.path().join(file), pem).expect("writes");
        }
        (TestServer::start_with_tls(directory.path()), authority.pem())
    })
}

/// Settings of an empty schema that lead to the port of the server, by this host name.
async fn over_tcp(host: &str, ca: Option<&str>) -> PostgresSettings {
    let (server, _) = server_with_tls();
    let on_socket = server.empty_schema().await;
    let (_, others) = on_socket.url.split_once(' ').expect("the socket comes first");
    let url = format!("host={host} hostaddr=127.0.0.1 password=geheim {others}");
    PostgresSettings { url, ca: ca.map(|pem| pem.as_bytes().to_vec()), ..on_socket }
}

async fn refusal(settings: PostgresSettings) -> OpenPostgresError {
    let refusal = PostgresStore::open(settings).await.expect_err("refused");
    assert!(!refusal.to_string().contains("geheim"), "{refusal}");
    refusal
}

/// Asserts that the server was refused, with this in the sentence.
fn assert_unreachable(refusal: OpenPostgresError, reason: &str) {
    let OpenPostgresError::Unreachable(detail) = refusal else { panic!("refused for another reason: {refusal}") };
    assert!(detail.contains(reason), "{detail}");
}

/// Broken by: a pool that is given no CA; an `sslmode` of the URL that turns encryption off.
#[tokio::test]
async fn every_connection_is_encrypted_with_a_ca() {
    let (server, ca) = server_with_tls();
    for (number, mode) in ["", "sslmode=disable", "sslmode=prefer", "sslmode=require"].into_iter().enumerate() {
        let mut settings = over_tcp("localhost", Some(ca)).await;
        let name = format!("encrypted-{number}");
        settings.url = format!("{mode} application_name={name} {}", settings.url);
        init(&settings).await.expect("an empty schema");
        let store = PostgresStore::open(settings).await.expect("opens");
        let commit = store.commit(Appended::default().change(0, &customer("ada"))).await;
        assert_eq!(commit.expect("the store works"), CommitOutcome::Committed { version: 1 });
        assert!(store.confirm(&customer_id("ada"), 1).await.expect("the store works"));
        let connections = "SELECT count(*), count(*) FILTER (WHERE ssl AND version >= 'TLSv1.2') \
                           FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) WHERE application_name = $1";
        let row = server.client().await.query_one(connections, &[&name]).await.expect("reads");
        let (all, encrypted): (i64, i64) = (row.get(0), row.get(1));
        // At least one for commits and one for reads.
        assert!(all >= 2 && encrypted == all, "{mode}: {encrypted} of {all} connections are encrypted");
    }
}

/// Broken by: a connection that goes on in plain text when the server offers no TLS.
#[tokio::test]
async fn a_server_without_tls_is_refused_with_a_ca() {
    let (server, ca) = server_with_tls();
    // On its socket the server offers none.
    let on_socket = PostgresSettings { ca: Some(ca.as_bytes().to_vec()), ..server.empty_schema().await };
    assert_unreachable(refusal(on_socket).await, "server does not support TLS");
}

/// Broken by: encryption without a CA, which would look safe and check nothing.
#[tokio::test]
async fn without_a_ca_nothing_is_encrypted() {
    assert_unreachable(refusal(over_tcp("localhost", None).await).await, "no encryption");
}

/// Broken by: a certificate that is not checked; a description that leaves out why it was refused.
#[tokio::test]
async fn a_certificate_of_another_ca_is_refused() {
    let other = Authority::new().pem();
    let refused = refusal(over_tcp("localhost", Some(&other)).await).await;
    assert_unreachable(refused, "invalid peer certificate");
}

/// Broken by: a check of the CA alone, which lets every server that it signed pose as the database.
#[tokio::test]
async fn a_certificate_for_another_name_is_refused() {
    let (_, ca) = server_with_tls();
    let refused = refusal(over_tcp("database.example", Some(ca)).await).await;
    assert_unreachable(refused, "not valid for name");
    let by_address = over_tcp("127.0.0.1", Some(ca)).await;
    assert_unreachable(refusal(by_address).await, "not valid for name");
}

/// Broken by: a demand of the URL that ends in an error of the first connection, without the setting that is missing.
#[tokio::test]
async fn a_url_that_demands_tls_needs_a_ca() {
    let refused = refusal(PostgresSettings::new("host=localhost password=geheim sslmode=require")).await;
    assert!(matches!(refused, OpenPostgresError::NoCa), "{refused}");
    assert!(refused.to_string().contains("store-ca"), "{refused}");
}

/// Broken by: an empty list of CA certificates, with which every server is refused for its certificate; a damaged file of
/// which a part counts.
#[tokio::test]
async fn a_file_without_ca_certificates_is_refused() {
    let [_, key] = Authority::new().server();
    let damaged = Authority::new().pem().replace("MII", "?");
    for file in ["", "nonsense", &key, &damaged, &format!("{}{damaged}", Authority::new().pem())] {
        let ca = Some(file.as_bytes().to_vec());
        let settings = PostgresSettings { ca, ..PostgresSettings::new("host=localhost password=geheim") };
        let refused = refusal(settings).await;
        assert!(matches!(refused, OpenPostgresError::InvalidCa(_)), "{file}: {refused}");
        assert!(refused.to_string().contains("store-ca"), "{refused}");
    }
}
