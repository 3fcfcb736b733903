//! Recommendation models: complements, upgrades, propensities and the retention outlook, and how they are trained.
//!
//! Pure: training turns a history into a model, and a query about a customer or a basket returns candidates, best first.
//! Whether a candidate may be offered is deliberately not decided here.

#![allow(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "counts and indices are far below 2^24, and scores need no more than the bits of a float"
)]

pub(crate) mod acceptances;
pub(crate) mod acceptances_artifact;
pub mod artifact;
pub mod bound_model;
mod buying_outlook;
mod catalog_binding;
mod cold_start;
pub(crate) mod complements;
mod enlarged_meters;
mod feature_comparison;
pub(crate) mod feature_scaling;
pub mod held_product;
pub mod history;
pub mod learned_product;
mod logistic;
pub(crate) mod mbg_nbd;
mod nelder_mead;
pub mod offer_model;
pub mod offer_queries;
pub mod outlook;
pub mod outlook_artifact;
pub mod outlook_history;
mod price_typicality;
mod probability_calibration;
pub(crate) mod probability_quality;
pub mod profile;
pub mod ranking;
pub mod ridge;
pub(crate) mod staying_outlook;
mod title_similarity;
pub mod train;
pub mod training_log;
pub mod training_settings;
mod upgrade_paths;
pub(crate) mod upgrades;
pub(crate) mod window;
