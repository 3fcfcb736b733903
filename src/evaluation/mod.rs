//! How we know: the same training and the same formulas as the server's, judged on files.
//!
//! A description says what a data set is and where time is cut; a task asks a question whose answer the files know; every
//! figure stands beside baselines. What is judged is the order of offers (`ranking`) and the retention outlook (`health`). Nothing here serves or stores, and nothing here chooses parameters: a method that is
//! judged sets its own from what happened before the cut.

#![allow(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    reason = "counts of queries are far below 2^52, and scores and prices need no more than the bits of a float"
)]

pub mod add_ons;
pub mod data_set;
pub mod deciles;
pub mod description;
pub mod health;
pub mod judged;
pub mod plot;
pub mod queries;
pub mod ranked;
pub mod ranking;
pub mod shop;
pub mod task;

mod baselines;
