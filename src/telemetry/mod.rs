//! Logs, metrics and traces.
//!
//! Logs go to standard error, metrics to a port of their own, and traces to an OTLP collector where one is configured and the
//! program was built with the feature `otlp`. Every log line that concerns a customer writes a
//! [`customer_pseudonyms::LoggedCustomer`], never the bare id.

pub(crate) mod call_context;
pub(crate) mod call_span;
pub(crate) mod customer_pseudonyms;
pub(crate) mod error;
pub(crate) mod logging;
#[cfg(feature = "otlp")]
mod otlp;
#[cfg(not(feature = "otlp"))]
#[path = "otlp_disabled.rs"]
mod otlp;
pub(crate) mod prometheus;
pub(crate) mod trace_context;
pub(crate) mod trace_settings;
