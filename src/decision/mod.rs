//! The rules, pure: what an event means, how a relationship stands, what may be offered, and in which order.
//!
//! Nothing here reads a clock, a file or a store; `now`, ids and candidates come in as arguments, and the same input
//! gives the same output.

pub mod apply_event;
pub mod arbitration;
pub mod condition;
pub mod contact_policy;
pub mod control_group;
pub mod decide;
pub mod eligibility;
pub mod explaining;
pub mod grants;
pub mod holds;
pub mod offer_book;
pub mod question;
pub mod relationship;
pub mod relationship_detail;
pub mod replaying;
pub mod slate;
pub mod withheld;
pub mod wording;
