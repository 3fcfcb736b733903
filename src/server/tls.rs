//! TLS: the server's certificate, the verification of client certificates, and the identities in them.
//!
//! TLS 1.2 and 1.3 by `rustls`. Each handshake uses the files as they were last loaded, so a rotation drops no connection.
//! Deliberately without revocation: certificates of services are short-lived, and renewed instead.

use std::fmt;
use std::sync::Arc;

use rustls::RootCertStore;
use rustls::crypto::CryptoProvider;
use rustls::crypto::ring::default_provider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::ClientCertVerifier;
use webpki::EndEntityCert;

/// PEM files of the server.
pub(super) struct TlsPems {
    /// The server's certificate, then those that sign it.
    pub(super) certificate: Vec<u8>,
    pub(super) key: Vec<u8>,
    /// CA certificates that sign client certificates.
    pub(super) client_ca: Option<Vec<u8>>,
}

/// Requirement for client certificates, if there is a CA for them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ClientCertificates {
    Required,
    /// A client may present a token instead.
    Optional,
}

/// Error returned for a certificate or a private key that cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("{setting}: {problem}")]
pub struct TlsError {
    /// The setting that names the file.
    setting: &'static str,
    problem: String,
}

impl TlsError {
    fn new(setting: &'static str, problem: impl fmt::Display) -> Self {
        Self { setting, problem: problem.to_string() }
    }
}

/// Builds the configuration of TLS handshakes.
///
/// # Errors
/// If a PEM file is invalid, or the key does not match the certificate.
pub(super) fn server_config(
    pems: &TlsPems,
    client_certificates: ClientCertificates,
) -> Result<Arc<rustls::ServerConfig>, TlsError> {
    let chain = certificates("tls-cert", &pems.certificate)?;
    let key = PrivateKeyDer::from_pem_slice(&pems.key).map_err(|error| TlsError::new("tls-key", error))?;
    let provider = Arc::new(default_provider());
    let builder =
        rustls::ServerConfig::builder_with_provider(Arc::clone(&provider)).with_safe_default_protocol_versions();
    let builder = builder.map_err(|error| TlsError::new("tls", error))?;
    let builder = match &pems.client_ca {
        None => builder.with_no_client_auth(),
        Some(pem) => builder.with_client_cert_verifier(client_verifier(pem, provider, client_certificates)?),
    };
    let config = builder.with_single_cert(chain, key);
    let mut config = config.map_err(|error| TlsError::new("tls-cert and tls-key", error))?;
    config.alpn_protocols = vec![b"h2".to_vec()];
    Ok(Arc::new(config))
}

fn client_verifier(
    client_ca: &[u8],
    provider: Arc<CryptoProvider>,
    client_certificates: ClientCertificates,
) -> Result<Arc<dyn ClientCertVerifier>, TlsError> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates("client-ca", client_ca)? {
        roots.add(certificate).map_err(|error| TlsError::new("client-ca", error))?;
    }
    let builder = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
    let builder = match client_certificates {
        ClientCertificates::Required => builder,
        ClientCertificates::Optional => builder.allow_unauthenticated(),
    };
    builder.build().map_err(|error| TlsError::new("client-ca", error))
}

fn certificates(setting: &'static str, pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    let certificates = certificates.map_err(|error| TlsError::new(setting, error))?;
    if certificates.is_empty() { Err(TlsError::new(setting, "contains no certificate")) } else { Ok(certificates) }
}

/// Returns the identities in a verified certificate: SPIFFE URIs, then DNS names.
pub(super) fn identities(certificate: &CertificateDer<'_>) -> Vec<String> {
    let Ok(certificate) = EndEntityCert::try_from(certificate) else { return Vec::new() };
    let uris = certificate.valid_uri_names().filter(|uri| uri.starts_with("spiffe://")).map(str::to_owned);
    uris.chain(certificate.valid_dns_names().map(|name| format!("dns:{name}"))).collect()
}
