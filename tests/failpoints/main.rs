//! Crashes and stalls between two steps of a commit, by failpoints.
//!
//! Failpoints belong to the process: these tests have a binary of their own and run one after another, because each
//! starts with `FailScenario::setup`, which waits for the previous one. Failpoints exist in debug builds only.

#![cfg(debug_assertions)]

mod decisions;
#[path = "../api/harness.rs"]
#[allow(dead_code, reason = "other tests use more of it")]
mod harness;
mod merges;
#[path = "../promises/shop.rs"]
#[allow(dead_code, reason = "other tests use more of it")]
mod shop;
mod stalled_disk;
mod store;
#[path = "../support/mod.rs"]
mod support;
