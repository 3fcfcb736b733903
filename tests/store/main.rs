//! The store: one conformance suite for every backend, the formats on disk, and damage to them.

mod backup;
mod contract;
mod damage;
mod formats;
mod on_disk;
#[cfg(feature = "postgres")]
mod postgres;
#[cfg(feature = "postgres")]
mod postgres_tls;
#[cfg(feature = "postgres")]
mod shared;
#[path = "../support/mod.rs"]
mod support;
