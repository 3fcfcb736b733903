//! Hostile callers against the real binary: attacks, overload, and bytes that mean nothing.
//!
//! The long form, `TACTFUL_LONG=1`, takes some minutes.

mod attacks;
mod caller;
mod frames;
mod malformed;
mod memory;
mod not_an_attack;
mod overload;
mod random;
#[path = "../support/mod.rs"]
mod support;
mod table;
