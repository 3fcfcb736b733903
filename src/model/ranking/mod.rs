//! Ranking of complements and upgrades in two stages: candidate retrieval by a linear blend, reranking by a forest.
//!
//! An item model (`item_model`), fitted as of one moment, holds item-to-item weights and statistics of each item. For a
//! query about a customer or a basket (`ranking_query`) it yields association scores (`association_scores`), which with
//! the catalogue (`content_similarity`) make up the features of each candidate (`features`). A ranker (`ranker`) retrieves
//! candidates by a blend of few scores and reranks them by an ensemble of decision trees (`forest`). It is trained on what
//! customers bought next in earlier windows of the same history (`temporal_folds`, `training`, `ranker_training`).
//! Regularization, half-life and blend are tuned on the latest window (`tuning`), which also decides whether the forest is
//! used, and calibrates probabilities (`calibration_fit`). Upgrades are ranked by the same features and those of the pair
//! (`upgrade_features`), and trained in the same way (`upgrade_training`).

pub(super) mod alternative_groups;
pub(super) mod association_scores;
mod calibration_fit;
pub(super) mod content_similarity;
pub(super) mod decay;
pub mod features;
mod fitted_fold;
pub mod forest;
mod holdout_queries;
pub(super) mod interaction_rows;
pub(super) mod item_model;
mod item_statistics;
mod query_kind;
pub(super) mod ranker;
mod ranker_training;
mod ranking_quality;
pub(super) mod ranking_query;
mod sampling;
mod temporal_folds;
pub(super) mod training;
mod training_examples;
mod tuning;
pub(super) mod upgrade_features;
pub(super) mod upgrade_ranker;
mod upgrade_training;
