//! Does it prevent backfire? A market of customers who buy, tire, complain and leave, and four ways to pitch to them.
//!
//! What customers do is assumed, and every assumption is a number in a file; what they are offered is decided by the real
//! [`decide`](crate::decision::decide::decide) under real policies. So the comparison says what follows from the assumptions
//! and nothing beyond them. It learns nothing, touches no store and knows no clock; the same seed gives the same market.

#![allow(clippy::cast_precision_loss, reason = "customers and weeks are far below 2^52")]

pub mod arms;
pub mod draws;
pub mod life;
pub mod market;
pub mod parameters;
pub mod plot;
pub mod shop;
pub mod summary;
