//! Settings of the connections to the database.

use std::time::Duration;

/// Confirmation that makes a commit durable.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Confirmation {
    /// A synchronous standby has flushed it, too.
    #[default]
    Standby,
    /// The engine replicates in its own way, or losing the machine may lose the store.
    Engine,
}

/// Settings of the PostgreSQL backend.
#[derive(Clone)]
pub struct PostgresSettings {
    /// Connection string of the database, as a URL or as `key=value` pairs. It may contain a password, so it is never printed.
    pub url: String,
    /// PEM file with the CA certificates that sign the certificate of the database. With it, every connection is encrypted and
    /// refused when the certificate does not match, whatever the URL says; without it, none is encrypted.
    pub ca: Option<Vec<u8>>,
    /// Confirmation that a commit waits for.
    pub confirmation: Confirmation,
    /// Maximum number of connections for commits.
    pub connections_max: usize,
    /// Maximum number of connections for reads, which are answered while commits wait for a standby.
    pub read_connections_max: usize,
    /// Maximum time for which a call waits for a connection.
    pub connection_wait_max: Duration,
    /// Maximum time for which a call waits for the outcome of its commit. The commit itself goes on, on its connection.
    pub commit_wait_max: Duration,
}

impl PostgresSettings {
    /// Settings with defaults for everything but the connection string, without encryption.
    pub fn new(url: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            ca: None,
            confirmation: Confirmation::Standby,
            connections_max: 12,
            read_connections_max: 4,
            connection_wait_max: Duration::from_secs(2),
            commit_wait_max: Duration::from_secs(10),
        }
    }
}

impl std::fmt::Debug for PostgresSettings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PostgresSettings").field("confirmation", &self.confirmation).finish_non_exhaustive()
    }
}
