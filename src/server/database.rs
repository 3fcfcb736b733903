//! The PostgreSQL database of a store: opening it, and preparing it before a server may use it.

use std::sync::Arc;

use crate::config::store_url::{StoreConfirmation, StoreDatabase};
use crate::store::contract::store::Store;
use crate::store::postgres::schema::{self, OpenPostgresError};
use crate::store::postgres::settings::{Confirmation, PostgresSettings};
use crate::store::postgres::store::PostgresStore;

/// Version of the schema that [`create_schema`] creates and the server needs.
pub use crate::store::postgres::schema::SCHEMA_VERSION;

/// Opens the store in a database. It changes nothing, and fails when the database cannot be used as it is.
pub async fn open(database: &StoreDatabase) -> Result<Arc<dyn Store>, OpenPostgresError> {
    Ok(Arc::new(PostgresStore::open(settings(database)).await?))
}

/// Creates the schema in an empty database, as a whole or not at all.
pub async fn create_schema(database: &StoreDatabase) -> Result<(), OpenPostgresError> {
    schema::init(&settings(database)).await
}

/// Brings the schema to the version that the server needs, and returns the version that was found.
pub async fn migrate_schema(database: &StoreDatabase) -> Result<i64, OpenPostgresError> {
    schema::migrate(&settings(database)).await
}

pub(super) fn settings(database: &StoreDatabase) -> PostgresSettings {
    let StoreDatabase { url, ca, confirmation } = database;
    let confirmation = match confirmation {
        StoreConfirmation::Standby => Confirmation::Standby,
        StoreConfirmation::Engine => Confirmation::Engine,
    };
    let ca = ca.as_ref().map(|ca| ca.as_bytes().to_vec());
    PostgresSettings { ca, confirmation, ..PostgresSettings::new(url.as_str()) }
}
