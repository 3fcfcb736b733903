//! Span of a call, in exported traces. Without the feature `otlp`, or without an endpoint, every function here does nothing.

use tracing::Span;

use super::otlp;
use super::trace_context::TraceContext;

/// Returns the trace id that the log shows from the start of a call; where spans are exported, [`attach`] records the id of the
/// exported trace instead.
pub(crate) fn logged_trace_id<'a>(context: &TraceContext<'a>) -> Option<&'a str> {
    context.parent().filter(|_| !otlp::is_exporting()).map(|parent| parent.trace_id)
}

/// Attaches the span of a call to the client's trace. The span must have a field `trace_id`.
pub(crate) fn attach(span: &Span, context: &TraceContext<'_>, method: &str) {
    if otlp::is_exporting() {
        otlp::attach(span, method, context.parent(), &context.state());
    }
}

/// Returns the value of the span's field `otel.kind`, where spans are exported.
pub(crate) fn kind() -> Option<&'static str> {
    otlp::is_exporting().then_some("server")
}

/// Records the status of a completed call in its span.
pub(crate) fn record_status(span: &Span, code: &'static str, is_server_error: bool) {
    if otlp::is_exporting() {
        otlp::record_status(span, code, is_server_error);
    }
}

/// Sends the spans that were not sent yet, before the process exits.
pub(crate) async fn flush() {
    otlp::flush().await;
}
