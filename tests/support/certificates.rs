//! Certificates for tests.

use rcgen::{CertificateParams, CertifiedIssuer, ExtendedKeyUsagePurpose, IsCa, KeyPair, KeyUsagePurpose, SanType};

/// Certificate authority.
pub struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    pub fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).expect("no names");
        params.is_ca = IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        Self(CertifiedIssuer::self_signed(params, key()).expect("signs"))
    }

    pub fn pem(&self) -> String {
        self.0.pem()
    }

    /// A certificate and its key.
    pub fn sign(&self, change: impl FnOnce(&mut CertificateParams)) -> [String; 2] {
        let mut params = CertificateParams::new(Vec::new()).expect("no names");
        change(&mut params);
        let key = key();
        let certificate = params.signed_by(&key, &self.0).expect("signs");
        [certificate.pem(), key.serialize_pem()]
    }

    pub fn server(&self) -> [String; 2] {
        self.sign(|params| {
            params.subject_alt_names = vec![SanType::DnsName("localhost".try_into().expect("a name"))];
            params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        })
    }

    pub fn caller(&self, uri: &str) -> [String; 2] {
        self.sign(|params| name_caller(params, uri))
    }
}

pub fn key() -> KeyPair {
    KeyPair::generate().expect("a key")
}

pub fn name_caller(params: &mut CertificateParams, uri: &str) {
    params.subject_alt_names = vec![SanType::URI(uri.try_into().expect("a URI"))];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
}
