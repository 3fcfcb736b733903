//! Opening a store: the schema is there, of this version, on a primary that keeps what it confirms.
//!
//! Nothing is changed on the way. [`init`] creates the schema and [`migrate`] changes it, which takes rights that the server
//! need not have.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use arc_swap::ArcSwap;
use deadpool_postgres::Object;
use tokio_postgres::Config;
use tokio_postgres::config::SslMode;
use tokio_postgres::error::SqlState;

use super::connections::Connections;
use super::error::describe;
use super::settings::{Confirmation, PostgresSettings};
use super::store::PostgresStore;
use super::tls::{self, Encryption};
use crate::domain::time::Timestamp;
use crate::store::contract::error::StoreError;
use crate::store::erasure::ErasureKey;

/// Version of the schema that this version of tactful reads and writes.
pub const SCHEMA_VERSION: i64 = 2;
pub(super) const PUT_ERASURE_KEY: &str = "INSERT INTO meta (name, bytes) VALUES ('erasure_key', $1) ON CONFLICT (name) \
     DO UPDATE SET bytes = EXCLUDED.bytes";

/// Statements that lead to each version from the one before.
const MIGRATIONS: [&str; 2] = [include_str!("schema/1.sql"), include_str!("schema/2.sql")];
/// Lock under which the schema is created or changed.
const MIGRATION_LOCK: i64 = 0x7461_6374_6675_6c00;
/// A server that has not acknowledged sent data for this long is gone.
const SILENCE_MAX: Duration = Duration::from_secs(10);

/// Reason for which a store in a database cannot be opened. Each names the setting or the command that cures it, and none
/// contains the URL, which may hold a password.
#[derive(Debug, thiserror::Error)]
pub enum OpenPostgresError {
    /// The connection string does not parse.
    #[error("the store URL is not a valid PostgreSQL connection string: {0}")]
    InvalidUrl(String),
    /// The file of the CA holds no certificates, or damaged ones.
    #[error("the file of store-ca is not a PEM file with CA certificates: {0}")]
    InvalidCa(String),
    /// The connection string demands TLS, but nothing says which certificates to trust.
    #[error("the store URL demands TLS (sslmode=require); name the CA certificates of the database with store-ca")]
    NoCa,
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
    /// The schema is of an earlier version.
    #[error(
        "the database has schema version {found}, but this version of tactful needs {SCHEMA_VERSION}; run `tactful store migrate`"
    )]
    OldSchema {
        /// The version that was found.
        found: i64,
    },
    /// The schema is of a later version.
    #[error(
        "the database has schema version {found}, but this version of tactful knows {SCHEMA_VERSION}; run a later version of tactful"
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
    /// A restore into the database did not end.
    #[error("a restore into the database was not finished; run `tactful restore` again")]
    RestoreUnfinished,
    /// A backup cannot be restored over another store.
    #[error("the database holds a store already, and a backup can only be restored into an empty one")]
    NotEmpty,
    /// A server uses the database.
    #[error("a server uses the database; stop it before a backup is restored")]
    InUse,
    /// The schema exists already, in part or as a whole.
    #[error("the database has a tactful schema already")]
    SchemaExists,
}

/// Creates the schema in an empty database. It is created as a whole or not at all.
///
/// # Errors
/// When the database cannot be used, or has a schema already.
pub async fn init(settings: &PostgresSettings) -> Result<(), OpenPostgresError> {
    let connections = connect(settings, 1)?;
    let client = check_server(&connections, settings).await?;
    let create = async {
        begin_migration(&client).await?;
        client.batch_execute(MIGRATIONS[0]).await?;
        client.execute("INSERT INTO meta (name, number) VALUES ('schema_version', 1)", &[]).await?;
        client.execute(PUT_ERASURE_KEY, &[&ErasureKey::random().bytes()]).await?;
        migrate_from(&client, 1).await?;
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

/// Brings the schema to [`SCHEMA_VERSION`], as a whole or not at all, and returns the version that was found. Later versions
/// only add to a schema, so servers of the version before go on meanwhile.
///
/// # Errors
/// When the database cannot be used, has no schema, or one of a later version.
pub async fn migrate(settings: &PostgresSettings) -> Result<i64, OpenPostgresError> {
    let connections = connect(settings, 1)?;
    let client = check_server(&connections, settings).await?;
    if meta_number(&client, "schema_version").await?.is_none() {
        return Err(OpenPostgresError::NoSchema);
    }
    let migrate = async {
        begin_migration(&client).await?;
        let found = client.query_one("SELECT number FROM meta WHERE name = 'schema_version'", &[]).await?.try_get(0)?;
        migrate_from(&client, found).await?;
        client.batch_execute("COMMIT").await?;
        Ok(found)
    };
    let migrated: Result<i64, tokio_postgres::Error> = migrate.await;
    drop(Object::take(client));
    match migrated.map_err(|error| refused(&error))? {
        found if found > SCHEMA_VERSION => Err(OpenPostgresError::OtherSchema { found }),
        found => Ok(found),
    }
}

/// Begins a transaction that changes the schema, which only one process may at a time.
async fn begin_migration(client: &Object) -> Result<(), tokio_postgres::Error> {
    client.batch_execute("BEGIN").await?;
    client.execute("SELECT pg_advisory_xact_lock($1)", &[&MIGRATION_LOCK]).await.map(drop)
}

/// Applies the migrations that follow a version.
async fn migrate_from(client: &Object, version: i64) -> Result<(), tokio_postgres::Error> {
    let applied = usize::try_from(version).unwrap_or(0);
    for migration in MIGRATIONS.iter().skip(applied) {
        client.batch_execute(migration).await?;
    }
    let statement = "UPDATE meta SET number = greatest(number, $1) WHERE name = 'schema_version'";
    client.execute(statement, &[&SCHEMA_VERSION]).await.map(drop)
}

impl PostgresStore {
    /// Opens the store in a database.
    ///
    /// # Errors
    /// When the database cannot be used as it is; nothing is changed then.
    pub async fn open(settings: PostgresSettings) -> Result<Self, OpenPostgresError> {
        let store = Self::open_to_restore(settings).await?;
        let marker = "SELECT 1 FROM meta WHERE name = 'restore'";
        let refused = |error: StoreError| OpenPostgresError::Refused(error.to_string());
        let is_restoring = !store.query(marker, &[]).await.map_err(refused)?.is_empty();
        if is_restoring { Err(OpenPostgresError::RestoreUnfinished) } else { Ok(store) }
    }

    /// Opens the store although a restore may be in progress.
    pub(super) async fn open_to_restore(settings: PostgresSettings) -> Result<Self, OpenPostgresError> {
        let connections = connect(&settings, settings.connections_max)?;
        let read_connections = connect(&settings, settings.read_connections_max)?;
        let client = check_server(&read_connections, &settings).await?;
        match meta_number(&client, "schema_version").await? {
            Some(SCHEMA_VERSION) => {}
            Some(found) if found < SCHEMA_VERSION => return Err(OpenPostgresError::OldSchema { found }),
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
            read_connections,
            settings,
            erasure_key: ArcSwap::new(Arc::new(key)),
            swept_before: Mutex::new(swept_before),
        })
    }
}

fn connect(settings: &PostgresSettings, connections_max: usize) -> Result<Connections, OpenPostgresError> {
    let mut config: Config = settings.url.parse().map_err(|error: tokio_postgres::Error| {
        // The error itself says "invalid configuration" and its cause says why, without the value.
        OpenPostgresError::InvalidUrl(describe(&error))
    })?;
    if config.get_application_name().is_none() {
        config.application_name("tactful");
    }
    config.tcp_user_timeout(SILENCE_MAX).keepalives_idle(SILENCE_MAX).connect_timeout(settings.connection_wait_max);
    let encryption = encrypt(&mut config, settings)?;
    Connections::new(&config, encryption, settings, connections_max)
        .map_err(|error| OpenPostgresError::Unreachable(error.to_string()))
}

/// Returns the encryption of the connections, and demands it of the server whatever the URL says: by default a client would go
/// on without encryption when the server offers none.
fn encrypt(config: &mut Config, settings: &PostgresSettings) -> Result<Encryption, OpenPostgresError> {
    match &settings.ca {
        Some(ca) => {
            config.ssl_mode(SslMode::Require);
            tls::verify_by(ca).map_err(OpenPostgresError::InvalidCa)
        }
        None if config.get_ssl_mode() == SslMode::Require => Err(OpenPostgresError::NoCa),
        None => Ok(Encryption::Plain),
    }
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
