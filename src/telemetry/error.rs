//! Errors of starting logs, metrics or traces.

use std::net::SocketAddr;

/// Error returned when logs, metrics or traces cannot be started.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TelemetryError {
    /// The log filter does not parse.
    #[error("log: invalid filter {filter:?}; expected a level or directives such as info or tactful=debug")]
    Filter { filter: String },
    /// The metrics address cannot be bound.
    #[error("metrics-listen: cannot serve metrics on {address}: {reason}")]
    Listen { address: SocketAddr, reason: String },
    /// Traces cannot be exported.
    #[cfg(feature = "otlp")]
    #[error("otlp-endpoint: {reason}")]
    Traces { reason: String },
}
