//! Trace context that a client sends with a call (W3C Trace Context).
//!
//! An invalid header counts as absent.

use http::HeaderMap;

/// Fields of a valid `traceparent` header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TraceParent<'a> {
    pub(crate) trace_id: &'a str,
    /// Id of the client's span, 16 hex digits.
    #[cfg_attr(not(feature = "otlp"), allow(dead_code, reason = "only exported spans need it"))]
    pub(crate) parent_id: &'a str,
    /// Whether the client samples the trace.
    #[cfg_attr(not(feature = "otlp"), allow(dead_code, reason = "only exported spans need it"))]
    pub(crate) is_sampled: bool,
}

impl<'a> TraceParent<'a> {
    /// Parses `00-{trace id}-{parent id}-{flags}`. Later versions may append fields (W3C Trace Context, "Versioning").
    pub(crate) fn parse(header: &'a str) -> Option<Self> {
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

/// Trace context in the headers of a call.
#[derive(Debug, Clone, Copy)]
pub(crate) struct TraceContext<'a> {
    parent: Option<TraceParent<'a>>,
    headers: &'a HeaderMap,
}

impl<'a> TraceContext<'a> {
    /// Reads the headers of a call. Two `traceparent` headers contradict each other and count as none.
    pub(crate) fn from_headers(headers: &'a HeaderMap) -> Self {
        let mut sent = headers.get_all("traceparent").iter();
        let only = sent.next().filter(|_| sent.next().is_none());
        let parent = only.and_then(|header| header.to_str().ok()).and_then(TraceParent::parse);
        Self { parent, headers }
    }

    /// Returns the client's span, when the header is present and valid.
    pub(crate) fn parent(&self) -> Option<TraceParent<'a>> {
        self.parent
    }

    /// Returns the vendor-specific trace state, all `tracestate` headers joined.
    pub(crate) fn state(&self) -> String {
        let states = self.headers.get_all("tracestate").iter().filter_map(|state| state.to_str().ok());
        states.collect::<Vec<_>>().join(",")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";

    /// Broken by: ignoring the version.
    #[test]
    fn invalid_traceparent_counts_as_absent() {
        let valid = format!("00-{TRACE}-b7ad6b7169203331-01");
        let parsed = TraceParent::parse(&valid).expect("valid");
        assert_eq!(parsed, TraceParent { trace_id: TRACE, parent_id: "b7ad6b7169203331", is_sampled: true });
        let unsampled = format!("00-{TRACE}-b7ad6b7169203331-02");
        assert!(TraceParent::parse(&unsampled).is_some_and(|parent| !parent.is_sampled));
        let later = format!("cc-{TRACE}-b7ad6b7169203331-01-what-comes-later");
        assert!(TraceParent::parse(&later).is_some());
        for invalid in [
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
            assert_eq!(TraceParent::parse(&invalid), None, "{invalid:?}");
        }
    }

    /// Broken by: taking the first of two headers.
    #[test]
    fn two_traceparent_headers_count_as_none() {
        let trace_id = |headers: &HeaderMap| {
            let parent = TraceContext::from_headers(headers).parent();
            parent.map(|parent| parent.trace_id.to_owned())
        };
        let mut headers = HeaderMap::new();
        let header = |digit: char| format!("00-{TRACE}-b7ad6b716920333{digit}-01").parse().expect("a header");
        assert_eq!(trace_id(&headers), None);
        headers.append("traceparent", header('1'));
        assert_eq!(trace_id(&headers).as_deref(), Some(TRACE));
        headers.append("traceparent", header('2'));
        assert_eq!(trace_id(&headers), None);
    }
}
