//! What keeps calls secret and callers apart, as the files say now: they are looked at again and again, and what changed is
//! taken into use at once. What cannot be read changes nothing, and is told.

use std::path::Path;
use std::sync::Arc;

use arc_swap::{ArcSwapOption, Guard};
use sha2::{Digest, Sha256};

use super::tls::{TlsTexts, server_config};
use crate::config::{Security, TlsFiles, read_access};
use crate::grpc::access::{Access, CurrentAccess};

/// Certificates and access rules as they are now.
pub struct CurrentSecurity {
    files: Security,
    /// Of all files as they were taken into use.
    digest: std::sync::Mutex<[u8; 32]>,
    tls: ArcSwapOption<rustls::ServerConfig>,
    access: CurrentAccess,
}

/// Everything that was read, and a digest of it.
struct Read {
    digest: [u8; 32],
    tls: Option<Arc<rustls::ServerConfig>>,
    access: Option<Arc<Access>>,
}

impl CurrentSecurity {
    /// Reads all files.
    ///
    /// # Errors
    /// What cannot be used.
    pub fn open(files: Security) -> Result<Self, String> {
        let Read { digest, tls, access } = read(&files)?;
        let access = Arc::new(ArcSwapOption::new(access));
        Ok(Self { files, digest: digest.into(), tls: ArcSwapOption::new(tls), access })
    }

    /// What handshakes use now; `None` without TLS.
    pub fn tls(&self) -> Guard<Option<Arc<rustls::ServerConfig>>> {
        self.tls.load()
    }

    /// Who may do what now.
    #[must_use]
    pub fn access(&self) -> CurrentAccess {
        Arc::clone(&self.access)
    }

    /// Takes into use what has changed. Blocks while it reads.
    pub fn look_again(&self) {
        let mut known = self.digest.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let result = match read(&self.files) {
            Ok(Read { digest, .. }) if digest == *known => return,
            Ok(Read { digest, tls, access }) => {
                *known = digest;
                self.tls.store(tls);
                self.access.store(access);
                tracing::info!("certificates or access rules changed and are in use");
                "taken"
            }
            Err(reason) => {
                tracing::error!(reason, "certificates or access rules changed and cannot be used; those before stay");
                "refused"
            }
        };
        metrics::counter!("tactful_tls_reloads_total", "result" => result).increment(1);
    }
}

fn read(files: &Security) -> Result<Read, String> {
    let mut digest = Sha256::new();
    let mut file = |path: &Path| -> Result<Vec<u8>, String> {
        let bytes = std::fs::read(path).map_err(|error| format!("{}: {error}", path.display()))?;
        digest.update((bytes.len() as u64).to_le_bytes());
        digest.update(&bytes);
        Ok(bytes)
    };
    let access = match &files.access {
        None => None,
        Some(path) => {
            file(path)?;
            let rules = read_access(path).map_err(|faults| faults.join("; "))?;
            let keys = rules.tokens.as_ref().map(|tokens| file(&tokens.keys)).transpose()?;
            let keys = keys.map(String::from_utf8).transpose().map_err(|error| format!("jwt.keys: {error}"))?;
            Some((rules.tokens.is_some(), Arc::new(Access::new(rules, keys.as_deref())?)))
        }
    };
    let or_token = access.as_ref().is_some_and(|(knows_tokens, _)| *knows_tokens);
    let tls = match &files.tls {
        None => None,
        Some(TlsFiles { certificate, key, client_ca }) => {
            let client_ca = client_ca.as_deref().map(&mut file).transpose()?;
            let texts = TlsTexts { certificate: file(certificate)?, key: file(key)?, client_ca };
            Some(server_config(&texts, or_token)?)
        }
    };
    Ok(Read { digest: digest.finalize().into(), tls, access: access.map(|(_, access)| access) })
}
