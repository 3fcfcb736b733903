//! The domain types: plain values with no I/O, no clock and no crate but the standard library.
//!
//! A value is valid once it is built. Types that several modules of layer 2 need live here, so that `decision`, `store` and
//! `model` never import one another.

pub mod cached_ranking;
pub mod candidate;
pub mod catalog;
pub mod catalog_settings;
pub mod channel;
pub mod customer;
pub mod customer_export;
pub mod decayed_sum;
pub mod decision;
pub mod event;
pub mod evidence;
pub mod experiment;
pub mod explicit_offer;
pub mod feature_order;
pub mod holdings;
pub mod ids;
pub mod item_balance;
pub mod ledger;
pub mod lint_finding;
pub mod merge;
pub mod money;
pub mod offer;
pub mod outlook;
pub mod plain_text;
pub mod policy;
pub mod product;
pub mod rejected_candidate;
pub mod relationship;
pub mod relationship_detail;
pub mod state_bounds;
pub mod time;
pub mod usage;
mod variant_titles;
pub mod withheld_reason;
