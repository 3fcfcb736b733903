//! What is learned: which products go together, which are steps up, and how likely a customer is to take one.
//!
//! Pure: training takes a history and gives a model, a query takes what a customer has and gives candidates, best first.
//! Whether a candidate may be offered is not asked here.

#![allow(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "counts and indices are far below 2^24, and scores need no more than the bits of a float"
)]

pub mod acceptances;
pub mod artifact;
pub mod bound_model;
pub mod buying_outlook;
pub mod calibration;
pub mod held_product;
pub mod history;
pub mod logistic;
pub mod metric;
pub mod newcomers;
pub mod offer_model;
pub mod outlook;
pub mod outlook_artifact;
pub mod outlook_history;
pub mod profile;
pub mod propensity;
pub mod ranking;
pub mod rhythm;
pub mod ridge;
pub mod signal_fit;
pub mod staying_outlook;
pub mod train;
pub mod upgrades;
