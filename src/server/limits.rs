//! Hands the settings' limits on to the wire, which does not know settings.

use tonic::transport::Server;

use crate::config::Limits;
use crate::grpc::admission::CallLimits;

/// What of the limits is about calls.
#[must_use]
pub fn of_calls(limits: &Limits) -> CallLimits {
    CallLimits {
        request_timeout: limits.request_timeout,
        requests_max: limits.requests_max,
        turns_max: limits.turns_max,
        queue_max: limits.queue_max,
        queue_free: limits.queue_free,
        waits_max: limits.waits_max,
        unanswered_bytes_max: limits.unanswered_bytes_max,
        pause_max: limits.pause_max,
        message_bytes_max: limits.message_bytes_max,
    }
}

/// A transport with what of the limits is about connections, but for their age.
#[must_use]
pub fn transport(limits: &Limits) -> Server {
    Server::builder()
        .max_concurrent_streams(limits.streams_max)
        .initial_connection_window_size(limits.connection_window_bytes)
        .initial_stream_window_size(limits.stream_window_bytes)
        .http2_keepalive_interval(Some(limits.keepalive_interval))
        .http2_keepalive_timeout(Some(limits.keepalive_timeout))
}
