//! The backend on PostgreSQL: many processes share one store.
//!
//! A commit is one transaction on one connection, in two flights of statements: what it changes, then its end. The database
//! gives what sled does not, so there is no outbox, no lock and no recovery here. Reads and writes go to the primary.
//!
//! Deliberately not here: replication and failover, which belong to the operator of the database, and the statement of
//! another engine that speaks the same protocol.

mod back_up;
mod catalog;
mod commit;
mod connections;
mod customers;
mod error;
mod maintenance;
mod policies_and_models;
mod records;
mod restore;
pub mod restore_into;
pub mod schema;
pub mod settings;
mod shared;
pub mod store;
mod tls;
mod volumes;
