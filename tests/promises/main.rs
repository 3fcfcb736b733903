//! The promises under concurrency and retries, on the real use cases and both stores.
//!
//! Each test failed on a broken version. The race, when the commit ignored the version that was read: 6 offers were granted under a cap of
//! 3, and 90 of 640 purchases were lost. The retry, when the request key was not stored with the grant. The preview, when it
//! was committed.

mod idle_customers;
mod merges;
mod power_loss;
mod preview;
mod race;
#[cfg(feature = "postgres")]
mod replicas;
mod retry;
mod shop;
#[path = "../support/mod.rs"]
mod support;
mod volumes;
