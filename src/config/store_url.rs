//! The database of a store: a connection string, which is a secret, the CA certificates that it is trusted by, and the
//! confirmation that a commit waits for.

/// Connection string of a database, as a URL or as `key=value` pairs. It may contain a password, so it is never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct StoreUrl(String);

impl StoreUrl {
    /// Takes a connection string without the spaces around it, such as the line end of a file.
    pub fn new(text: &str) -> Self {
        Self(text.trim().to_owned())
    }

    /// The connection string, to connect with.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for StoreUrl {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("StoreUrl(..)")
    }
}

/// PEM file with the CA certificates that sign the certificate of a database.
#[derive(Clone, PartialEq, Eq)]
pub struct StoreCa(Vec<u8>);

impl StoreCa {
    /// Takes the content of the file, which is checked when the store is opened.
    pub fn new(pem: Vec<u8>) -> Self {
        Self(pem)
    }

    /// The content of the file.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl std::fmt::Debug for StoreCa {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("StoreCa(..)")
    }
}

/// Confirmation that makes a commit durable.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum StoreConfirmation {
    /// A synchronous standby has flushed it, too.
    #[default]
    Standby,
    /// The engine replicates in its own way, or losing the machine may lose the store.
    Engine,
}

/// The database of a store, as settings and flags name it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoreDatabase {
    /// Connection string.
    pub url: StoreUrl,
    /// CA certificates for its certificate; `None` leaves connections unencrypted.
    pub ca: Option<StoreCa>,
    /// Confirmation that commits wait for.
    pub confirmation: StoreConfirmation,
}
