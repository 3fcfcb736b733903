//! Keeps the snapshot of this process up to date with a store that other processes share.
//!
//! What others publish is known by its numbers, which are polled. A snapshot may be older than the store by the interval of the
//! polls, except for its policy: a decision under a policy that is no longer in force is not committed.

use super::app::App;
use super::trained_model::read_stored_model;
use crate::store::contract::error::StoreError;
use crate::store::contract::shared::PublishedNumbers;

/// Loads what was published since it was loaded last.
pub async fn follow_store(app: &App, published: &PublishedNumbers) -> Result<(), StoreError> {
    let loaded = app.loaded_numbers();
    if published.policy != app.snapshot().policy_number {
        app.follow_policy().await?;
    }
    if published.catalog != loaded.catalog {
        app.publish_catalog().await?;
        app.note_loaded(|numbers| numbers.catalog = published.catalog);
    }
    if published.offers != loaded.offers {
        let _publishing = app.publishing.lock().await;
        app.publish_offers().await?;
        app.note_loaded(|numbers| numbers.offers = published.offers);
    }
    if published.model != loaded.model {
        if let Some(trained) = read_stored_model(app.store.as_ref()).await? {
            app.publish_model(trained).await;
        }
        app.note_loaded(|numbers| numbers.model = published.model);
    }
    if published.acceptances != loaded.acceptances {
        app.load_acceptances().await?;
        app.note_loaded(|numbers| numbers.acceptances = published.acceptances);
    }
    // Another process may have released a unit.
    app.exhausted_offers.clear();
    Ok(())
}

/// Records in a shared store that this process is there, and which policy is the oldest that it still uses.
pub async fn report_replica(app: &App) -> Result<(), StoreError> {
    match app.store.shared() {
        Some(shared) => shared.report_replica(app.replica, app.oldest_policy_in_use()).await,
        None => Ok(()),
    }
}

/// Records in a shared store that this process stops, so that no activation waits for it.
pub async fn remove_replica(app: &App) -> Result<(), StoreError> {
    match app.store.shared() {
        Some(shared) => shared.remove_replica(app.replica).await,
        None => Ok(()),
    }
}
