//! Between wire and domain. Towards the domain every fault of a message is collected, each with the path of its field;
//! towards the wire nothing can fail.

pub mod backfire;
pub mod customers;
pub mod events;
pub mod explanations;
pub mod explicit_offers;
pub mod models;
pub mod nouns;
pub mod offers;
pub mod policies;
pub mod policy_changes;
pub mod products;
pub mod relationships;
pub mod violations;
