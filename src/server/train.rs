//! A training in a process of its own, on the history in a database that servers share: the servers need no memory for it.

use std::sync::Arc;

use super::clock::ServerClock;
use super::database;
use super::replica::{StoreContact, follow_once};
use crate::config::memory_limit::memory_limit_bytes;
use crate::config::store_url::StoreDatabase;
use crate::domain::policy::Policy;
use crate::model::training_settings::TrainingSettings;
use crate::store::contract::error::StoreError;
use crate::store::postgres::schema::OpenPostgresError;
use crate::use_cases::app::{App, Clock};
use crate::use_cases::train_model::{TrainError, train_model};
use crate::use_cases::trained_model::ModelView;

/// Error returned when no model was published; the current model stays in use.
#[derive(Debug, thiserror::Error)]
pub enum TrainInDatabaseError {
    /// The database cannot be used.
    #[error(transparent)]
    Database(#[from] OpenPostgresError),
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The training failed.
    #[error(transparent)]
    Train(#[from] TrainError),
}

/// Learns from all history in a database, and publishes the model, which the servers of the database load.
///
/// # Errors
/// When the database cannot be used, another process is training, or no model can be learned.
pub async fn train_in_database(
    database: &StoreDatabase,
    threads: usize,
    memory_bytes_max: u64,
) -> Result<ModelView, TrainInDatabaseError> {
    let store = database::open(database).await?;
    let clock = Arc::new(ServerClock::starting_at(None));
    let settings = TrainingSettings::new(threads, memory_bytes_max);
    let app = App::open(store, Arc::clone(&clock) as Arc<dyn Clock>, Policy::default(), settings).await?;
    let app = Arc::new(app.with_process_memory(memory_limit_bytes()));
    // Up to now by the clock of the database.
    follow_once(&app, &StoreContact::new(), Some(&clock)).await?;
    let view = train_model(&app).await?;
    app.store().close().await?;
    Ok(view)
}
