//! Log lines on standard error, and the subscriber that also feeds exported traces.

use std::io::IsTerminal;

use tracing::Subscriber;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer, Registry};

use super::call_context::STAGE_TARGET;
use super::error::TelemetryError;
#[cfg(feature = "otlp")]
use super::otlp;
use super::trace_settings::TraceSettings;

/// Starts logging to standard error, as text or as JSON (`None`: text on a terminal, else JSON), and the export of traces. A
/// second start in one process changes nothing. Must be called inside the runtime.
pub(crate) fn start_logging(
    filter: &str,
    as_json: Option<bool>,
    traces: Option<&TraceSettings>,
) -> Result<(), TelemetryError> {
    let invalid_filter = || TelemetryError::Filter { filter: filter.to_owned() };
    let without_stages = format!("{STAGE_TARGET}=off").parse().map_err(|_| invalid_filter())?;
    // It warns of each closed connection to a database; that the database is lost is logged once elsewhere.
    let without_connections = "deadpool=error".parse().map_err(|_| invalid_filter())?;
    let filter = EnvFilter::try_new(filter).map_err(|_| invalid_filter())?;
    let filter = filter.add_directive(without_stages).add_directive(without_connections);
    let as_json = as_json.unwrap_or_else(|| !std::io::stderr().is_terminal());
    // `try_init` fails when logging has started already, as in a test that starts two servers.
    let _already_started = match traces {
        None => Registry::default().with(stderr_layer(as_json)).with(filter).try_init(),
        #[cfg(feature = "otlp")]
        Some(traces) => {
            // The filter applies to log lines only: it does not decide which spans are exported.
            let stderr_layer = stderr_layer(as_json).with_filter(filter);
            Registry::default().with(otlp::export_layer(traces)?).with(stderr_layer).try_init()
        }
        #[cfg(not(feature = "otlp"))]
        Some(_) => unreachable!("trace settings are rejected without the feature otlp"),
    };
    Ok(())
}

fn stderr_layer<S>(as_json: bool) -> Box<dyn Layer<S> + Send + Sync>
where
    S: Subscriber + for<'span> LookupSpan<'span>,
{
    // Colours are for terminals: in a file their codes hide the text from searches.
    let layer =
        tracing_subscriber::fmt::layer().with_writer(std::io::stderr).with_ansi(std::io::stderr().is_terminal());
    if as_json {
        layer.json().flatten_event(true).with_current_span(true).with_span_list(false).boxed()
    } else {
        layer.boxed()
    }
}
