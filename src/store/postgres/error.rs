//! Conversion of the errors of the database: lost against another transaction, unavailable, unconfirmed, damaged.

use tokio_postgres::error::SqlState;

use crate::store::contract::error::StoreError;

/// Returns whether the statement lost against a concurrent transaction, so that reading and deciding again may succeed.
pub(super) fn is_conflict(error: &tokio_postgres::Error) -> bool {
    error.code().is_some_and(|code| {
        [&SqlState::UNIQUE_VIOLATION, &SqlState::T_R_SERIALIZATION_FAILURE, &SqlState::T_R_DEADLOCK_DETECTED]
            .contains(&code)
    })
}

/// Converts the error of a statement whose transaction has surely not been committed.
pub(super) fn store_error(error: &tokio_postgres::Error) -> StoreError {
    let detail = describe(error);
    match error.code() {
        Some(code) if *code == SqlState::DATA_CORRUPTED || *code == SqlState::INDEX_CORRUPTED => {
            StoreError::Damaged { what: "table", detail }
        }
        Some(_) | None => StoreError::Unavailable { detail },
    }
}

/// Converts the error of a statement that ended a transaction, or was one of its own: unless the server says that nothing was
/// committed, it is unknown.
pub(super) fn commit_error(error: &tokio_postgres::Error) -> StoreError {
    match error.as_db_error() {
        Some(cause) if !is_ambiguous(cause.code()) => store_error(error),
        Some(_) | None => StoreError::Unconfirmed { detail: describe(error) },
    }
}

/// Whether the transaction may have been committed although the server reports an error.
fn is_ambiguous(code: &SqlState) -> bool {
    [
        &SqlState::T_R_STATEMENT_COMPLETION_UNKNOWN,
        &SqlState::TRANSACTION_RESOLUTION_UNKNOWN,
        // While a commit waits for a standby, these end the wait and not the commit.
        &SqlState::ADMIN_SHUTDOWN,
        &SqlState::CRASH_SHUTDOWN,
    ]
    .contains(&code)
}

/// Describes an error in one line: the message of the server with its code, else the error with all its causes. It contains
/// neither parameters nor the address of the database, but for the host name that a refused certificate is not valid for.
pub(super) fn describe(error: &tokio_postgres::Error) -> String {
    if let Some(cause) = error.as_db_error() {
        return format!("{} ({})", cause.message(), cause.code().code());
    }
    let mut description = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        description = format!("{description}: {cause}");
        source = cause.source();
    }
    description
}
