//! The running system: the store, the clock, and the snapshot of policy, catalogue, offers and model that calls decide with.

use std::sync::Arc;

use arc_swap::ArcSwap;
use tokio::sync::Mutex;

use super::acceptance_counts::AcceptanceCounts;
use super::exhausted_offers::ExhaustedOffers;
use super::retention::Retention;
use super::snapshot::{Snapshot, SnapshotParts};
use super::stored_policy::load_active_policy;
use super::trained_model::{TrainedModel, read_stored_model};
use crate::decision::explicit_offer_index::ExplicitOfferIndex;
use crate::domain::catalog::Catalog;
use crate::domain::explicit_offer::ExplicitOffer;
use crate::domain::policy::Policy;
use crate::domain::time::Timestamp;
use crate::model::training_settings::TrainingSettings;
use crate::store::contract::error::StoreError;
use crate::store::contract::store::Store;

/// Source of the current time. The server's clock can be started at another time, and tests set theirs by hand.
pub trait Clock: Send + Sync + 'static {
    /// Returns the current time.
    fn now(&self) -> Timestamp;
}

/// Everything that a use case needs.
pub struct App {
    pub(super) store: Arc<dyn Store>,
    pub(super) training_settings: TrainingSettings,
    /// Memory that the process may use; `None` when it is not known.
    pub(super) process_memory_max: Option<u64>,
    pub(super) retention: Retention,
    /// Locked during a training.
    pub(super) training: Mutex<()>,
    /// Locked while customers are merged or split, or several ids erased: one at a time, so that none waits for another.
    pub(super) merging: Mutex<()>,
    /// Locked during a backup.
    pub(super) backing_up: Arc<Mutex<()>>,
    clock: Arc<dyn Clock>,
    snapshot: ArcSwap<Snapshot>,
    pub(super) exhausted_offers: ExhaustedOffers,
    pub(super) acceptance_counts: AcceptanceCounts,
    /// Locked while the next snapshot is made, so that two concurrent changes are both in it.
    pub(super) publishing: Mutex<()>,
}

impl App {
    /// Loads the active policy, the catalogue, the explicit offers and the current model. Popularity and the catalogue
    /// serve while there is no model, and `policy` is in force when none was ever activated.
    pub async fn open(
        store: Arc<dyn Store>,
        clock: Arc<dyn Clock>,
        policy: Policy,
        training_settings: TrainingSettings,
    ) -> Result<Self, StoreError> {
        let trained = read_stored_model(store.as_ref()).await?;
        let policy = Arc::new(load_active_policy(store.as_ref()).await?.unwrap_or(policy));
        let catalog = Arc::new(Catalog::with_settings(store.load_products().await?, policy.catalog.clone()));
        let offers = index_offers(store.load_offers().await?, &policy).await?;
        report_unusable_conditions(&offers);
        Ok(Self {
            store,
            training_settings,
            process_memory_max: None,
            retention: Retention::default(),
            training: Mutex::new(()),
            merging: Mutex::new(()),
            backing_up: Arc::default(),
            clock,
            snapshot: ArcSwap::from_pointee(Snapshot::new(SnapshotParts { policy, catalog, offers, trained })),
            exhausted_offers: ExhaustedOffers::default(),
            acceptance_counts: AcceptanceCounts::default(),
            publishing: Mutex::new(()),
        })
    }

    /// Sets the retention periods.
    pub fn with_retention(self, retention: Retention) -> Self {
        Self { retention, ..self }
    }

    /// Sets the memory that the process may use, within which trainings are planned.
    pub fn with_process_memory(self, process_memory_max: Option<u64>) -> Self {
        Self { process_memory_max, ..self }
    }

    /// Returns the current time.
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Returns the store, for counts and for shutdown.
    pub fn store(&self) -> &Arc<dyn Store> {
        &self.store
    }

    /// Returns the catalogue in use.
    pub fn catalog(&self) -> Arc<Catalog> {
        Arc::clone(self.snapshot.load().catalog())
    }

    /// Returns the policy in force.
    pub fn policy_in_force(&self) -> Arc<Policy> {
        Arc::clone(&self.snapshot.load().policy)
    }

    pub(super) fn snapshot(&self) -> Arc<Snapshot> {
        self.snapshot.load_full()
    }

    /// Publishes the catalogue as it is stored now.
    pub(super) async fn publish_catalog(&self) -> Result<(), StoreError> {
        let _publishing = self.publishing.lock().await;
        let settings = self.policy_in_force().catalog.clone();
        let catalog = Arc::new(Catalog::with_settings(self.store.load_products().await?, settings));
        self.publish(|parts| parts.catalog = catalog);
        Ok(())
    }

    /// Publishes the explicit offers as they are stored now. The caller holds `publishing`.
    pub(super) async fn publish_offers(&self) -> Result<(), StoreError> {
        let index = index_offers(self.store.load_offers().await?, &self.policy_in_force()).await?;
        report_unusable_conditions(&index);
        self.publish(|parts| parts.offers = index);
        // A cap may have been raised.
        self.exhausted_offers.clear();
        Ok(())
    }

    /// Publishes a newly trained model.
    pub(super) async fn publish_model(&self, trained: TrainedModel) {
        let _publishing = self.publishing.lock().await;
        self.publish(|parts| parts.trained = Some(trained));
    }

    /// Returns the explicit offers indexed under another policy, whose declared attributes may differ.
    pub(super) async fn offers_under(&self, policy: &Policy) -> Result<Arc<ExplicitOfferIndex>, StoreError> {
        let snapshot = self.snapshot();
        if snapshot.policy.condition_attributes == policy.condition_attributes {
            return Ok(Arc::clone(&snapshot.offers));
        }
        index_offers(snapshot.offers.all().cloned().collect(), policy).await
    }

    /// Publishes a policy with the explicit offers indexed under it. The caller holds `publishing`.
    pub(super) fn publish_policy(&self, policy: Arc<Policy>, offers: Arc<ExplicitOfferIndex>) {
        report_unusable_conditions(&offers);
        self.publish(|parts| {
            parts.policy = policy;
            parts.offers = offers;
        });
    }

    /// Replaces the snapshot by one with the change applied. The caller holds `publishing`.
    fn publish(&self, change: impl FnOnce(&mut SnapshotParts)) {
        let mut parts = self.snapshot().parts();
        change(&mut parts);
        self.snapshot.store(Arc::new(Snapshot::new(parts)));
    }
}

/// Indexes explicit offers under a policy.
async fn index_offers(offers: Vec<ExplicitOffer>, policy: &Policy) -> Result<Arc<ExplicitOfferIndex>, StoreError> {
    let kinds = policy.condition_attributes.clone();
    // Compiling thousands of conditions must not block a thread that serves.
    let index = tokio::task::spawn_blocking(move || ExplicitOfferIndex::new(offers, &kinds)).await;
    let failed = |error| StoreError::Failed { detail: format!("indexing explicit offers failed: {error}") };
    index.map(Arc::new).map_err(failed)
}

/// Reports explicit offers whose conditions the policy makes unusable.
fn report_unusable_conditions(index: &ExplicitOfferIndex) {
    let unusable = index.unusable_conditions();
    #[allow(clippy::cast_precision_loss, reason = "there are at most 5,000 explicit offers")]
    metrics::gauge!("tactful_unusable_conditions").set(unusable.len() as f64);
    if let Some((offer, error)) = unusable.first() {
        tracing::warn!(
            offers = unusable.len(),
            example = %offer,
            %error,
            "conditions of explicit offers cannot be used; these offers apply to no customer"
        );
    }
}
