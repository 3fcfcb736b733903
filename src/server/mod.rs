//! The composition root: opens the store, wires the services, serves, drains and flushes. Only this module names the store
//! backends; it holds no business rules.

mod accept;
mod background;
mod clock;
#[cfg(feature = "postgres")]
pub mod database;
mod health;
mod protocol_mismatch;
mod readiness;
mod replica;
pub mod restore;
mod security;
pub mod serve;
mod tls;
#[cfg(feature = "postgres")]
pub mod train;
mod transport;
