//! Conversions between protobuf messages and domain types.
//!
//! `*_from_wire` collects every violation of a message, each with the path of its field; `*_to_wire` cannot fail. Structs are
//! destructured whole, so that a new field is a compile error where it has to be converted.

pub(crate) mod backfire;
pub(crate) mod customer_export;
pub(crate) mod customers;
pub(crate) mod events;
pub(crate) mod explanations;
pub(crate) mod explicit_offers;
pub(crate) mod models;
pub(crate) mod nouns;
pub(crate) mod offers;
pub(crate) mod policies;
pub(crate) mod policy_changes;
pub(crate) mod products;
pub(crate) mod reasons;
pub(crate) mod relationships;
pub(crate) mod violations;
pub(crate) mod warnings;
