//! The PostgreSQL database of a store: opening it, and preparing it before a server may use it.

use std::sync::Arc;

use crate::config::store_url::{StoreConfirmation, StoreUrl};
use crate::store::contract::store::Store;
use crate::store::postgres::schema::{self, OpenPostgresError};
use crate::store::postgres::settings::{Confirmation, PostgresSettings};
use crate::store::postgres::store::PostgresStore;

/// Version of the schema that [`create_schema`] creates and the server needs.
pub use crate::store::postgres::schema::SCHEMA_VERSION;

/// Opens the store in a database. It changes nothing, and fails when the database cannot be used as it is.
pub async fn open(url: &StoreUrl, confirmation: StoreConfirmation) -> Result<Arc<dyn Store>, OpenPostgresError> {
    Ok(Arc::new(PostgresStore::open(settings(url, confirmation)).await?))
}

/// Creates the schema in an empty database, as a whole or not at all.
pub async fn create_schema(url: &StoreUrl, confirmation: StoreConfirmation) -> Result<(), OpenPostgresError> {
    schema::init(&settings(url, confirmation)).await
}

fn settings(url: &StoreUrl, confirmation: StoreConfirmation) -> PostgresSettings {
    let confirmation = match confirmation {
        StoreConfirmation::Standby => Confirmation::Standby,
        StoreConfirmation::Engine => Confirmation::Engine,
    };
    PostgresSettings { confirmation, ..PostgresSettings::new(url.as_str()) }
}
