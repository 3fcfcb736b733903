//! Prometheus metrics: names, help texts, buckets, and the port they are served on.

use std::net::SocketAddr;

use metrics_exporter_prometheus::{Matcher, PrometheusBuilder};

use super::error::TelemetryError;

/// Upper bounds of histogram buckets for durations, in seconds.
const SECONDS_BUCKETS: [f64; 14] =
    [0.00025, 0.0005, 0.001, 0.002, 0.004, 0.008, 0.016, 0.032, 0.064, 0.128, 0.25, 0.5, 1.0, 10.0];
/// Upper bounds of histogram buckets for counts.
const COUNT_BUCKETS: [f64; 10] = [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 1024.0];
/// Upper bounds of histogram buckets for scores from 0 to 1.
const SCORE_BUCKETS: [f64; 10] = [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0];

/// Names and help texts of all counters.
const COUNTERS: [(&str, &str); 10] = [
    (
        "tactful_decisions_total",
        "CrossSell and UpSell decisions, by kind, mode (reserve, preview or replay) and band of relationship health.",
    ),
    ("tactful_offers_total", "Offers in the slates of those decisions, by the same labels."),
    ("tactful_withheld_candidates_total", "Candidates withheld, by reason. Replayed decisions are not counted again."),
    ("tactful_capped_decisions_total", "Decisions limited by a cap, by the cap that bound."),
    ("tactful_tls_handshake_failures_total", "Failed TLS handshakes, including rejected client certificates."),
    (
        "tactful_security_reloads_total",
        "Reloads of TLS certificates and access rules after a change on disk, by result: applied or rejected.",
    ),
    (
        "tactful_rankings_total",
        "Candidate rankings for requests without a basket, by source: computed by the model, or cached.",
    ),
    (
        "tactful_store_commit_conflicts_total",
        "Optimistic commits that lost a race for the same customer and were retried.",
    ),
    (
        "tactful_rpcs_detached_total",
        "Calls that changed state and went on to their end after their client had gone or the request timeout had passed.",
    ),
    ("tactful_connections_rejected_total", "Connections rejected because connections-max was reached."),
];
/// Names and help texts of all histograms.
const HISTOGRAMS: [(&str, &str); 4] = [
    (
        "tactful_relationship_health",
        "Relationship health scores, 0 to 1, at the time of a decision. Replayed decisions are not counted again.",
    ),
    (
        "rpc_server_call_duration_seconds",
        "Duration of calls in seconds, by method and status. CANCELLED: the client disconnected or its deadline passed; \
         RESOURCE_EXHAUSTED includes shed requests.",
    ),
    ("tactful_store_flush_seconds", "Duration of store flushes to disk, in seconds."),
    ("tactful_store_flush_waiters", "Commits made durable by one flush (group commit)."),
];
/// Names and help texts of all gauges.
const GAUGES: [(&str, &str); 9] = [
    (
        "tactful_snapshot_age_seconds",
        "Time since this server knew that it uses all that was published in a store that several servers share.",
    ),
    (
        "tactful_backup_timestamp_seconds",
        "Unix time of the last completed backup, in seconds; absent until the first one since the start.",
    ),
    (
        "tactful_unusable_conditions",
        "Explicit offers that apply to no customer, because the policy in force makes their condition invalid.",
    ),
    ("tactful_rpcs_in_flight", "Calls being executed; queued ones are not included."),
    (
        "tactful_ready",
        "1 while a service reports SERVING in its health check, else 0. The service `server` is the whole server.",
    ),
    ("tactful_model_age_seconds", "Age of the history that the current model was trained on, in seconds."),
    ("tactful_stored_records", "Records in the store, by kind: customers, products, events or decisions."),
    (
        "tactful_unresolved_opt_outs",
        "Opt-outs of channels that the active policy does not have, so that they block all channels; counted once a day.",
    ),
    ("tactful_build_info", "Always 1; the label carries the version."),
];

/// Serves Prometheus metrics at `/metrics` of this address. Must be called inside the runtime.
pub(crate) fn start_metrics(address: SocketAddr) -> Result<(), TelemetryError> {
    let listen_error = |error: &dyn std::fmt::Display| TelemetryError::Listen { address, reason: error.to_string() };
    // The exporter binds later and reports late; binding here first gives a clear error.
    drop(std::net::TcpListener::bind(address).map_err(|error| listen_error(&error))?);
    PrometheusBuilder::new()
        .with_http_listener(address)
        .set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), &SECONDS_BUCKETS)
        .and_then(|builder| builder.set_buckets_for_metric(Matcher::Suffix("_waiters".to_owned()), &COUNT_BUCKETS))
        .and_then(|builder| builder.set_buckets_for_metric(Matcher::Suffix("_health".to_owned()), &SCORE_BUCKETS))
        .and_then(PrometheusBuilder::install)
        .map_err(|error| listen_error(&error))?;
    for (name, help) in COUNTERS {
        metrics::describe_counter!(name, help);
    }
    for (name, help) in HISTOGRAMS {
        metrics::describe_histogram!(name, help);
    }
    for (name, help) in GAUGES {
        metrics::describe_gauge!(name, help);
    }
    metrics::gauge!("tactful_build_info", "version" => env!("CARGO_PKG_VERSION")).set(1.0);
    Ok(())
}
