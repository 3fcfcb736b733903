//! Offline evaluation with a temporal holdout: the server's training and formulas, evaluated on files.
//!
//! A description names the files of a data set and the cutoff. Models are trained on what happened before the cutoff and
//! evaluated on queries whose ground truth comes from after it; every metric is reported beside baselines. Evaluated are the
//! ranking of offers (`ranking_evaluation`) and the retention outlook (`health_evaluation`). Nothing here serves or stores, and
//! nothing here tunes parameters: each method sets its own from the training data.

#![allow(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    reason = "counts of queries are far below 2^52, and scores and prices need no more than the bits of a float"
)]

mod data_set;
pub mod description;
pub(crate) mod estimate;
pub mod health_evaluation;
pub(crate) mod method_predictions;
pub(crate) mod method_rankings;
pub(crate) mod paired_difference;
mod queries;
pub(crate) mod ranking_evaluation;
pub(crate) mod ranking_metric;
pub(crate) mod ranking_report;
pub mod score_deciles;
mod task;

mod add_on_evaluation;
mod baselines;
mod shop_at_cutoff;
mod split_mix64;
