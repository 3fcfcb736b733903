//! Use cases of the system: load, decide, save. One file per verb, and nouns for plain create, read, update and delete.
//! The only asynchronous business code.
//!
//! Use cases know the store through its contract alone and never see a wire type. They add no rules of their own: rules
//! are in `decision`, learned models in `model`.

mod acceptance_counts;
pub mod app;
pub(crate) mod back_up;
pub mod batch_entry;
pub mod catalog;
pub(crate) mod change_customer;
pub(crate) mod channel_usage;
mod commit_customer;
pub mod customers;
mod decide_offers;
pub mod erase_customer;
mod exhausted_offers;
pub mod expire_history;
pub mod expire_idle_customers;
pub(crate) mod explain_decision;
pub mod explicit_offers;
pub mod export_customer;
pub mod finish_merge;
pub mod follow_store;
pub(crate) mod get_backfire_report;
pub mod get_relationship_health;
pub mod holds;
pub mod learn_acceptances;
pub mod leases;
pub(crate) mod lint;
mod load_customer;
pub mod merge_customers;
pub mod offer_request;
pub mod policies;
mod propose;
pub mod record_events;
pub mod record_outcomes;
pub mod release_offers;
pub mod retention;
pub mod serve_offers;
pub(crate) mod simulate_policy;
mod snapshot;
mod stored_acceptances;
mod stored_policy;
pub mod train_model;
pub(crate) mod trained_model;
mod training_data;
mod training_plan;
mod training_thread;
pub mod volumes;
