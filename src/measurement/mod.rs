//! Effects of offers and policies on customers, as estimates with confidence intervals. Pure: facts in, a report out.
//!
//! Deliberately not here: decisions, and the quality of models, which `evaluation` measures on files.

#![allow(clippy::cast_precision_loss, reason = "customers and offers are fewer than 2^52")]

pub mod backfire;
pub mod interval;
pub mod policy_change;
