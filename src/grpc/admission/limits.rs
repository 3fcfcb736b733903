//! Limits of calls, over all connections.

use std::time::Duration;

/// Limits of calls, over all connections.
#[derive(Debug, Clone, Copy)]
pub(crate) struct CallLimits {
    /// Maximum duration of a call, except for client streams and long-running methods.
    pub(crate) request_timeout: Duration,
    /// Maximum number of calls with a complete message at once; further ones are shed.
    pub(crate) requests_max: usize,
    /// Maximum number of queued calls that start executing at once.
    pub(crate) execution_permits: usize,
    /// Maximum queueing delay: a request that waited longer is shed, unless fewer than `shed_backlog_min` arrived after it.
    pub(crate) queue_delay_max: Duration,
    /// Minimum backlog at which requests are shed; see `queue_delay_max`.
    pub(crate) shed_backlog_min: u64,
    /// Maximum number of calls waiting for client input at once.
    pub(crate) pending_uploads_max: usize,
    /// Maximum bytes of incomplete or unanswered messages, over all calls.
    pub(crate) buffered_bytes_max: usize,
    /// Maximum wait for the next message of a client.
    pub(crate) stream_idle_timeout: Duration,
    /// Maximum length of a message; one that announces a greater length is rejected without being read.
    pub(crate) message_bytes_max: usize,
}

#[cfg(test)]
impl CallLimits {
    /// Limits like the defaults of a machine with two cores.
    pub(crate) fn for_tests() -> Self {
        Self {
            request_timeout: Duration::from_secs(10),
            requests_max: 256,
            execution_permits: 16,
            queue_delay_max: Duration::from_millis(100),
            shed_backlog_min: 64,
            pending_uploads_max: 4_096,
            buffered_bytes_max: 32 << 20,
            stream_idle_timeout: Duration::from_secs(60),
            message_bytes_max: 4 << 20,
        }
    }
}
