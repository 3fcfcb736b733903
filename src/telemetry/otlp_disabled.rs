//! Substitute for the export of spans in a build without the feature `otlp`: exports nothing.

use std::future::{Ready, ready};

use tracing::Span;

use super::trace_context::TraceParent;

pub(super) fn is_exporting() -> bool {
    false
}

pub(super) fn attach(_span: &Span, _method: &str, _parent: Option<TraceParent<'_>>, _state: &str) {}

pub(super) fn record_status(_span: &Span, _code: &'static str, _is_server_error: bool) {}

pub(super) fn flush() -> Ready<()> {
    ready(())
}
