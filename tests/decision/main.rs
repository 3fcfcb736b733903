//! The rules of a decision: tables of cases, properties over generated lives, and the policy as a document.

mod policy_document;
mod policy_rules;
mod properties;
mod rules;
