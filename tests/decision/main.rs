//! The rules of a decision: tables of cases, properties over generated histories, and the policy as a document.

mod changing_policies;
mod channels;
mod generators;
mod histories;
mod merging;
mod next_eligible;
mod policy_document;
mod policy_rules;
mod properties;
mod resting_products;
mod rules;
mod scenario;
#[path = "../support/mod.rs"]
mod support;
