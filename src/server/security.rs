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
    files: Mutex<LoadedFiles>,
    tls: ArcSwapOption<rustls::ServerConfig>,
    access: ReloadableAccessControl,
}

/// Files as they were last loaded, and as they were last reported.
struct LoadedFiles {
    /// Digest of all files that are in use.
    digest: [u8; 32],
    /// Digest, unless a file could not be read, and fault of the files that were rejected last. The same fault is reported once,
    /// not with every poll.
    rejected: Option<(Option<[u8; 32]>, String)>,
}

/// Result of comparing the files with those in use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reload {
    /// The files are those in use, or those that were rejected last.
    Unchanged,
    /// The files are in use from now on.
    Applied,
    /// The files cannot be used; those in use stay.
    Rejected,
    /// Rejected files were replaced by those in use.
    Restored,
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
        let files = Mutex::new(LoadedFiles { digest, rejected: None });
        Ok(Self { settings, files, tls: ArcSwapOption::new(tls), access })
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
    pub(super) fn reload_if_changed(&self) -> Reload {
        let mut loaded = self.files.lock().unwrap_or_else(PoisonError::into_inner);
        let read = read_files(&self.settings);
        let digest = read.as_ref().ok().map(|files| files.digest);
        if digest == Some(loaded.digest) {
            if loaded.rejected.take().is_none() {
                return Reload::Unchanged;
            }
            tracing::info!("TLS and access-control files are again those in use");
            return Reload::Restored;
        }
        if loaded.rejected.as_ref().is_some_and(|(rejected, _)| rejected.is_some() && *rejected == digest) {
            return Reload::Unchanged;
        }
        match read.and_then(|files| Ok((files.digest, files.build()?))) {
            Ok((digest, SecurityConfig { tls, access })) => {
                *loaded = LoadedFiles { digest, rejected: None };
                self.tls.store(tls);
                self.access.store(access);
                tracing::info!("TLS and access-control configuration reloaded");
                count_reload("applied");
                Reload::Applied
            }
            Err(error) => {
                let rejected = Some((digest, error_chain(&error)));
                if loaded.rejected == rejected {
                    return Reload::Unchanged;
                }
                loaded.rejected = rejected;
                let error: &dyn std::error::Error = &error;
                tracing::error!(
                    error,
                    "TLS and access-control configuration not reloaded; the previous one stays in use"
                );
                count_reload("rejected");
                Reload::Rejected
            }
        }
    }
}

fn count_reload(result: &'static str) {
    metrics::counter!("tactful_security_reloads_total", "result" => result).increment(1);
}

/// Text of an error with its causes.
fn error_chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
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

#[cfg(test)]
mod tests {
    use super::*;

    const CHECKOUT: &str = "[[callers]]\nidentity = 'dns:checkout.example.org'\nroles = ['offers']\n";

    /// Files are polled every second: a fault is reported when it appears, not with every poll.
    ///
    /// Broken by: rejected files whose digest is not remembered; a file that cannot be read, which has no digest; rejected
    /// files that stay remembered after those in use came back.
    #[test]
    fn a_broken_file_is_reported_once_per_change() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("access.toml");
        let write = |text: &str| std::fs::write(&path, text).expect("writes");
        write(CHECKOUT);
        let rules = AccessRules::parse(CHECKOUT, &path).expect("valid");
        let settings = SecuritySettings {
            tls_cert: None,
            tls_key: None,
            client_ca: None,
            plaintext: false,
            access: Some(AccessFile { path: path.clone(), rules }),
        };
        let security = ReloadableSecurity::load(settings).expect("valid");
        let polls = || [(); 3].map(|()| security.reload_if_changed());
        assert_eq!(polls(), [Reload::Unchanged; 3]);
        for broken in [Some("broken ="), Some("broken = ["), None, Some("broken =")] {
            match broken {
                Some(text) => write(text),
                None => std::fs::remove_file(&path).expect("removes"),
            }
            assert_eq!(polls(), [Reload::Rejected, Reload::Unchanged, Reload::Unchanged], "{broken:?}");
        }
        write(CHECKOUT);
        assert_eq!(polls(), [Reload::Restored, Reload::Unchanged, Reload::Unchanged]);
        write("broken =");
        assert_eq!(polls(), [Reload::Rejected, Reload::Unchanged, Reload::Unchanged]);
        write(&CHECKOUT.replace("checkout", "desk"));
        assert_eq!(polls(), [Reload::Applied, Reload::Unchanged, Reload::Unchanged]);
    }
}
