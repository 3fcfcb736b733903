//! Simulated market for comparing contact policies: customers who buy, tire of offers, complain and leave, under four policies.
//!
//! Customer behaviour is assumed, and every assumption is a parameter in a file; offers are decided by the real
//! [`decide`](crate::decision::decide::decide) under real policies. The comparison therefore shows what follows from the
//! assumptions and nothing beyond them. Nothing is learned, no store is opened and no clock is read; the same seed gives the
//! same market.

#![allow(clippy::cast_precision_loss, reason = "customers and weeks are far below 2^52")]

pub mod market;
pub(crate) mod mean_estimate;
pub mod parameters;
pub mod policy_arm;
mod seeded_rng;
pub mod simulated_customer;
pub mod simulated_shop;
