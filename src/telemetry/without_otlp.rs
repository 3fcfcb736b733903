//! Stands in for the export of spans in a build without the feature `otlp`: nothing is exported.

use std::future::{Ready, ready};

use tracing::Span;

use super::traces::TraceParent;

pub(super) fn is_exporting() -> bool {
    false
}

pub(super) fn join(_span: &Span, _method: &str, _parent: Option<TraceParent<'_>>, _state: &str) {}

pub(super) fn ended(_span: &Span, _code: &'static str, _is_fault: bool) {}

pub(super) fn flush() -> Ready<()> {
    ready(())
}
