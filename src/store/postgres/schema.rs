//! Opening a store: the schema is there, of this version, on a primary that keeps what it confirms.
//!
//! Nothing is changed on the way. [`init`] creates the schema, which takes rights that the server need not have.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use arc_swap::ArcSwap;
use deadpool_postgres::Object;
use tokio_postgres::Config;
use tokio_postgres::error::SqlState;

use super::connections::Connections;
use super::error::describe;
use super::settings::{Confirmation, PostgresSettings};
use super::store::PostgresStore;
use crate::domain::time::Timestamp;
use crate::store::erasure::ErasureKey;

/// Version of the schema that this version of tactful reads and writes.
pub const SCHEMA_VERSION: i64 = 1;
pub(super) const PUT_ERASURE_KEY: &str = "INSERT INTO meta (name, bytes) VALUES ('erasure_key', $1) ON CONFLICT (name) \
     DO UPDATE SET bytes = EXCLUDED.bytes";

const SCHEMA: &str = include_str!("schema.sql");
/// Lock under which the schema is created: only one process may.
const INIT_LOCK: i64 = 0x7461_6374_6675_6c00;
/// A server that has not acknowledged sent data for this long is gone.
const SILENCE_MAX: Duration = Duration::from_secs(10);

/// Reason for which a store in a database cannot be opened. Each names the setting or the command that cures it, and none
/// contains the URL, which may hold a password.
#[derive(Debug, thiserror::Error)]
pub enum OpenPostgresError {
    /// The connection string does not parse.
    #[error("the store URL is not a valid PostgreSQL connection string: {0}")]
    InvalidUrl(String),
    /// No connection could be opened.
    #[error("the database of the store URL cannot be reached: {0}")]
    Unreachable(String),
    /// The server is a standby.
    #[error(
        "the store URL leads to a standby; it has to lead to the primary, for instance with target_session_attrs=read-write"
    )]
    Standby,
    /// The server does not flush what it confirms.
    #[error("the database runs with fsync = off, so that a crash loses what it confirmed; turn it on")]
    NoFsync,
    /// The database has another encoding.
    #[error("the database has the encoding {0}; create it with the encoding UTF8")]
    OtherEncoding(String),
    /// No standby confirms commits.
    #[error(
        "synchronous_standby_names is empty, so that losing the primary loses what it confirmed; set it, or say with \
         --store-confirms engine that the database is replicated otherwise"
    )]
    NoStandby,
    /// There is no schema.
    #[error("the database has no tactful schema; run `tactful store init`")]
    NoSchema,
    /// The schema is of another version.
    #[error(
        "the database has schema version {found}, but this version of tactful needs {SCHEMA_VERSION}; run a version of tactful that fits"
    )]
    OtherSchema {
        /// The version that was found.
        found: i64,
    },
    /// The role may not do what the store needs.
    #[error("the role of the store URL lacks rights: {0}")]
    NoRights(String),
    /// Another error of the database.
    #[error("the database refused a check at the start: {0}")]
    Refused(String),
    /// The schema exists already, in part or as a whole.
    #[error("the database has a tactful schema already")]
    SchemaExists,
}

/// Creates the schema in an empty database. It is created as a whole or not at all.
///
/// # Errors
/// When the database cannot be used, or has a schema already.
pub async fn init(settings: &PostgresSettings) -> Result<(), OpenPostgresError> {
    let connections = connect(settings)?;
    let client = check_server(&connections, settings).await?;
    let create = async {
        client.batch_execute("BEGIN").await?;
        client.execute("SELECT pg_advisory_xact_lock($1)", &[&INIT_LOCK]).await?;
        client.batch_execute(SCHEMA).await?;
        let version = "INSERT INTO meta (name, number) VALUES ('schema_version', $1)";
        client.execute(version, &[&SCHEMA_VERSION]).await?;
        client.execute(PUT_ERASURE_KEY, &[&ErasureKey::random().bytes()]).await?;
        client.batch_execute("COMMIT").await
    };
    let created: Result<(), tokio_postgres::Error> = create.await;
    // The connection is in a transaction that may have failed.
    drop(Object::take(client));
    created.map_err(|error| {
        let is_there = error.code() == Some(&SqlState::DUPLICATE_TABLE);
        if is_there { OpenPostgresError::SchemaExists } else { refused(&error) }
    })
}

impl PostgresStore {
    /// Opens the store in a database.
    ///
    /// # Errors
    /// When the database cannot be used as it is; nothing is changed then.
    pub async fn open(settings: PostgresSettings) -> Result<Self, OpenPostgresError> {
        let connections = connect(&settings)?;
        let client = check_server(&connections, &settings).await?;
        match meta_number(&client, "schema_version").await? {
            Some(SCHEMA_VERSION) => {}
            Some(found) => return Err(OpenPostgresError::OtherSchema { found }),
            None => return Err(OpenPostgresError::NoSchema),
        }
        let key = client.query_opt("SELECT bytes FROM meta WHERE name = 'erasure_key'", &[]).await;
        let key: Option<Vec<u8>> = key.map_err(|error| refused(&error))?.and_then(|row| row.try_get(0).ok());
        let key = key.and_then(|bytes| ErasureKey::from_bytes(&bytes)).ok_or(OpenPostgresError::NoSchema)?;
        let swept_before = meta_number(&client, "events_swept_before").await?.and_then(Timestamp::from_unix_ms);
        drop(client);
        Ok(Self {
            connections,
            settings,
            erasure_key: ArcSwap::new(Arc::new(key)),
            swept_before: Mutex::new(swept_before),
        })
    }
}

fn connect(settings: &PostgresSettings) -> Result<Connections, OpenPostgresError> {
    let mut config: Config = settings.url.parse().map_err(|error: tokio_postgres::Error| {
        // The error itself says "invalid configuration" and its cause says why, without the value.
        OpenPostgresError::InvalidUrl(describe(&error))
    })?;
    if config.get_application_name().is_none() {
        config.application_name("tactful");
    }
    config.tcp_user_timeout(SILENCE_MAX).keepalives_idle(SILENCE_MAX).connect_timeout(settings.connection_wait_max);
    Connections::new(&config, settings).map_err(|error| OpenPostgresError::Unreachable(error.to_string()))
}

/// Checks the server, not yet the schema, and returns a connection to it.
async fn check_server(connections: &Connections, settings: &PostgresSettings) -> Result<Object, OpenPostgresError> {
    let client = connections.try_get().await.map_err(OpenPostgresError::Unreachable)?;
    let checks = "SELECT pg_is_in_recovery(), current_setting('fsync')::bool, pg_encoding_to_char(encoding)::text, \
                  current_setting('synchronous_standby_names') FROM pg_database WHERE datname = current_database()";
    let row = client.query_one(checks, &[]).await.map_err(|error| refused(&error))?;
    let read = || {
        Ok::<(bool, bool, String, String), tokio_postgres::Error>((
            row.try_get(0)?,
            row.try_get(1)?,
            row.try_get(2)?,
            row.try_get(3)?,
        ))
    };
    let (is_standby, has_fsync, encoding, standbys) = read().map_err(|error| refused(&error))?;
    if is_standby {
        return Err(OpenPostgresError::Standby);
    }
    if !has_fsync {
        return Err(OpenPostgresError::NoFsync);
    }
    if encoding != "UTF8" {
        return Err(OpenPostgresError::OtherEncoding(encoding));
    }
    if standbys.is_empty() && settings.confirmation == Confirmation::Standby {
        return Err(OpenPostgresError::NoStandby);
    }
    Ok(client)
}

/// Reads a number about the store; `None` also when there is no schema.
async fn meta_number(client: &Object, name: &str) -> Result<Option<i64>, OpenPostgresError> {
    match client.query_opt("SELECT number FROM meta WHERE name = $1", &[&name]).await {
        Ok(row) => Ok(row.and_then(|row| row.try_get(0).ok()).flatten()),
        Err(error) if error.code() == Some(&SqlState::UNDEFINED_TABLE) => Ok(None),
        Err(error) => Err(refused(&error)),
    }
}

fn refused(error: &tokio_postgres::Error) -> OpenPostgresError {
    let detail = describe(error);
    match error.code() {
        Some(code) if *code == SqlState::INSUFFICIENT_PRIVILEGE => OpenPostgresError::NoRights(detail),
        Some(_) => OpenPostgresError::Refused(detail),
        None => OpenPostgresError::Unreachable(detail),
    }
}
