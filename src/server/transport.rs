//! Transport of the gRPC server with its limits on connections.

use tonic::transport::Server;

use crate::config::settings::ConnectionLimits;

/// Returns a transport that applies all limits on connections but their age.
pub(super) fn transport(limits: &ConnectionLimits) -> Server {
    Server::builder()
        .max_concurrent_streams(limits.streams_per_connection_max)
        .initial_connection_window_size(limits.connection_window_bytes)
        .initial_stream_window_size(limits.stream_window_bytes)
        .http2_keepalive_interval(Some(limits.keepalive_interval))
        .http2_keepalive_timeout(Some(limits.keepalive_timeout))
}
