//! The running system: the store, the clock, and the snapshot of policy, catalogue, offers and model that calls decide with.

use std::collections::BTreeSet;
use std::sync::Arc;

use arc_swap::ArcSwap;
use tokio::sync::Mutex;

use super::learn_acceptances::AcceptanceCounts;
use super::policies::read_stored_policy;
use super::retention::Retention;
use super::trained_model::{TrainedModel, read_stored_model};
use crate::decision::explicit_offer_index::ExplicitOfferIndex;
use crate::decision::offer_query::DecisionContext;
use crate::domain::catalog::Catalog;
use crate::domain::ids::{DecisionId, OfferId};
use crate::domain::outlook::Outlook;
use crate::domain::policy::Policy;
use crate::domain::time::Timestamp;
use crate::model::bound_model::BoundModel;
use crate::model::offer_model::OfferModel;
use crate::model::train::TrainingSettings;
use crate::store::contract::{Activation, Store, StoreError};

/// Tells the time. The server's clock can be started at another time, and tests move theirs by hand.
pub trait Clock: Send + Sync + 'static {
    /// Now.
    fn now(&self) -> Timestamp;
}

/// Everything a use case needs.
pub struct App {
    pub(super) store: Arc<dyn Store>,
    pub(super) training_settings: TrainingSettings,
    pub(super) retention: Retention,
    /// Held while a training runs.
    pub(super) training: Mutex<()>,
    /// Held while a backup is made.
    pub(super) backing_up: Arc<Mutex<()>>,
    clock: Arc<dyn Clock>,
    snapshot: ArcSwap<Snapshot>,
    /// Explicit offers whose volume was found gone.
    pub(super) exhausted_offers: ArcSwap<BTreeSet<OfferId>>,
    /// What came of offers.
    pub(super) acceptance_counts: AcceptanceCounts,
    /// Held while the next snapshot is made, so that of two changes neither is lost.
    pub(super) publishing: Mutex<()>,
}

/// Policy, catalogue, explicit offers and model as one: a decision uses the same of all from its first step to its last.
pub(super) struct Snapshot {
    pub(super) policy: Arc<Policy>,
    pub(super) offers: Arc<ExplicitOfferIndex>,
    pub(super) model: BoundModel,
    pub(super) trained: Option<TrainedModel>,
}

/// What a snapshot is made of.
struct SnapshotParts {
    policy: Arc<Policy>,
    catalog: Arc<Catalog>,
    offers: Arc<ExplicitOfferIndex>,
    trained: Option<TrainedModel>,
}

static NO_EXHAUSTED_OFFERS: BTreeSet<OfferId> = BTreeSet::new();
static NOTHING_LEARNED: Outlook = Outlook { buying: None, staying: None };

impl Snapshot {
    fn new(SnapshotParts { policy, catalog, offers, trained }: SnapshotParts) -> Self {
        let model = match &trained {
            Some(trained) => Arc::clone(&trained.model),
            None => Arc::new(OfferModel::untrained()),
        };
        Self { policy, offers, model: BoundModel::new(model, catalog), trained }
    }

    pub(super) fn catalog(&self) -> &Arc<Catalog> {
        self.model.catalog()
    }

    /// What was learned about who comes back; nothing before the first training.
    pub(super) fn outlook(&self) -> &Outlook {
        self.trained.as_ref().map_or(&NOTHING_LEARNED, |trained| &trained.outlook)
    }

    /// 0 while there is no model.
    pub(super) fn model_version(&self) -> u64 {
        self.trained.as_ref().map_or(0, |trained| trained.view.version)
    }

    /// What a decision is made with.
    pub(super) fn decision_context(&self, now: Timestamp, decision: DecisionId) -> DecisionContext<'_> {
        DecisionContext {
            policy: &self.policy,
            outlook: self.outlook(),
            catalog: self.catalog(),
            offers: &self.offers,
            spent: &NO_EXHAUSTED_OFFERS,
            model_version: self.model_version(),
            now,
            decision,
        }
    }
}

impl App {
    /// Loads the policy in force, the catalogue and the current model. Without a model, popularity and the catalogue
    /// serve; where no policy was ever put into force, `policy` is.
    pub async fn open(
        store: Arc<dyn Store>,
        clock: Arc<dyn Clock>,
        policy: Policy,
        training_settings: TrainingSettings,
    ) -> Result<Self, StoreError> {
        let catalog = Arc::new(Catalog::new(store.load_products().await?));
        let offers = Arc::new(ExplicitOfferIndex::new(store.load_offers().await?));
        let trained = read_stored_model(store.as_ref()).await?;
        let policy = Arc::new(stored_policy(store.as_ref()).await?.unwrap_or(policy));
        Ok(Self {
            store,
            training_settings,
            retention: Retention::default(),
            training: Mutex::new(()),
            backing_up: Arc::default(),
            clock,
            snapshot: ArcSwap::from_pointee(Snapshot::new(SnapshotParts { policy, catalog, offers, trained })),
            exhausted_offers: ArcSwap::default(),
            acceptance_counts: AcceptanceCounts::default(),
            publishing: Mutex::new(()),
        })
    }

    /// The same system, which forgets what is older than this.
    pub fn with_retention(self, retention: Retention) -> Self {
        Self { retention, ..self }
    }

    /// The time as this system sees it.
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// The store, for counts and for the stop.
    pub fn store(&self) -> &Arc<dyn Store> {
        &self.store
    }

    /// The catalogue in use.
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
        self.publish(|parts| parts.catalog = catalog);
        Ok(())
    }

    /// Serves the explicit offers as they are stored now. The caller holds `publishing`.
    pub(super) async fn publish_offers(&self) -> Result<(), StoreError> {
        let offers = self.store.load_offers().await?;
        // Reading thousands of conditions must not hold a thread that serves.
        let book = tokio::task::spawn_blocking(move || Arc::new(ExplicitOfferIndex::new(offers))).await;
        let book = book.map_err(|error| StoreError::Failed { detail: format!("reading the offers died: {error}") })?;
        self.publish(|parts| parts.offers = book);
        // Another cap may leave something.
        self.clear_exhausted_offers();
        Ok(())
    }

    /// Serves this model.
    pub(super) async fn publish_model(&self, trained: TrainedModel) {
        let _publishing = self.publishing.lock().await;
        self.publish(|parts| parts.trained = Some(trained));
    }

    /// Serves the same as now but for what is changed. The caller holds `publishing`.
    fn publish(&self, change: impl FnOnce(&mut SnapshotParts)) {
        let now = self.snapshot();
        let mut parts = SnapshotParts {
            policy: Arc::clone(&now.policy),
            catalog: Arc::clone(now.catalog()),
            offers: Arc::clone(&now.offers),
            trained: now.trained.clone(),
        };
        change(&mut parts);
        self.snapshot.store(Arc::new(Snapshot::new(parts)));
    }

    /// The policy in force.
    pub fn policy_in_force(&self) -> Arc<Policy> {
        Arc::clone(&self.snapshot.load().policy)
    }

    /// Serves by this policy. The caller holds `publishing`.
    pub(super) fn serve_policy(&self, policy: Arc<Policy>) {
        self.publish(|parts| parts.policy = policy);
    }
}

/// The policy that was put into force last; `None` when none ever was.
async fn stored_policy(store: &dyn Store) -> Result<Option<Policy>, StoreError> {
    let Some(Activation { policy: version, at: _ }) = store.load_activations().await?.pop() else { return Ok(None) };
    let stored = store.load_policies().await?.into_iter().find(|stored| stored.version == version);
    match stored {
        Some(stored) => read_stored_policy(&version, &stored.text).map(Some),
        None if version == Policy::default().version => Ok(Some(Policy::default())),
        None => {
            let detail = format!("{version} is in force and missing");
            Err(StoreError::Damaged { what: "policy", detail })
        }
    }
}
