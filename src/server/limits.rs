//! Hands the settings' limits on to the wire, which does not know settings.

use tonic::transport::Server;

use crate::config::Limits;
use crate::grpc::admission::limits::CallLimits;

/// What of the limits is about calls.
pub(crate) fn of_calls(limits: &Limits) -> CallLimits {
    CallLimits {
        request_timeout: limits.request_timeout,
        requests_max: limits.requests_max,
        execution_permits: limits.execution_permits,
        queue_delay_max: limits.queue_delay_max,
        shed_backlog_min: limits.shed_backlog_min,
        pending_uploads_max: limits.pending_uploads_max,
        buffered_bytes_max: limits.buffered_bytes_max,
        stream_idle_timeout: limits.stream_idle_timeout,
        message_bytes_max: limits.message_bytes_max,
    }
}

/// A transport with what of the limits is about connections, but for their age.
pub fn transport(limits: &Limits) -> Server {
    Server::builder()
        .max_concurrent_streams(limits.streams_max)
        .initial_connection_window_size(limits.connection_window_bytes)
        .initial_stream_window_size(limits.stream_window_bytes)
        .http2_keepalive_interval(Some(limits.keepalive_interval))
        .http2_keepalive_timeout(Some(limits.keepalive_timeout))
}
