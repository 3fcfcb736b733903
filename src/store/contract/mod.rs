//! The store as its callers see it: four traits by what a caller needs, and one that joins them.
//!
//! **One customer is the unit of consistency.** A commit writes the customer against the version that was read, and appends
//! to history and to the decision log in the same step: all of it becomes visible or none, even after a crash. Nothing
//! relies on a transaction across customers.
//!
//! **A commit is not yet durable.** Await [`store::Store::durable`] before answering a client.

pub mod catalog;
pub mod change;
pub mod counts;
pub mod customer_export;
pub mod customers;
pub mod erasure;
pub mod error;
pub mod loaded_customer;
pub mod maintenance;
pub mod policies_and_models;
pub mod restore_target;
pub mod shared;
pub mod store;
pub mod stored_model;
pub mod stored_policy;
pub mod versioned;
