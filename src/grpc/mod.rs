//! The gRPC layer: converts requests, calls a use case, converts the result. Only this module knows prost and tonic, and it contains
//! no business rules.
//!
//! Every call passes the tower layers of [`layers`] and [`access`] before it reaches its service.

pub mod access;
pub(crate) mod admission;
pub(crate) mod backup_service;
pub(crate) mod batches;
pub(crate) mod call_metrics;
pub(crate) mod call_telemetry;
pub(crate) mod catalog_service;
pub(crate) mod completion;
pub(crate) mod convert;
pub(crate) mod customer_ids;
pub(crate) mod customer_service;
pub(crate) mod deadline;
pub(crate) mod feedback_service;
pub(crate) mod field_limits;
pub mod generated;
pub(crate) mod jwt;
pub(crate) mod layers;
pub(crate) mod method;
pub(crate) mod model_service;
pub(crate) mod offer_service;
pub(crate) mod pagination;
pub(crate) mod policy_service;
pub(crate) mod relationship_service;
pub mod services;
pub(crate) mod status;
pub(crate) mod status_code;
pub(crate) mod timeout;
