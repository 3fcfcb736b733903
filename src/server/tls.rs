//! TLS: the server's certificate, what is asked of a caller's, and the identities that it names.
//!
//! TLS 1.2 and 1.3 by `rustls`. Each handshake uses the files as they were read last, so that a rotation drops nothing.
//! Deliberately without revocation: certificates of services are short-lived, and renewed instead.

use std::sync::Arc;

use rustls::RootCertStore;
use rustls::crypto::ring::default_provider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::ClientCertVerifier;
use webpki::EndEntityCert;

/// PEM texts.
pub struct TlsTexts {
    /// The server's certificate, then those that sign it.
    pub certificate: Vec<u8>,
    /// Its key.
    pub key: Vec<u8>,
    /// Who signs the certificates of callers.
    pub client_ca: Option<Vec<u8>>,
}

/// What handshakes use. A caller must have a certificate where there is a CA for them, unless tokens do as well.
///
/// # Errors
/// Which text is wrong, and how.
pub fn server_config(texts: &TlsTexts, or_token: bool) -> Result<Arc<rustls::ServerConfig>, String> {
    let chain = certificates("tls-cert", &texts.certificate)?;
    let key = PrivateKeyDer::from_pem_slice(&texts.key).map_err(|error| format!("tls-key: {error}"))?;
    let provider = Arc::new(default_provider());
    let builder =
        rustls::ServerConfig::builder_with_provider(Arc::clone(&provider)).with_safe_default_protocol_versions();
    let builder = builder.map_err(|error| format!("tls: {error}"))?;
    let builder = match &texts.client_ca {
        None => builder.with_no_client_auth(),
        Some(text) => builder.with_client_cert_verifier(client_verifier(text, provider, or_token)?),
    };
    let mut config = builder.with_single_cert(chain, key).map_err(|error| format!("tls-cert and tls-key: {error}"))?;
    config.alpn_protocols = vec![b"h2".to_vec()];
    Ok(Arc::new(config))
}

fn client_verifier(
    client_ca: &[u8],
    provider: Arc<rustls::crypto::CryptoProvider>,
    or_token: bool,
) -> Result<Arc<dyn ClientCertVerifier>, String> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates("client-ca", client_ca)? {
        roots.add(certificate).map_err(|error| format!("client-ca: {error}"))?;
    }
    let builder = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
    let builder = if or_token { builder.allow_unauthenticated() } else { builder };
    builder.build().map_err(|error| format!("client-ca: {error}"))
}

fn certificates(name: &str, text: &[u8]) -> Result<Vec<CertificateDer<'static>>, String> {
    let read: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(text).collect();
    let certificates = read.map_err(|error| format!("{name}: {error}"))?;
    if certificates.is_empty() { Err(format!("{name}: no certificate in it")) } else { Ok(certificates) }
}

/// What a certificate that was verified names: SPIFFE URIs, then DNS names.
pub fn identities(certificate: &CertificateDer<'_>) -> Vec<String> {
    let Ok(certificate) = EndEntityCert::try_from(certificate) else { return Vec::new() };
    let uris = certificate.valid_uri_names().filter(|uri| uri.starts_with("spiffe://")).map(str::to_owned);
    uris.chain(certificate.valid_dns_names().map(|name| format!("dns:{name}"))).collect()
}
