//! Traces: which trace a call belongs to, as its caller says (W3C Trace Context), and how calls end, for those who export.
//!
//! Every build joins its log lines to the caller's trace. Only one with the feature `otlp`, and only where an endpoint is set,
//! makes spans of its own and sends them; then the log shows the trace of the call's own span, which is the caller's where
//! there is one. A header that is not right is as good as none.

use http::HeaderMap;
use tracing::Span;

use super::otlp;

/// Where to send traces, and how many.
#[derive(Debug, Clone, PartialEq)]
pub struct TraceSettings {
    endpoint: String,
    share: f64,
}

impl TraceSettings {
    /// An OTLP endpoint, as `http://127.0.0.1:4317`, and the share of calls that begin a trace of their own.
    ///
    /// # Errors
    /// What is wrong with the endpoint, or that this program cannot export.
    pub fn new(endpoint: &str, share: f64) -> Result<Self, &'static str> {
        if cfg!(not(feature = "otlp")) {
            return Err("this program was built without traces; build it with --features otlp");
        }
        let uri = endpoint.parse::<http::Uri>().ok();
        let scheme = uri.as_ref().and_then(http::Uri::scheme_str);
        if !matches!(scheme, Some("http" | "https")) {
            return Err("must be a URL such as http://127.0.0.1:4317");
        }
        Ok(Self { endpoint: endpoint.to_owned(), share })
    }

    /// Where to send them.
    pub fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// The share, from 0 to 1, of calls that begin a trace. A caller that has one decided already.
    pub fn share(&self) -> f64 {
        self.share
    }
}

/// The header `traceparent`, taken apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TraceParent<'a> {
    /// 32 hex digits.
    pub trace_id: &'a str,
    /// 16 hex digits: the caller's span.
    pub parent_id: &'a str,
    /// Whether the caller records the trace.
    pub is_sampled: bool,
}

impl<'a> TraceParent<'a> {
    /// Reads `00-{trace id}-{parent id}-{flags}`. Later versions may have more after it (W3C Trace Context, "Versioning").
    pub fn read(header: &'a str) -> Option<Self> {
        let mut fields = header.splitn(5, '-');
        let [version, trace_id, parent_id, flags] = [(); 4].map(|()| fields.next().unwrap_or_default());
        let has_more = fields.next().is_some();
        let is_hex = |text: &str| text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        let is_id = |text: &str, length| text.len() == length && is_hex(text) && text.bytes().any(|byte| byte != b'0');
        let is_version = version.len() == 2 && is_hex(version) && version != "ff" && !(version == "00" && has_more);
        if !is_version || !is_id(trace_id, 32) || !is_id(parent_id, 16) || flags.len() != 2 || !is_hex(flags) {
            return None;
        }
        let is_sampled = u8::from_str_radix(flags, 16).is_ok_and(|flags| flags & 1 == 1);
        Some(Self { trace_id, parent_id, is_sampled })
    }
}

/// What a caller says of the trace that its call is part of.
#[derive(Debug, Clone, Copy)]
pub struct CallerTrace<'a> {
    parent: Option<TraceParent<'a>>,
    headers: &'a HeaderMap,
}

impl<'a> CallerTrace<'a> {
    /// Of these headers.
    pub fn of(headers: &'a HeaderMap) -> Self {
        let mut sent = headers.get_all("traceparent").iter();
        let only = sent.next().filter(|_| sent.next().is_none());
        let parent = only.and_then(|header| header.to_str().ok()).and_then(TraceParent::read);
        Self { parent, headers }
    }

    /// The trace that the log shows from the call's beginning; where spans are exported, [`CallerTrace::join`] tells it.
    pub fn logged_id(&self) -> Option<&'a str> {
        self.parent.filter(|_| !otlp::is_exporting()).map(|parent| parent.trace_id)
    }

    /// Makes the span of a call part of the caller's trace. It must have a field `trace_id`.
    pub fn join(&self, span: &Span, method: &str) {
        if otlp::is_exporting() {
            let states = self.headers.get_all("tracestate").iter().filter_map(|state| state.to_str().ok());
            otlp::join(span, method, self.parent, &states.collect::<Vec<_>>().join(","));
        }
    }
}

/// The kind of a call's span, while spans are exported.
pub fn span_kind() -> Option<&'static str> {
    otlp::is_exporting().then_some("server")
}

/// Writes into the span of a call how it ended.
pub fn ended(span: &Span, code: &'static str, is_fault: bool) {
    if otlp::is_exporting() {
        otlp::ended(span, code, is_fault);
    }
}

/// Sends what was not sent yet, at the stop.
pub async fn flush() {
    otlp::flush().await;
}

#[cfg(test)]
mod tests {
    use super::*;

    const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";

    /// Broken by: a version that is not asked.
    #[test]
    fn a_header_that_is_not_right_is_none() {
        let right = format!("00-{TRACE}-b7ad6b7169203331-01");
        let read = TraceParent::read(&right).expect("right");
        assert_eq!(read, TraceParent { trace_id: TRACE, parent_id: "b7ad6b7169203331", is_sampled: true });
        let unsampled = format!("00-{TRACE}-b7ad6b7169203331-02");
        assert!(TraceParent::read(&unsampled).is_some_and(|read| !read.is_sampled));
        let later = format!("cc-{TRACE}-b7ad6b7169203331-01-what-comes-later");
        assert!(TraceParent::read(&later).is_some());
        for wrong in [
            String::new(),
            "nonsense".to_owned(),
            format!("00-{TRACE}-b7ad6b7169203331"),
            format!("00-{TRACE}-b7ad6b7169203331-"),
            format!("00-{TRACE}-b7ad6b7169203331-1"),
            format!("00-{TRACE}-b7ad6b7169203331-01-more"),
            format!("ff-{TRACE}-b7ad6b7169203331-01"),
            format!("0-{TRACE}-b7ad6b7169203331-01"),
            format!("00-{}-b7ad6b7169203331-01", "0".repeat(32)),
            format!("00-{TRACE}-0000000000000000-01"),
            format!("00-{}-b7ad6b7169203331-01", TRACE.to_uppercase()),
            format!("00-{TRACE}-b7ad6b716920333g-01"),
            format!("00-{TRACE}0-b7ad6b7169203331-01"),
            format!("00-{TRACE}-b7ad6b7169203331-01 "),
        ] {
            assert_eq!(TraceParent::read(&wrong), None, "{wrong:?}");
        }
    }

    /// Broken by: the first of two headers.
    #[test]
    fn two_headers_contradict_each_other() {
        let mut headers = HeaderMap::new();
        let header = |digit: char| format!("00-{TRACE}-b7ad6b716920333{digit}-01").parse().expect("a header");
        assert_eq!(CallerTrace::of(&headers).logged_id(), None);
        headers.append("traceparent", header('1'));
        assert_eq!(CallerTrace::of(&headers).logged_id(), Some(TRACE));
        headers.append("traceparent", header('2'));
        assert_eq!(CallerTrace::of(&headers).logged_id(), None);
    }
}
