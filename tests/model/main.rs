//! Trained models: rankings and their explanations, distorted histories, and a real shop from import to offers.

mod bad_input;
mod distorted_shop;
#[cfg(feature = "postgres")]
mod moved_shop;
mod ranking;
mod real_shop;
#[path = "../support/mod.rs"]
mod support;
mod upgrades;
