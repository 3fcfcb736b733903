//! Training of all rankers from one history.
//!
//! One procedure for every history: hyperparameters are tuned on the latest fold; rankers are trained on the older folds
//! and evaluated on the latest; and the item model that is served is fitted to the whole history. The log says what was
//! chosen, and how good it is.

use crate::domain::catalog::Catalog;

use super::super::history::OrderedHistory;
use super::super::ridge;
use super::super::training_log::TrainingLog;
use super::super::training_settings::TrainingSettings;
use super::alternative_groups::AlternativeGroups;
use super::fitted_fold::FittedFold;
use super::interaction_rows::{InteractionRows, UnsolvableRegression};
use super::item_model::{ItemModel, Regularization, fit_item_model};
use super::query_kind::QueryKind;
use super::ranker::{Blend, Ranker};
use super::ranker_training::{ranker_examples, train_ranker};
use super::temporal_folds::{TemporalFold, temporal_folds};
use super::training_examples::TrainingExamples;
use super::tuning::{DEFAULT_REGULARIZATION, tune_blend, tune_regularization};
use super::upgrade_ranker::UpgradeRanker;
use super::upgrade_training::{UpgradeFold, train_upgrade_ranker};

/// Maximum number of items, the most bought, on which regularizers and half-life are tuned.
const TUNING_ITEMS_MAX: usize = 4_000;

/// Item model and rankers that were trained.
pub struct TrainedRanking {
    /// Weights and statistics of items at the end of the history.
    pub item_model: ItemModel,
    /// Ranks complements for customers.
    pub customer_ranker: Ranker,
    /// Ranks complements for baskets.
    pub basket_ranker: Ranker,
    pub upgrade_ranker: UpgradeRanker,
    pub log: TrainingLog,
}

/// Stage of the training of the rankers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RankingStage {
    /// Tuning regularizers, half-life and blends.
    Tuning,
    /// Making the training examples of a fold.
    Examples,
    Forests,
    /// Training the upgrade ranker.
    Upgrades,
    /// Fitting the item model to the whole history.
    ItemModel,
}

impl RankingStage {
    /// Name in logs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Tuning => "tuning",
            Self::Examples => "examples",
            Self::Forests => "forests",
            Self::Upgrades => "upgrades",
            Self::ItemModel => "item_model",
        }
    }
}

/// Learns from everything before `end`.
pub fn train_ranking(
    history: &OrderedHistory,
    catalog: &Catalog,
    end: i64,
    settings: &TrainingSettings,
    progress: &dyn Fn(RankingStage),
) -> Result<TrainedRanking, UnsolvableRegression> {
    let items_max = ridge::columns_within(settings.memory_bytes_max);
    let training = Training { history, catalog, settings, progress, items_max };
    let folds = temporal_folds(history, end);
    let mut log = TrainingLog::default();
    progress(RankingStage::Tuning);
    let (regularization, rankers) = if let Some((latest, older)) = folds.split_first() {
        let most_bought = InteractionRows::before(&latest.history, latest.cutoff, items_max.min(TUNING_ITEMS_MAX));
        let regularization = tune_regularization(latest, &most_bought, settings, &mut log)?;
        drop(most_bought);
        (regularization, training.train_rankers(latest, older, regularization, &mut log)?)
    } else {
        log.notes.push("the history is too short to tune hyperparameters; defaults are used".to_owned());
        (DEFAULT_REGULARIZATION, Rankers::untrained())
    };
    progress(RankingStage::ItemModel);
    let rows = InteractionRows::before(history, end, items_max);
    let item_model = fit_item_model(history, &rows, regularization, settings)?;
    let Rankers { customers: customer_ranker, baskets: basket_ranker, upgrades: upgrade_ranker } = rankers;
    Ok(TrainedRanking { item_model, customer_ranker, basket_ranker, upgrade_ranker, log })
}

/// Rankers, before the item model is fitted to the whole history.
struct Rankers {
    customers: Ranker,
    baskets: Ranker,
    upgrades: UpgradeRanker,
}

impl Rankers {
    fn untrained() -> Self {
        Self {
            customers: Ranker::untrained(Blend::CUSTOMERS),
            baskets: Ranker::untrained(Blend::BASKETS),
            upgrades: UpgradeRanker::UNTRAINED,
        }
    }
}

/// Training examples of one fold.
struct FoldExamples {
    customers: TrainingExamples,
    baskets: TrainingExamples,
    upgrades: TrainingExamples,
}

/// Inputs of a training.
struct Training<'a> {
    history: &'a OrderedHistory,
    catalog: &'a Catalog,
    settings: &'a TrainingSettings,
    progress: &'a dyn Fn(RankingStage),
    items_max: usize,
}

impl Training<'_> {
    fn train_rankers(
        &self,
        latest: &TemporalFold<'_>,
        older: &[TemporalFold<'_>],
        regularization: Regularization,
        log: &mut TrainingLog,
    ) -> Result<Rankers, UnsolvableRegression> {
        let Self { history, catalog, settings, progress, .. } = *self;
        let latest = self.fit(latest, regularization)?;
        let customer_blend = tune_blend(&latest, QueryKind::Customers, log);
        let basket_blend = tune_blend(&latest, QueryKind::Baskets, log);
        let groups = AlternativeGroups::of(&history.products, catalog);
        let examples_of = |fitted: &FittedFold<'_>| FoldExamples {
            customers: ranker_examples(fitted, QueryKind::Customers, &customer_blend),
            baskets: ranker_examples(fitted, QueryKind::Baskets, &basket_blend),
            upgrades: UpgradeFold::of(fitted, &groups, catalog, customer_blend).examples(),
        };
        progress(RankingStage::Examples);
        let mut examples = vec![examples_of(&latest)];
        for fold in older {
            // Only the examples of a fold are kept: item models are large.
            progress(RankingStage::Examples);
            examples.push(examples_of(&self.fit(fold, regularization)?));
        }
        progress(RankingStage::Forests);
        let of_all_folds = |part: fn(&FoldExamples) -> &TrainingExamples| -> Vec<&TrainingExamples> {
            examples.iter().map(part).collect()
        };
        let of_customers = of_all_folds(|fold| &fold.customers);
        let customers = train_ranker(&latest, &of_customers, QueryKind::Customers, customer_blend, settings, log);
        let of_baskets = of_all_folds(|fold| &fold.baskets);
        let baskets = train_ranker(&latest, &of_baskets, QueryKind::Baskets, basket_blend, settings, log);
        progress(RankingStage::Upgrades);
        let latest = UpgradeFold::of(&latest, &groups, catalog, customer_blend);
        let upgrades = train_upgrade_ranker(&latest, &of_all_folds(|fold| &fold.upgrades), settings, log);
        Ok(Rankers { customers, baskets, upgrades })
    }

    fn fit<'f>(
        &self,
        fold: &'f TemporalFold<'f>,
        regularization: Regularization,
    ) -> Result<FittedFold<'f>, UnsolvableRegression> {
        let rows = InteractionRows::before(&fold.history, fold.cutoff, self.items_max);
        FittedFold::fit(fold, &rows, self.catalog, regularization, self.settings)
    }
}
