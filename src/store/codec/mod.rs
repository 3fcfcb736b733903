//! Stored values: the bytes that backends keep, and the way there and back.
//!
//! Stored shapes are types of their own, so the domain can be renamed without touching what is on disk. Each value
//! begins with a format version and ends with a CRC-32 of everything before it: a flipped bit is an error, never an
//! answer. Decoding refuses what the domain's constructors refuse, and never panics, whatever the bytes.
//!
//! Limits on the length of lists are *not* checked here: they belong to the rules that fill the lists, and lowering one
//! must not make older values unreadable. The one limit that matters to a store is the size of the whole value.
//!
//! Before changing a shape: postcard writes fields in order and enums by position. A field or variant that moves is
//! another format. Add a new format version with a shape of its own, keep reading the old one, and add a golden file
//! in `tests/stored_formats/`.

pub mod backup;
pub mod cached_ranking;
pub mod customer;
pub mod decision;
pub mod erasure;
pub mod event;
pub mod explicit_offer;
mod frame;
pub mod held;
mod ledger;
pub mod model;
mod offer;
pub mod outbox;
pub mod policy;
pub mod product;
mod profile;
mod rejected_candidate;
mod relationship;
mod scalar;
