//! Storage: one contract, with interchangeable backends.
//!
//! The contract is about customers, history, products and models; each backend maps them to keys and bytes in its own way.
//! No business rule is decided here.

pub mod backup;
pub mod codec;
pub mod contract;
mod digest;
mod erasure;
mod keys;
pub mod memory;
mod ownership;
#[cfg(feature = "postgres")]
pub mod postgres;
pub mod sled;
