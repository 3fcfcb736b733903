//! Encryption of the connections to the database, and the check that the server is the one of the URL.
//!
//! TLS 1.2 and 1.3 by `rustls`. A server is trusted when one of the CA certificates of the operator signed its certificate, and
//! when it is valid for the host name of the URL; the CA certificates of the machine do not count. Deliberately not here: client
//! certificates, because the URL holds the credentials, and revocation, because certificates of services are short-lived.

use std::sync::Arc;

use rustls::crypto::ring::default_provider;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};
use tokio_postgres_rustls::MakeRustlsConnect;

/// Protocol that is negotiated with the handshake. A server that is sent no request for TLS first (`sslnegotiation=direct`)
/// demands it.
const PROTOCOL: &[u8] = b"postgresql";

/// Encryption of the connections of a pool.
pub(super) enum Encryption {
    /// None.
    Plain,
    /// TLS, with a server whose certificate is checked.
    Tls(MakeRustlsConnect),
}

/// Builds the TLS of connections to a server whose certificate is signed by one of the CA certificates in a PEM file, or returns
/// the reason for which the file cannot be used.
pub(super) fn verify_by(ca: &[u8]) -> Result<Encryption, String> {
    let roots = roots(ca)?;
    let builder =
        ClientConfig::builder_with_provider(Arc::new(default_provider())).with_safe_default_protocol_versions();
    let builder = builder.map_err(|error| error.to_string())?;
    let mut config = builder.with_root_certificates(roots).with_no_client_auth();
    config.alpn_protocols = vec![PROTOCOL.to_vec()];
    Ok(Encryption::Tls(MakeRustlsConnect::new(config)))
}

fn roots(ca: &[u8]) -> Result<RootCertStore, String> {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(ca) {
        let certificate = certificate.map_err(|error| error.to_string())?;
        roots.add(certificate).map_err(|error| error.to_string())?;
    }
    if roots.is_empty() { Err("it contains no certificate".to_owned()) } else { Ok(roots) }
}
