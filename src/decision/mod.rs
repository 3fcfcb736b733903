//! The rules, pure: what an event changes, how healthy a relationship is, what may be offered, and in which order.
//!
//! Nothing here reads a clock, a file or a store; `now`, ids and candidates are arguments, and the same input gives the
//! same output.

pub(crate) mod active_holds;
pub mod apply_event;
pub(crate) mod arbitration;
pub(crate) mod channel_rules;
pub(crate) mod concerns;
pub(crate) mod conditions;
pub mod contact_policy;
pub mod control_group;
pub mod customer_assessment;
pub mod decide;
pub mod decision_context;
pub(crate) mod eligibility;
pub mod explicit_offer_index;
mod folded_partings;
pub mod grants;
pub mod lint;
pub mod look_ahead;
pub mod merge_customers;
pub mod offer_query;
pub mod rebuild_customer;
pub(crate) mod rejection_log;
pub mod relationship;
pub(crate) mod relationship_detail;
pub(crate) mod replay;
pub(crate) mod resting_products;
pub(crate) mod scoring;
pub(crate) mod slate;
pub(crate) mod subscriptions;
pub(crate) mod unconsidered;
pub(crate) mod value_delivered;
