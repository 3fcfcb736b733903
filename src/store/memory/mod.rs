//! The store in memory: for tests and demonstrations. Everything is gone when the process ends.
//!
//! One mutex guards everything, so each method is one step. Limits are those of the other backends, byte for byte: a
//! commit is encoded to know its size.

mod backup;
mod catalog;
mod customer_export;
mod customers;
mod maintenance;
mod policies_and_models;
pub mod store;
