//! Hands the settings' limits on to the wire, which does not know settings.

use crate::config::Limits;
use crate::grpc::admission::CallLimits;

/// What of the limits is about calls.
#[must_use]
pub fn of_calls(limits: &Limits) -> CallLimits {
    let Limits {
        request_timeout,
        requests_max,
        queue_max,
        queue_free,
        waits_max,
        unanswered_bytes_max,
        pause_max,
        message_bytes_max,
        connections_max: _,
        streams_max: _,
        window_bytes: _,
        first_bytes_within: _,
        connection_age: _,
        connection_age_grace: _,
        keepalive_interval: _,
        keepalive_timeout: _,
    } = *limits;
    CallLimits {
        request_timeout,
        requests_max,
        queue_max,
        queue_free,
        waits_max,
        unanswered_bytes_max,
        pause_max,
        message_bytes_max,
    }
}
