//! Policy, catalogue, explicit offers and model as one immutable value.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::trained_model::TrainedModel;
use crate::decision::decision_context::DecisionContext;
use crate::decision::explicit_offer_index::ExplicitOfferIndex;
use crate::domain::catalog::Catalog;
use crate::domain::ids::{DecisionId, OfferId};
use crate::domain::outlook::Outlook;
use crate::domain::policy::Policy;
use crate::domain::time::Timestamp;
use crate::model::bound_model::BoundModel;
use crate::model::offer_model::OfferModel;

static NO_EXHAUSTED_OFFERS: BTreeSet<OfferId> = BTreeSet::new();
static NO_OUTLOOK: Outlook = Outlook { buying: None, staying: None };

/// Immutable view of everything that a decision depends on beside the customer. A decision holds one from its first step
/// to its last, so that it never mixes versions.
pub(super) struct Snapshot {
    pub(super) policy: Arc<Policy>,
    /// Number of the policy, which commits of decisions name.
    pub(super) policy_number: u64,
    pub(super) offers: Arc<ExplicitOfferIndex>,
    pub(super) model: BoundModel,
    pub(super) trained: Option<TrainedModel>,
}

/// Parts that a snapshot is made of, each replaceable on its own.
pub(super) struct SnapshotParts {
    pub(super) policy: Arc<Policy>,
    pub(super) policy_number: u64,
    pub(super) catalog: Arc<Catalog>,
    pub(super) offers: Arc<ExplicitOfferIndex>,
    pub(super) trained: Option<TrainedModel>,
}

impl Snapshot {
    pub(super) fn new(parts: SnapshotParts) -> Self {
        let SnapshotParts { policy, policy_number, catalog, offers, trained } = parts;
        let model = match &trained {
            Some(trained) => Arc::clone(&trained.model),
            None => Arc::new(OfferModel::untrained()),
        };
        // A policy may declare another order of features, or another source of item groups.
        let catalog = if *catalog.settings() == policy.catalog {
            catalog
        } else {
            Arc::new(Catalog::with_settings(catalog.products().to_vec(), policy.catalog.clone()))
        };
        Self { policy, policy_number, offers, model: BoundModel::new(model, catalog), trained }
    }

    pub(super) fn parts(&self) -> SnapshotParts {
        SnapshotParts {
            policy: Arc::clone(&self.policy),
            policy_number: self.policy_number,
            catalog: Arc::clone(self.catalog()),
            offers: Arc::clone(&self.offers),
            trained: self.trained.clone(),
        }
    }

    pub(super) fn catalog(&self) -> &Arc<Catalog> {
        self.model.catalog()
    }

    /// The learned outlook; empty before the first training.
    pub(super) fn outlook(&self) -> &Outlook {
        self.trained.as_ref().map_or(&NO_OUTLOOK, |trained| &trained.outlook)
    }

    /// Version of the trained model; 0 before the first training.
    pub(super) fn model_version(&self) -> u64 {
        self.trained.as_ref().map_or(0, |trained| trained.view.version)
    }

    pub(super) fn decision_context(&self, now: Timestamp, decision: DecisionId) -> DecisionContext<'_> {
        DecisionContext {
            policy: &self.policy,
            outlook: self.outlook(),
            catalog: self.catalog(),
            offers: &self.offers,
            exhausted_offers: &NO_EXHAUSTED_OFFERS,
            model_version: self.model_version(),
            now,
            decision,
        }
    }
}
