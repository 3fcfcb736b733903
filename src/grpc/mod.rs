//! The wire: convert, call a use case, convert back. It alone knows prost and tonic; it decides nothing.

pub mod access;
pub mod admission;
pub mod backup_service;
pub mod catalog_service;
pub mod codec;
pub mod convert;
pub mod customer_service;
pub mod feedback_service;
pub mod generated;
pub mod line;
pub mod model_service;
pub mod observe;
pub mod offer_service;
pub mod page;
pub mod policy_service;
pub mod relationship_service;
pub mod services;
pub mod status;
pub mod tokens;
