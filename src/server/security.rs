//! TLS and access-control configuration with hot reload: the files are polled, and swapped in atomically when their digest changes.
//! Files that cannot be used are reported and change nothing.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::{ArcSwapOption, Guard};
use sha2::{Digest, Sha256};

use super::tls::{ClientCertificates, TlsError, TlsPems, server_config};
use crate::config::access::{AccessFaults, AccessFile, AccessRules};
use crate::config::settings::{SecuritySettings, TlsFiles};
use crate::grpc::access::{AccessControl, ReloadableAccessControl};

/// TLS and access-control configuration that is in use.
pub(super) struct ReloadableSecurity {
    settings: SecuritySettings,
    /// Digest of all files as they were last loaded.
    digest: Mutex<[u8; 32]>,
    tls: ArcSwapOption<rustls::ServerConfig>,
    access: ReloadableAccessControl,
}

/// Error returned when certificates, keys or access rules cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SecurityError {
    /// Reading a file failed.
    #[error("{}", path.display())]
    Read {
        /// Path of the file.
        path: PathBuf,
        /// Cause reported by the system.
        #[source]
        source: std::io::Error,
    },
    /// The access rules are invalid.
    #[error("access: {0}")]
    AccessRules(#[from] AccessFaults),
    /// The key set that the access rules name is invalid.
    #[error("access: {0}")]
    TokenKeys(String),
    /// A certificate or a private key is invalid.
    #[error(transparent)]
    Tls(#[from] TlsError),
}

/// Contents of all files, with a digest.
struct SecurityFiles {
    digest: [u8; 32],
    tls: Option<TlsPems>,
    access: Option<AccessFiles>,
}

struct AccessFiles {
    rules: AccessRules,
    /// The key set that the rules name.
    key_set: Option<String>,
}

/// Configuration that was built from the files.
struct SecurityConfig {
    tls: Option<Arc<rustls::ServerConfig>>,
    access: Option<Arc<AccessControl>>,
}

impl ReloadableSecurity {
    /// Loads all files.
    ///
    /// # Errors
    /// If a file cannot be read or used.
    pub(super) fn load(settings: SecuritySettings) -> Result<Self, SecurityError> {
        let files = read_files(&settings)?;
        let digest = files.digest;
        let SecurityConfig { tls, access } = files.build()?;
        let access = Arc::new(ArcSwapOption::new(access));
        Ok(Self { settings, digest: digest.into(), tls: ArcSwapOption::new(tls), access })
    }

    /// Configuration for TLS handshakes; `None` without TLS.
    pub(super) fn tls(&self) -> Guard<Option<Arc<rustls::ServerConfig>>> {
        self.tls.load()
    }

    /// Access rules that follow every reload.
    pub(super) fn access(&self) -> ReloadableAccessControl {
        Arc::clone(&self.access)
    }

    /// Reloads the files if they changed. Blocks while it reads them.
    pub(super) fn reload_if_changed(&self) {
        let mut loaded = self.digest.lock().unwrap_or_else(PoisonError::into_inner);
        let changed = match read_files(&self.settings) {
            Ok(files) if files.digest == *loaded => return,
            changed => changed.and_then(|files| Ok((files.digest, files.build()?))),
        };
        let result = match changed {
            Ok((digest, SecurityConfig { tls, access })) => {
                *loaded = digest;
                self.tls.store(tls);
                self.access.store(access);
                tracing::info!("TLS and access-control configuration reloaded");
                "applied"
            }
            Err(error) => {
                let error: &dyn std::error::Error = &error;
                tracing::error!(
                    error,
                    "TLS and access-control configuration not reloaded; the previous one stays in use"
                );
                "rejected"
            }
        };
        metrics::counter!("tactful_security_reloads_total", "result" => result).increment(1);
    }
}

fn read_files(settings: &SecuritySettings) -> Result<SecurityFiles, SecurityError> {
    let mut digest = Sha256::new();
    let mut read = |path: &Path| -> Result<Vec<u8>, SecurityError> {
        let bytes = std::fs::read(path).map_err(|source| SecurityError::Read { path: path.to_owned(), source })?;
        digest.update((bytes.len() as u64).to_le_bytes());
        digest.update(&bytes);
        Ok(bytes)
    };
    let mut read_text = |path: &Path| -> Result<String, SecurityError> {
        let invalid = |error| std::io::Error::new(std::io::ErrorKind::InvalidData, error);
        String::from_utf8(read(path)?)
            .map_err(|error| SecurityError::Read { path: path.to_owned(), source: invalid(error) })
    };
    let access = match &settings.access {
        None => None,
        Some(AccessFile { path, rules: _ }) => {
            let rules = AccessRules::parse(&read_text(path)?, path)?;
            let key_set = rules.tokens.as_ref().map(|tokens| read_text(&tokens.keys)).transpose()?;
            Some(AccessFiles { rules, key_set })
        }
    };
    let tls = match settings.tls_files() {
        None => None,
        Some(TlsFiles { certificate, key, client_ca }) => {
            let client_ca = client_ca.as_deref().map(&mut read).transpose()?;
            Some(TlsPems { certificate: read(&certificate)?, key: read(&key)?, client_ca })
        }
    };
    Ok(SecurityFiles { digest: digest.finalize().into(), tls, access })
}

impl SecurityFiles {
    fn build(self) -> Result<SecurityConfig, SecurityError> {
        let Self { digest: _, tls, access } = self;
        let has_tokens = access.as_ref().is_some_and(|access| access.rules.tokens.is_some());
        let client_certificates = if has_tokens { ClientCertificates::Optional } else { ClientCertificates::Required };
        let tls = tls.map(|pems| server_config(&pems, client_certificates)).transpose()?;
        let access =
            access.map(|AccessFiles { rules, key_set }| AccessControl::new(rules, key_set.as_deref())).transpose();
        let access = access.map_err(|error| SecurityError::TokenKeys(error.to_string()))?;
        Ok(SecurityConfig { tls, access: access.map(Arc::new) })
    }
}
