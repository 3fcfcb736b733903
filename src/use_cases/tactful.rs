//! The running system: the store, the clock, and the snapshot of catalogue and model that calls decide with.

use std::sync::Arc;

use arc_swap::ArcSwap;
use tokio::sync::Mutex;

use super::trained_model::{TrainedModel, read_stored_model};
use crate::decision::question::Grounds;
use crate::domain::catalog::Catalog;
use crate::domain::ids::DecisionId;
use crate::domain::outlook::Outlook;
use crate::domain::policy::Policy;
use crate::domain::time::Timestamp;
use crate::model::bound_model::BoundModel;
use crate::model::offer_model::OfferModel;
use crate::model::train::TrainingSettings;
use crate::store::contract::{Store, StoreError};

/// Tells the time. The server's clock can be started at another time, and tests move theirs by hand.
pub trait Clock: Send + Sync + 'static {
    /// Now.
    fn now(&self) -> Timestamp;
}

/// Everything a use case needs.
pub struct Tactful {
    pub(super) store: Arc<dyn Store>,
    pub(super) policy: Arc<Policy>,
    pub(super) training_settings: TrainingSettings,
    /// Held while a training runs.
    pub(super) training: Mutex<()>,
    clock: Arc<dyn Clock>,
    snapshot: ArcSwap<Snapshot>,
    /// Held while the next snapshot is made, so that of two changes neither is lost.
    publishing: Mutex<()>,
}

/// Catalogue and model as one: a decision uses the same of both from its first step to its last.
pub(super) struct Snapshot {
    pub(super) model: BoundModel,
    pub(super) trained: Option<TrainedModel>,
}

static NOTHING_LEARNED: Outlook = Outlook { buying: None, staying: None };

impl Snapshot {
    fn new(catalog: Arc<Catalog>, trained: Option<TrainedModel>) -> Self {
        let model = match &trained {
            Some(trained) => Arc::clone(&trained.model),
            None => Arc::new(OfferModel::untrained()),
        };
        Self { model: BoundModel::new(model, catalog), trained }
    }

    pub(super) fn catalog(&self) -> &Arc<Catalog> {
        self.model.catalog()
    }

    /// What was learned about who comes back; nothing before the first training.
    pub(super) fn outlook(&self) -> &Outlook {
        self.trained.as_ref().map_or(&NOTHING_LEARNED, |trained| &trained.outlook)
    }

    /// What a decision is made with.
    pub(super) fn grounds<'a>(&'a self, policy: &'a Policy, now: Timestamp, decision: DecisionId) -> Grounds<'a> {
        let model_version = self.trained.as_ref().map_or(0, |trained| trained.view.version);
        Grounds { policy, outlook: self.outlook(), catalog: self.catalog(), model_version, now, decision }
    }
}

impl Tactful {
    /// Loads the catalogue and the current model. Without a model, popularity and the catalogue serve.
    pub async fn open(
        store: Arc<dyn Store>,
        clock: Arc<dyn Clock>,
        policy: Policy,
        training_settings: TrainingSettings,
    ) -> Result<Self, StoreError> {
        let catalog = Arc::new(Catalog::new(store.load_products().await?));
        let trained = read_stored_model(store.as_ref()).await?;
        Ok(Self {
            store,
            policy: Arc::new(policy),
            training_settings,
            training: Mutex::new(()),
            clock,
            snapshot: ArcSwap::from_pointee(Snapshot::new(catalog, trained)),
            publishing: Mutex::new(()),
        })
    }

    /// The time as this system sees it.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// The store, for counts and for the stop.
    #[must_use]
    pub fn store(&self) -> &Arc<dyn Store> {
        &self.store
    }

    /// The catalogue in use.
    #[must_use]
    pub fn catalog(&self) -> Arc<Catalog> {
        Arc::clone(self.snapshot.load().catalog())
    }

    pub(super) fn snapshot(&self) -> Arc<Snapshot> {
        self.snapshot.load_full()
    }

    /// Serves the catalogue as it is stored now.
    pub(super) async fn publish_catalog(&self) -> Result<(), StoreError> {
        let _publishing = self.publishing.lock().await;
        let catalog = Arc::new(Catalog::new(self.store.load_products().await?));
        self.snapshot.store(Arc::new(Snapshot::new(catalog, self.snapshot().trained.clone())));
        Ok(())
    }

    /// Serves this model.
    pub(super) async fn publish_model(&self, trained: TrainedModel) {
        let _publishing = self.publishing.lock().await;
        self.snapshot.store(Arc::new(Snapshot::new(self.catalog(), Some(trained))));
    }
}
