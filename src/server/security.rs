//! What keeps calls secret and callers apart, as the files say now: they are looked at again and again, and what changed is
//! taken into use at once. What cannot be read changes nothing, and is told.

use std::path::Path;
use std::sync::Arc;

use arc_swap::{ArcSwapOption, Guard};
use sha2::{Digest, Sha256};

use super::tls::{TlsTexts, server_config};
use crate::config::access::AccessRules;
use crate::config::{Security, TlsFiles};
use crate::grpc::access::{AccessControl, ReloadableAccessControl};

/// Certificates and access rules as they are now.
pub struct CurrentSecurity {
    files: Security,
    /// Of all files as they were taken into use.
    digest: std::sync::Mutex<[u8; 32]>,
    tls: ArcSwapOption<rustls::ServerConfig>,
    access: ReloadableAccessControl,
}

/// What the files say, and a digest of it.
struct Texts {
    digest: [u8; 32],
    tls: Option<TlsTexts>,
    /// The rules, and the key set that they name.
    access: Option<(AccessRules, Option<String>)>,
}

/// What is made of it, to be used.
struct Built {
    tls: Option<Arc<rustls::ServerConfig>>,
    access: Option<Arc<AccessControl>>,
}

impl CurrentSecurity {
    /// Reads all files.
    ///
    /// # Errors
    /// What cannot be used.
    pub fn open(files: Security) -> Result<Self, String> {
        let texts = read(&files)?;
        let digest = texts.digest;
        let Built { tls, access } = texts.build()?;
        let access = Arc::new(ArcSwapOption::new(access));
        Ok(Self { files, digest: digest.into(), tls: ArcSwapOption::new(tls), access })
    }

    /// What handshakes use now; `None` without TLS.
    pub fn tls(&self) -> Guard<Option<Arc<rustls::ServerConfig>>> {
        self.tls.load()
    }

    /// Who may do what now.
    pub(crate) fn access(&self) -> ReloadableAccessControl {
        Arc::clone(&self.access)
    }

    /// Takes into use what has changed. Blocks while it reads.
    pub fn look_again(&self) {
        let mut known = self.digest.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let changed = match read(&self.files) {
            Ok(texts) if texts.digest == *known => return,
            changed => changed.and_then(|texts| Ok((texts.digest, texts.build()?))),
        };
        let result = match changed {
            Ok((digest, Built { tls, access })) => {
                *known = digest;
                self.tls.store(tls);
                self.access.store(access);
                tracing::info!("certificates or access rules changed and are in use");
                "applied"
            }
            Err(reason) => {
                tracing::error!(reason, "certificates or access rules changed and cannot be used; those before stay");
                "rejected"
            }
        };
        metrics::counter!("tactful_security_reloads_total", "result" => result).increment(1);
    }
}

fn read(files: &Security) -> Result<Texts, String> {
    let mut digest = Sha256::new();
    let mut bytes = |path: &Path| -> Result<Vec<u8>, String> {
        let bytes = std::fs::read(path).map_err(|error| format!("{}: {error}", path.display()))?;
        digest.update((bytes.len() as u64).to_le_bytes());
        digest.update(&bytes);
        Ok(bytes)
    };
    let mut text = |path: &Path| -> Result<String, String> {
        String::from_utf8(bytes(path)?).map_err(|error| format!("{}: {error}", path.display()))
    };
    let access = match &files.access {
        None => None,
        Some(path) => {
            let rules = AccessRules::read(&text(path)?, path).map_err(|faults| faults.join("; "))?;
            let keys = rules.tokens.as_ref().map(|tokens| text(&tokens.keys)).transpose()?;
            Some((rules, keys))
        }
    };
    let tls = match &files.tls {
        None => None,
        Some(TlsFiles { certificate, key, client_ca }) => {
            let client_ca = client_ca.as_deref().map(&mut bytes).transpose()?;
            Some(TlsTexts { certificate: bytes(certificate)?, key: bytes(key)?, client_ca })
        }
    };
    Ok(Texts { digest: digest.finalize().into(), tls, access })
}

impl Texts {
    fn build(self) -> Result<Built, String> {
        let Self { digest: _, tls, access } = self;
        let or_token = access.as_ref().is_some_and(|(rules, _)| rules.tokens.is_some());
        let tls = tls.map(|texts| server_config(&texts, or_token)).transpose()?;
        let access = access.map(|(rules, keys)| AccessControl::new(rules, keys.as_deref())).transpose();
        let access = access.map_err(|error| error.to_string())?;
        Ok(Built { tls, access: access.map(Arc::new) })
    }
}
