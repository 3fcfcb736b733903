//! Logs, metrics and traces: how the server tells operators what it does.
//!
//! Logs go to standard error, metrics to a port of their own, traces to a collector where one is set and the program was built
//! with the feature `otlp`. A customer is named by a [`customer_names::LoggedCustomer`] and nothing else.

pub mod call;
pub mod customer_names;
#[cfg(not(feature = "otlp"))]
#[path = "telemetry/without_otlp.rs"]
mod otlp;
#[cfg(feature = "otlp")]
mod otlp;
pub mod traces;

use std::io::IsTerminal;
use std::net::SocketAddr;

use metrics_exporter_prometheus::{Matcher, PrometheusBuilder};
use tracing::Subscriber;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer, Registry};

use traces::TraceSettings;

/// Upper bounds of the buckets for seconds: from a quarter of a millisecond on.
const SECONDS_BUCKETS: [f64; 14] =
    [0.00025, 0.0005, 0.001, 0.002, 0.004, 0.008, 0.016, 0.032, 0.064, 0.128, 0.25, 0.5, 1.0, 10.0];
/// Upper bounds of the buckets for counts.
const COUNT_BUCKETS: [f64; 10] = [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 1024.0];

/// Upper bounds of the buckets for scores.
const SCORE_BUCKETS: [f64; 10] = [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0];

/// What there is to see, for the HELP lines. Durations are in seconds.
const COUNTERS: [(&str, &str); 9] = [
    (
        "tactful_decisions_total",
        "Answers to CrossSell and UpSell, by kind, by mode (reserve, preview or replay) and by band of relationship health.",
    ),
    ("tactful_offers_total", "Offers in those answers."),
    ("tactful_withheld_total", "Candidates withheld, by reason; replays do not count again."),
    ("tactful_capped_total", "Decisions in which a cap kept something back, by the cap that bound."),
    (
        "tactful_tls_handshakes_failed_total",
        "Connections that did not become secret, or whose caller had no right certificate.",
    ),
    ("tactful_tls_reloads_total", "Certificates or access rules that changed on disk, by result: taken or refused."),
    ("tactful_rankings_total", "Questions about customers without a basket, by source: ranked, or prepared before."),
    ("tactful_store_commit_conflicts_total", "Commits that met another of the same customer and were decided again."),
    ("tactful_connections_refused_total", "Connections closed at once because there were too many."),
];
const HISTOGRAMS: [(&str, &str); 4] = [
    ("tactful_relationship_health", "The scores, 0 to 1, of those asked about; replays do not count again."),
    (
        "rpc_server_call_duration_seconds",
        "Calls by method and status, by the names of OpenTelemetry; CANCELLED: the caller had gone.",
    ),
    ("tactful_store_flush_seconds", "Flushes of the store to disk."),
    ("tactful_store_flush_waiters", "Answers that waited for one flush."),
];
const GAUGES: [(&str, &str); 6] = [
    (
        "tactful_backup_timestamp_seconds",
        "When the last backup was made, in seconds after 1970; none since the start: absent.",
    ),
    ("tactful_rpcs_in_flight", "Calls being served."),
    ("tactful_ready", "1 while a service is ready, as its health says, else 0; `server` is the server as a whole."),
    ("tactful_model_age_seconds", "Time since the history that the model served now was learned from."),
    ("tactful_stored", "Customers, products, events and decisions in the store."),
    ("tactful_build_info", "1, with the version."),
];

/// The target of the spans of [`call::Stage`]. Log lines leave them out, so that the innermost span of a line, which is the one
/// that JSON shows, is the call's with its `request_id`.
const STAGES_TARGET: &str = "tactful::stage";

/// Why logs, metrics or traces could not start.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// The filter is not one.
    #[error("log: {filter:?} is not a filter such as info or tactful=debug")]
    Filter {
        /// What was written.
        filter: String,
    },
    /// The metrics port cannot be had.
    #[error("metrics-listen: cannot serve metrics on {address}: {reason}")]
    Listen {
        /// The address asked for.
        address: SocketAddr,
        /// What the system said.
        reason: String,
    },
    /// Traces cannot be exported.
    #[error("otlp-endpoint: {reason}")]
    Traces {
        /// What is wrong.
        reason: String,
    },
}

/// Starts logging to standard error, as text or as JSON (`None`: as text on a terminal), and the export of traces. A second start
/// in one process changes nothing. Must be called inside the runtime.
///
/// # Errors
/// When the filter is not one, or traces cannot be exported as the settings say.
pub fn start_logs(filter: &str, as_json: Option<bool>, traces: Option<&TraceSettings>) -> Result<(), TelemetryError> {
    let not_a_filter = || TelemetryError::Filter { filter: filter.to_owned() };
    let without_stages = format!("{STAGES_TARGET}=off").parse().map_err(|_| not_a_filter())?;
    let parsed = EnvFilter::try_new(filter).map_err(|_| not_a_filter())?.add_directive(without_stages);
    let as_json = as_json.unwrap_or_else(|| !std::io::stderr().is_terminal());
    // An error of `try_init` means that logs are on already, as in a test that starts two servers.
    let _already_on = match traces {
        None => Registry::default().with(lines(as_json)).with(parsed).try_init(),
        #[cfg(feature = "otlp")]
        Some(traces) => {
            // The filter is for lines only: what is logged does not decide what is traced.
            let lines = lines(as_json).with_filter(parsed);
            Registry::default().with(otlp::layer(traces)?).with(lines).try_init()
        }
        #[cfg(not(feature = "otlp"))]
        Some(_) => unreachable!("without the feature there are no such settings"),
    };
    Ok(())
}

fn lines<S>(as_json: bool) -> Box<dyn Layer<S> + Send + Sync>
where
    S: Subscriber + for<'span> LookupSpan<'span>,
{
    let lines = tracing_subscriber::fmt::layer().with_writer(std::io::stderr);
    if as_json {
        lines.json().flatten_event(true).with_current_span(true).with_span_list(false).boxed()
    } else {
        lines.boxed()
    }
}

/// Serves Prometheus metrics at `/metrics` of this address. Must be called inside the runtime.
///
/// # Errors
/// When the address cannot be had.
pub fn start_metrics(address: SocketAddr) -> Result<(), TelemetryError> {
    // The exporter binds later and reports late; asking first gives a clear error.
    let taken = |error: &dyn std::fmt::Display| TelemetryError::Listen { address, reason: error.to_string() };
    drop(std::net::TcpListener::bind(address).map_err(|error| taken(&error))?);
    PrometheusBuilder::new()
        .with_http_listener(address)
        .set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), &SECONDS_BUCKETS)
        .and_then(|builder| builder.set_buckets_for_metric(Matcher::Suffix("_waiters".to_owned()), &COUNT_BUCKETS))
        .and_then(|builder| builder.set_buckets_for_metric(Matcher::Suffix("_health".to_owned()), &SCORE_BUCKETS))
        .and_then(PrometheusBuilder::install)
        .map_err(|error| taken(&error))?;
    for (name, text) in COUNTERS {
        metrics::describe_counter!(name, text);
    }
    for (name, text) in HISTOGRAMS {
        metrics::describe_histogram!(name, text);
    }
    for (name, text) in GAUGES {
        metrics::describe_gauge!(name, text);
    }
    metrics::gauge!("tactful_build_info", "version" => env!("CARGO_PKG_VERSION")).set(1.0);
    Ok(())
}
