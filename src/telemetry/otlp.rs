//! Export of spans to a collector, by OTLP over gRPC. Only with the feature `otlp`.
//!
//! Spans wait in a bounded queue for an exporter thread; when the collector is down or slow, the queue fills and further spans
//! are dropped. No call waits for the exporter. Everything else is set by the environment variables of the OpenTelemetry
//! specification: `OTEL_EXPORTER_OTLP_HEADERS`, `_TIMEOUT`, `OTEL_BSP_*`, `OTEL_SERVICE_NAME`, `OTEL_RESOURCE_ATTRIBUTES`, and
//! `OTEL_EXPORTER_OTLP_CERTIFICATE`, the PEM file of the authority that signed the certificate of an `https` collector.

use std::sync::OnceLock;
use std::time::Duration;

use opentelemetry::trace::{SpanContext, Status, TraceContextExt, TraceFlags, TraceState, TracerProvider};
use opentelemetry::{Context, KeyValue, SpanId, TraceId};
use opentelemetry_otlp::tonic_types::transport::{Certificate, ClientTlsConfig};
use opentelemetry_otlp::{SpanExporter, WithExportConfig, WithTonicConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::resource::EnvResourceDetector;
use opentelemetry_sdk::trace::{Sampler, SdkTracerProvider};
use tracing::level_filters::LevelFilter;
use tracing::{Metadata, Span, Subscriber};
use tracing_opentelemetry::OpenTelemetrySpanExt;
use tracing_subscriber::Layer;
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::registry::LookupSpan;

use super::error::TelemetryError;
use super::trace_context::TraceParent;
use super::trace_settings::TraceSettings;

/// Longest wait at shutdown for a collector that does not respond.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(3);

/// Provider of exported spans; set once the export has started.
static PROVIDER: OnceLock<SdkTracerProvider> = OnceLock::new();

pub(super) fn is_exporting() -> bool {
    PROVIDER.get().is_some()
}

/// Starts the export and returns the layer that feeds it. Must be called inside the runtime.
pub(super) fn export_layer<S>(settings: &TraceSettings) -> Result<impl Layer<S> + use<S>, TelemetryError>
where
    S: Subscriber + for<'span> LookupSpan<'span>,
{
    let provider = provider(settings)?;
    let tracer = provider.tracer("tactful");
    // `set` fails when a server of this process exports already, as in a test that starts two.
    let _already_started = PROVIDER.set(provider);
    // This program's own spans only: the exporter's calls would be exported without end.
    let is_own = |metadata: &Metadata<'_>| {
        *metadata.level() <= LevelFilter::DEBUG && metadata.target().split("::").next() == Some("tactful")
    };
    Ok(tracing_opentelemetry::layer()
        .with_tracer(tracer)
        .with_location(false)
        .with_threads(false)
        .with_target(false)
        .with_tracked_inactivity(false)
        .with_context_activation(false)
        .with_filter(filter_fn(is_own)))
}

fn provider(settings: &TraceSettings) -> Result<SdkTracerProvider, TelemetryError> {
    let failed = |error: &dyn std::fmt::Display| TelemetryError::Traces { reason: error.to_string() };
    let mut exporter = SpanExporter::builder().with_tonic().with_endpoint(settings.endpoint());
    if settings.endpoint().starts_with("https") {
        let authority = std::env::var("OTEL_EXPORTER_OTLP_CERTIFICATE").map_err(|_| {
            failed(&"https needs OTEL_EXPORTER_OTLP_CERTIFICATE, the authority that signed the collector's certificate")
        })?;
        let pem = std::fs::read(&authority).map_err(|error| failed(&format_args!("{authority}: {error}")))?;
        exporter = exporter.with_tls_config(ClientTlsConfig::new().ca_certificate(Certificate::from_pem(pem)));
    }
    let exporter = exporter.build().map_err(|error| failed(&error))?;
    let sampler = Sampler::ParentBased(Box::new(Sampler::TraceIdRatioBased(settings.sampling_ratio())));
    Ok(SdkTracerProvider::builder()
        .with_sampler(sampler)
        .with_resource(resource())
        .with_batch_exporter(exporter)
        .build())
}

/// Returns the resource that sends the spans: named by the environment, else after this program.
fn resource() -> Resource {
    let named = Resource::builder_empty()
        .with_service_name("tactful")
        .with_attribute(KeyValue::new("service.version", env!("CARGO_PKG_VERSION")))
        .with_detector(Box::new(EnvResourceDetector::new()));
    match std::env::var("OTEL_SERVICE_NAME") {
        Ok(name) if !name.is_empty() => named.with_service_name(name).build(),
        Ok(_) | Err(_) => named.build(),
    }
}

/// Attaches the span of a call to the client's trace where there is one, and records its trace id.
pub(super) fn attach(span: &Span, method: &str, parent: Option<TraceParent<'_>>, state: &str) {
    if let Some(parent) = parent.and_then(|parent| context(parent, state)) {
        // Setting the parent fails when the span is filtered out, and the call is not exported.
        let _filtered_out = span.set_parent(Context::new().with_remote_span_context(parent));
    }
    let context = span.context();
    let exported = context.span();
    exported.update_name(method.to_owned());
    exported.set_attribute(KeyValue::new("rpc.system.name", "grpc"));
    exported.set_attribute(KeyValue::new("rpc.method", method.to_owned()));
    span.record("trace_id", tracing::field::display(exported.span_context().trace_id()));
}

fn context(parent: TraceParent<'_>, state: &str) -> Option<SpanContext> {
    let trace_id = TraceId::from_hex(parent.trace_id).ok()?;
    let parent_id = SpanId::from_hex(parent.parent_id).ok()?;
    let flags = TraceFlags::NOT_SAMPLED.with_sampled(parent.is_sampled);
    Some(SpanContext::new(trace_id, parent_id, flags, true, state.parse::<TraceState>().unwrap_or_default()))
}

pub(super) fn record_status(span: &Span, code: &'static str, is_server_error: bool) {
    span.set_attribute("rpc.response.status_code", code);
    if is_server_error {
        span.set_attribute("error.type", code);
        span.set_status(Status::error(""));
    }
}

pub(super) async fn flush() {
    let Some(provider) = PROVIDER.get() else { return };
    let flushed = tokio::task::spawn_blocking(|| provider.shutdown_with_timeout(FLUSH_TIMEOUT)).await;
    match flushed {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::warn!(%error, "trace flush failed"),
        Err(error) => tracing::warn!(%error, "trace flush failed"),
    }
}
