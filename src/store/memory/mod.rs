//! In-memory store, for tests and demonstrations. All data is lost when the process exits.
//!
//! One mutex guards everything, so each method is atomic. Limits are those of the other backends, byte for byte: a
//! commit is encoded to know its size.

mod backup;
mod catalog;
mod customer_export;
mod customers;
mod maintenance;
mod policies_and_models;
pub mod store;
