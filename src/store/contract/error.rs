//! The error of every store operation.

/// Error returned by a store.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Another process has the data directory open.
    #[error("data directory {path} is in use by another process")]
    Locked {
        /// The data directory.
        path: String,
    },
    /// The data was written by another version of tactful that this one cannot read.
    #[error(
        "data directory {path} has format {found}, but this version of tactful reads format {supported} only: run the \
         version that wrote it, or import the data into an empty directory"
    )]
    OtherFormat {
        /// The data directory.
        path: String,
        /// Format number found in the directory.
        found: String,
        /// Format number that this version reads.
        supported: u32,
    },
    /// A stored value does not decode or fails its checksum.
    #[error("stored {what} is damaged: {detail}")]
    Damaged {
        /// Kind of the value.
        what: &'static str,
        /// Description of the damage.
        detail: String,
    },
    /// The database cannot be reached or does not answer; nothing was changed. It may come back.
    #[error("the database is unavailable: {detail}")]
    Unavailable {
        /// Cause, as the database or the connection reports it.
        detail: String,
    },
    /// It is unknown whether a change was committed, or whether it would outlive the loss of the primary. The same request again
    /// finds what became of it.
    #[error("the database has not confirmed a change: {detail}")]
    Unconfirmed {
        /// Cause, as the database or the connection reports it.
        detail: String,
    },
    /// The disk or the backend failed. The store stays failed until the process restarts.
    #[error("the store failed: {detail}")]
    Failed {
        /// Cause, as the backend reports it.
        detail: String,
    },
}
