//! Temporal fold with the item model that was fitted on its history.

use crate::domain::catalog::Catalog;

use super::super::training_settings::TrainingSettings;
use super::association_scores::{SparseScores, score_associations};
use super::content_similarity::ContentSimilarity;
use super::holdout_queries::HoldoutQuery;
use super::interaction_rows::{InteractionRows, UnsolvableRegression};
use super::item_model::{ItemModel, Regularization, fit_item_model};
use super::ranker::{Blend, RERANKED_MAX, candidate_pool, current_by_popularity, retrieve};
use super::temporal_folds::TemporalFold;

/// Temporal fold and what was learned as of its cutoff.
pub struct FittedFold<'a> {
    pub fold: &'a TemporalFold<'a>,
    /// Item model as of the cutoff.
    pub model: ItemModel,
    /// Content of the items.
    pub content: ContentSimilarity,
    /// Items sold not too long before the cutoff, the most popular first.
    pub by_popularity: Vec<u32>,
}

impl<'a> FittedFold<'a> {
    /// Fits an item model to the rows of a fold.
    pub fn fit(
        fold: &'a TemporalFold<'a>,
        rows: &InteractionRows,
        catalog: &Catalog,
        regularization: Regularization,
        settings: &TrainingSettings,
    ) -> Result<Self, UnsolvableRegression> {
        let model = fit_item_model(&fold.history, rows, regularization, settings)?;
        let content = ContentSimilarity::of(&model.products, catalog);
        let by_popularity = current_by_popularity(&model, fold.cutoff);
        Ok(Self { fold, model, content, by_popularity })
    }

    /// Retrieves the candidates of a holdout query, with the association scores of all items.
    pub fn retrieve(&self, holdout: &HoldoutQuery, blend: &Blend) -> (Vec<(u32, f32)>, SparseScores) {
        let associations = score_associations(&self.model, &holdout.query);
        let score = |item: u32| blend.score_of(&self.model, associations.of(item), item);
        let is_candidate = |item: u32| holdout.is_candidate(item);
        let pool = candidate_pool(
            &self.model,
            &associations,
            &self.by_popularity,
            self.fold.cutoff,
            is_candidate,
            RERANKED_MAX,
        );
        (retrieve(pool.into_iter(), score), associations)
    }
}
