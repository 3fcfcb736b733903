//! How we know: the same training and the same formulas as the server's, judged on files.
//!
//! A description says what a data set is and where time is cut; a task asks a question whose answer the files know; every
//! figure stands beside baselines. Nothing here serves or stores, and nothing here chooses parameters: a method that is
//! judged sets its own from what happened before the cut.

#![allow(clippy::cast_precision_loss, reason = "counts of queries are far below 2^52")]

pub mod data_set;
pub mod deciles;
pub mod description;
pub mod health;
pub mod judged;
pub mod plot;

mod baselines;
