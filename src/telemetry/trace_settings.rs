//! Settings of exported traces.

/// Endpoint and sampling ratio of exported traces.
#[derive(Debug, Clone, PartialEq)]
pub struct TraceSettings {
    endpoint: String,
    sampling_ratio: f64,
}

impl TraceSettings {
    /// Checks an OTLP endpoint such as `http://127.0.0.1:4317`. Returns an error when it is no URL, or when the program was built
    /// without the feature `otlp`.
    pub(crate) fn new(endpoint: &str, sampling_ratio: f64) -> Result<Self, &'static str> {
        if cfg!(not(feature = "otlp")) {
            return Err("this program was built without traces; build it with --features otlp");
        }
        let uri = endpoint.parse::<http::Uri>().ok();
        let scheme = uri.as_ref().and_then(http::Uri::scheme_str);
        if !matches!(scheme, Some("http" | "https")) {
            return Err("must be a URL such as http://127.0.0.1:4317");
        }
        Ok(Self { endpoint: endpoint.to_owned(), sampling_ratio })
    }

    /// Returns the OTLP endpoint.
    #[cfg_attr(not(feature = "otlp"), allow(dead_code, reason = "only exporters read it"))]
    pub(crate) fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// Returns the share, from 0 to 1, of calls without a trace of their client's that start a sampled one.
    #[cfg_attr(not(feature = "otlp"), allow(dead_code, reason = "only exporters read it"))]
    pub(crate) fn sampling_ratio(&self) -> f64 {
        self.sampling_ratio
    }
}
