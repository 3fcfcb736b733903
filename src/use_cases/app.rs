//! The running system: the store, the clock, and the snapshot of policy, catalogue, offers and model that calls decide with.

use std::sync::{Arc, PoisonError, Weak};

use arc_swap::ArcSwap;
use tokio::sync::Mutex;

use super::acceptance_counts::AcceptanceCounts;
use super::exhausted_offers::ExhaustedOffers;
use super::retention::Retention;
use super::snapshot::{Snapshot, SnapshotParts};
use super::stored_acceptances::load_stored_acceptances;
use super::stored_policy::load_active_policy;
use super::trained_model::{TrainedModel, read_stored_model};
use crate::decision::explicit_offer_index::ExplicitOfferIndex;
use crate::domain::catalog::Catalog;
use crate::domain::explicit_offer::ExplicitOffer;
use crate::domain::policy::Policy;
use crate::domain::time::Timestamp;
use crate::model::training_settings::TrainingSettings;
use crate::store::contract::error::StoreError;
use crate::store::contract::shared::{PublishedNumbers, ReplicaId};
use crate::store::contract::store::Store;

/// Source of the current time. The server's clock can be started at another time, and tests set theirs by hand.
pub trait Clock: Send + Sync + 'static {
    /// Returns the current time.
    fn now(&self) -> Timestamp;
}

/// Everything that a use case needs.
pub struct App {
    pub(super) store: Arc<dyn Store>,
    /// Identity of this process in a store that others share.
    pub(super) replica: ReplicaId,
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
    /// Numbers of what the snapshot was loaded from.
    loaded_numbers: std::sync::Mutex<PublishedNumbers>,
    /// Policies that were in force before, which calls in progress may still use, with their numbers.
    earlier_policies: std::sync::Mutex<Vec<(u64, Weak<Policy>)>>,
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
        // First, so that what is published meanwhile is loaded again.
        let loaded_numbers = match store.shared() {
            Some(shared) => shared.published().await?.numbers,
            None => PublishedNumbers::default(),
        };
        let trained = read_stored_model(store.as_ref()).await?;
        let (policy, policy_number) = load_active_policy(store.as_ref()).await?.unwrap_or((policy, 0));
        let policy = Arc::new(policy);
        let catalog = Arc::new(Catalog::with_settings(store.load_products().await?, policy.catalog.clone()));
        let offers = index_offers(store.load_offers().await?, &policy).await?;
        report_unusable_conditions(&offers);
        let app = Self {
            store,
            replica: ReplicaId::random(),
            training_settings,
            process_memory_max: None,
            retention: Retention::default(),
            training: Mutex::new(()),
            merging: Mutex::new(()),
            backing_up: Arc::default(),
            clock,
            snapshot: ArcSwap::from_pointee(Snapshot::new(SnapshotParts {
                policy,
                policy_number,
                catalog,
                offers,
                trained,
            })),
            loaded_numbers: std::sync::Mutex::new(loaded_numbers),
            earlier_policies: std::sync::Mutex::default(),
            exhausted_offers: ExhaustedOffers::default(),
            acceptance_counts: AcceptanceCounts::default(),
            publishing: Mutex::new(()),
        };
        app.load_acceptances().await?;
        Ok(app)
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

    /// Whether other processes may use the store.
    pub fn is_store_shared(&self) -> bool {
        self.store.shared().is_some()
    }

    /// Returns the catalogue in use.
    pub fn catalog(&self) -> Arc<Catalog> {
        Arc::clone(self.snapshot.load().catalog())
    }

    /// Returns the policy in force.
    pub fn policy_in_force(&self) -> Arc<Policy> {
        Arc::clone(&self.snapshot.load().policy)
    }

    /// Returns the policy in force, with its number.
    pub(super) fn numbered_policy(&self) -> (Arc<Policy>, u64) {
        let snapshot = self.snapshot.load();
        (Arc::clone(&snapshot.policy), snapshot.policy_number)
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

    /// Loads the acceptance counts of a shared store.
    pub(super) async fn load_acceptances(&self) -> Result<(), StoreError> {
        if let Some(counts) = load_stored_acceptances(self.store.as_ref()).await? {
            self.acceptance_counts.replace(counts, |_| true);
        }
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
    pub(super) fn publish_policy(&self, policy: Arc<Policy>, number: u64, offers: Arc<ExplicitOfferIndex>) {
        report_unusable_conditions(&offers);
        let before = self.snapshot();
        let earlier = (before.policy_number, Arc::downgrade(&before.policy));
        drop(before);
        self.earlier_policies.lock().unwrap_or_else(PoisonError::into_inner).push(earlier);
        self.publish(|parts| {
            parts.policy = policy;
            parts.policy_number = number;
            parts.offers = offers;
        });
    }

    /// Publishes the policy that was activated last, if another one is in use.
    pub(super) async fn follow_policy(&self) -> Result<(), StoreError> {
        let _publishing = self.publishing.lock().await;
        let Some((policy, number)) = load_active_policy(self.store.as_ref()).await? else { return Ok(()) };
        if number != self.snapshot().policy_number {
            let index = index_offers(self.store.load_offers().await?, &policy).await?;
            tracing::info!(version = policy.version, "policy loaded that was activated elsewhere");
            self.publish_policy(Arc::new(policy), number, index);
        }
        Ok(())
    }

    /// Number of the oldest policy that a call may still use.
    pub(super) fn oldest_policy_in_use(&self) -> u64 {
        let current = self.snapshot().policy_number;
        let mut earlier = self.earlier_policies.lock().unwrap_or_else(PoisonError::into_inner);
        earlier.retain(|(_, policy)| policy.strong_count() > 0);
        earlier.iter().map(|(number, _)| *number).min().map_or(current, |oldest| oldest.min(current))
    }

    pub(super) fn loaded_numbers(&self) -> PublishedNumbers {
        *self.loaded_numbers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn note_loaded(&self, note: impl FnOnce(&mut PublishedNumbers)) {
        note(&mut self.loaded_numbers.lock().unwrap_or_else(PoisonError::into_inner));
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
