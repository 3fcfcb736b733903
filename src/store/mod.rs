//! What is remembered: one contract and equal backends.
//!
//! The contract speaks of customers, history, products and models; how they become keys and bytes is each backend's
//! own business. No rule is decided here.

pub mod backup;
pub mod codec;
pub mod contract;
mod digest;
mod erasure;
mod keys;
pub mod memory;
mod ownership;
pub mod sled;
