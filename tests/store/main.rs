//! The store: one conformance suite for every backend, the formats on disk, and damage to them.

mod backup;
mod contract;
mod damage;
mod formats;
mod on_disk;
#[cfg(feature = "postgres")]
mod postgres;
#[path = "../support/mod.rs"]
mod support;
