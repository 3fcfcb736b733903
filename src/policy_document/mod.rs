//! The policy as a document: every weight, half-life, cap and threshold with its key, its range and a comment, read from
//! TOML or from single values and written back.
//!
//! One table ([`settings`](settings::settings)) names every value once; reading, writing and checking follow it, and a field
//! that is added to `domain::policy` and not to the table does not compile. Nothing here decides, stores or serves.
//!
//! ```
//! use tactful::policy_document::read::read;
//!
//! let policy = read("version = 'quiet-week'\n[contact]\nquiet_after_purchase = '7d'").unwrap();
//! assert_eq!(policy.contact.quiet_after_purchase.as_secs(), 7 * 86_400);
//! let faults = read("version = 'x'\n[contact]\nlease = '-1m'\nleese = '1m'").unwrap_err();
//! assert_eq!(faults.0.len(), 2);
//! ```

pub mod fault;
pub mod read;
pub mod settings;
pub mod slot;
pub mod value;
pub mod write;

mod check;
pub mod span;
