//! The API as a client meets it: the real server on a free port of the loopback, and clients of the generated code.

mod acceptances;
mod backups;
mod batches;
mod cached_ranking;
mod catalog;
mod channels;
mod customers;
#[cfg(feature = "postgres")]
mod database;
mod demo;
mod disclosure;
mod experiments;
mod explanations;
mod faults;
mod feedback;
mod harness;
mod limits;
mod merges;
mod models;
mod offers;
mod offers_bad;
mod policies;
mod privacy;
mod relationships;
mod retries;
mod returns;
#[cfg(feature = "postgres")]
mod rolling_restarts;
mod security;
mod server;
mod shop;
mod suitability;
#[path = "../support/mod.rs"]
mod support;
mod terms;
mod tools;
mod upgrades;
