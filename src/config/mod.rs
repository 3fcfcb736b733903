//! Settings of the server, read from flags, `TACTFUL_*` environment variables and a TOML file.
//!
//! Everything is read once and checked as a whole before anything opens; all faults are reported together. Deliberately not
//! here: rules about offers, which are in the policy.

pub mod access;
pub mod fault;
pub(crate) mod memory_limit;
mod reader;
mod setting;
pub mod settings;
pub mod store_url;
pub mod written;
