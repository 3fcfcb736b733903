//! The policy as a document: every weight, half-life, cap and threshold with its key, its range and a comment, parsed from TOML
//! or from key-value pairs and written back.
//!
//! One table ([`policy_entries`](policy_entries::policy_entries)) declares every value once; parsing, writing and checking follow
//! it, and a field that is added to `domain::policy` and not to the table does not compile. Nothing here decides, stores or
//! serves.
//!
//! Deliberately not serde: it stops at the first fault, while a policy reports every fault with its key at once; and the table
//! also gives the ranges, the comments of a written document and the values of the wire, for which serde has no place.
//!
//! ```
//! use tactful::policy_document::parse_policy::parse_policy;
//!
//! let policy = parse_policy("version = 'quiet-week'\n[contact]\nquiet_after_purchase = '7d'").unwrap();
//! assert_eq!(policy.contact.quiet_after_purchase.as_secs(), 7 * 86_400);
//! let invalid = parse_policy("version = 'x'\n[contact]\nlease = '-1m'\nleese = '1m'").unwrap_err();
//! assert_eq!(invalid.0.len(), 2);
//! ```

pub(crate) mod duration_text;
pub mod format_policy;
pub(crate) mod invalid_policy;
pub mod parse_policy;
pub mod policy_entries;
pub(crate) mod policy_field;
pub(crate) mod policy_value;

mod consistency;
mod invalid_policy_value;
