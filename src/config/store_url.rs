//! The database of a store: a connection string, which is a secret, and the confirmation that a commit waits for.

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

/// Confirmation that makes a commit durable.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum StoreConfirmation {
    /// A synchronous standby has flushed it, too.
    #[default]
    Standby,
    /// The engine replicates in its own way, or losing the machine may lose the store.
    Engine,
}
