//! Spans to a collector, by OTLP over gRPC. Only with the feature `otlp`.
//!
//! Spans wait in a queue of bounded length for a thread of its own; when the collector is away or slow, the queue fills and
//! what does not fit is dropped. Nothing that serves waits for it. The environment says the rest, by the names of the
//! OpenTelemetry specification: `OTEL_EXPORTER_OTLP_HEADERS`, `_TIMEOUT`, `OTEL_BSP_*`, `OTEL_SERVICE_NAME`,
//! `OTEL_RESOURCE_ATTRIBUTES`; and `OTEL_EXPORTER_OTLP_CERTIFICATE`, the PEM of who signed an `https` collector's
//! certificate.

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

use super::TelemetryError;
use super::traces::{TraceParent, TraceSettings};

/// How long a stop waits for a collector that does not answer.
const FLUSH_WITHIN: Duration = Duration::from_secs(3);

/// Set once spans are exported.
static PROVIDER: OnceLock<SdkTracerProvider> = OnceLock::new();

pub(super) fn is_exporting() -> bool {
    PROVIDER.get().is_some()
}

/// What turns spans into exported ones. Must be called inside the runtime.
pub(super) fn layer<S>(settings: &TraceSettings) -> Result<impl Layer<S> + use<S>, TelemetryError>
where
    S: Subscriber + for<'span> LookupSpan<'span>,
{
    let provider = provider(settings)?;
    let tracer = provider.tracer("tactful");
    // An error means that a server of this process exports already, as in a test that starts two.
    let _already_on = PROVIDER.set(provider);
    // Only what this program tells of itself: the exporter's own calls would be exported without end.
    let is_ours = |told: &Metadata<'_>| {
        *told.level() <= LevelFilter::DEBUG && told.target().split("::").next() == Some("tactful")
    };
    Ok(tracing_opentelemetry::layer()
        .with_tracer(tracer)
        .with_location(false)
        .with_threads(false)
        .with_target(false)
        .with_tracked_inactivity(false)
        .with_context_activation(false)
        .with_filter(filter_fn(is_ours)))
}

fn provider(settings: &TraceSettings) -> Result<SdkTracerProvider, TelemetryError> {
    let failed = |error: &dyn std::fmt::Display| TelemetryError::Traces { reason: error.to_string() };
    let mut exporter = SpanExporter::builder().with_tonic().with_endpoint(settings.endpoint());
    if settings.endpoint().starts_with("https") {
        let authority = std::env::var("OTEL_EXPORTER_OTLP_CERTIFICATE").map_err(|_| {
            failed(&"https needs OTEL_EXPORTER_OTLP_CERTIFICATE, who signed the collector's certificate")
        })?;
        let pem = std::fs::read(&authority).map_err(|error| failed(&format_args!("{authority}: {error}")))?;
        exporter = exporter.with_tls_config(ClientTlsConfig::new().ca_certificate(Certificate::from_pem(pem)));
    }
    let exporter = exporter.build().map_err(|error| failed(&error))?;
    let sampler = Sampler::ParentBased(Box::new(Sampler::TraceIdRatioBased(settings.share())));
    Ok(SdkTracerProvider::builder()
        .with_sampler(sampler)
        .with_resource(resource())
        .with_batch_exporter(exporter)
        .build())
}

/// Who sends: what the environment says, else this program's name.
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

/// Begins the call's span, in the caller's trace where there is one.
pub(super) fn join(span: &Span, method: &str, parent: Option<TraceParent<'_>>, state: &str) {
    if let Some(parent) = parent.and_then(|parent| context(parent, state)) {
        // An error means that the span is filtered out, and nothing of the call is exported.
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

pub(super) fn ended(span: &Span, code: &'static str, is_fault: bool) {
    span.set_attribute("rpc.response.status_code", code);
    if is_fault {
        span.set_attribute("error.type", code);
        span.set_status(Status::error(""));
    }
}

pub(super) async fn flush() {
    let Some(provider) = PROVIDER.get() else { return };
    let flushed = tokio::task::spawn_blocking(|| provider.shutdown_with_timeout(FLUSH_WITHIN)).await;
    match flushed {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::warn!(%error, "the last traces were not sent"),
        Err(error) => tracing::warn!(%error, "the last traces were not sent"),
    }
}
