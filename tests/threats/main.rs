//! Hostile clients against the real binary: attacks, overload, and malformed input.
//!
//! The long form, `TACTFUL_LONG=1`, takes some minutes.

mod attacks;
mod conditions;
mod frames;
mod malformed;
mod memory;
mod overload;
mod random;
mod resilience;
mod small_messages;
mod steady_client;
#[path = "../support/mod.rs"]
mod support;
