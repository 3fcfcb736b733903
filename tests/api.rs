//! The real server on a free port, called over gRPC: a module for each service, one for what is wrong with requests,
//! one for starting and stopping, one for the demo, one for the tools that people debug with.

#[path = "api/bad_input.rs"]
mod bad_input;
#[path = "api/catalog.rs"]
mod catalog;
#[path = "api/customers.rs"]
mod customers;
#[path = "api/demo.rs"]
mod demo;
#[path = "api/feedback.rs"]
mod feedback;
#[path = "api/harness.rs"]
mod harness;
#[path = "api/models.rs"]
mod models;
#[path = "api/offers.rs"]
mod offers;
#[path = "api/relationships.rs"]
mod relationships;
#[path = "api/server.rs"]
mod server;
#[path = "api/tools.rs"]
mod tools;
