//! Support shared by the test binaries: a server in a process of its own, certificates, domain values, wire messages, and records
//! of the store.
//!
//! Each binary includes it by path and uses its own part.

#![allow(dead_code, reason = "each test binary uses its own part")]

pub mod certificates;
pub mod long_form;
#[cfg(feature = "postgres")]
pub mod postgres;
pub mod running_server;
pub mod shop;
pub mod stored_records;
pub mod wire_shop;
