//! Stored formats: encoding and decoding of the values that backends and backups store.
//!
//! Stored shapes are types of their own (`StoredEventV1`), so that domain types can be renamed without touching what is on
//! disk. Each value starts with a format version and ends with a CRC-32 of everything before it: a flipped bit is an error,
//! never a wrong value. Decoding rejects what the domain's constructors reject, and never panics, whatever the bytes.
//!
//! Limits on the length of lists are deliberately *not* checked here: they belong to the rules that fill the lists, and
//! lowering one must not make older values unreadable. The one limit that matters to a store is the size of the whole value.
//!
//! # Changing a shape
//!
//! postcard encodes fields in order and enum variants by position, so moving either changes the format. What a change has to
//! do depends on whether the format was *shipped*, which means that a tagged release wrote it:
//!
//! - **Not shipped**, as everything today: the change replaces the V1 shape and its golden files in `tests/stored_formats/`,
//!   and raises [`store_format::STORE_FORMAT`]. Data directories and backups of another number are rejected as a whole.
//! - **Shipped**: the change adds a shape (`StoredEventV2`) with the next version byte and a golden file of its own. The
//!   shapes before it, their golden files and [`store_format::STORE_FORMAT`] stay. Decoding reads the shape that the version
//!   byte names and converts it version by version, `impl From<StoredEventV1> for StoredEventV2` and so on, each step in one
//!   place, next to the shape that it produces. Encoding writes the latest version only.

pub mod backup;
pub mod cached_ranking;
pub mod customer;
pub mod decision;
mod enums;
pub mod erasure;
pub mod event;
mod evidence;
pub mod explicit_offer;
mod frame;
mod ledger;
mod merge;
pub mod model;
mod offer;
pub mod outbox;
pub mod policy;
pub mod product;
mod profile;
mod rejected_candidate;
mod relationship;
mod scalar;
pub mod store_format;
pub mod sweep_watermark;
pub mod training_marker;
