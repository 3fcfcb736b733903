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
pub mod explicit_offer_index;
pub mod grants;
pub mod holds;
pub mod offer_query;
pub mod rejection_log;
pub mod rejection_wording;
pub mod relationship;
pub mod relationship_detail;
pub mod replay;
pub mod slate;
pub mod wording;
