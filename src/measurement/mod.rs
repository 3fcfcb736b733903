//! What offers did to customers, as figures with intervals. Pure: facts come in, a report comes out.
//!
//! Nothing is decided here, and no model is judged: that is `evaluation`'s, on files.

#![allow(clippy::cast_precision_loss, reason = "customers and offers are fewer than 2^52")]

pub mod backfire;
pub mod interval;
pub mod policy_change;
