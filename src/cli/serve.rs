//! `tactful serve`: the server.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;

use super::demo;
use crate::config::settings::LogFormat;
use crate::config::written::WrittenSettings;
use crate::server::serve::Server;
use crate::telemetry::{call_span, customer_pseudonyms, logging, prometheus};

/// Serve offers over gRPC.
///
/// Each setting is read from its flag, else from its TACTFUL_* environment variable, else from a TOML file (--config) whose
/// keys are the names of the flags. All invalid settings are reported at once, before the server opens anything.
///
/// Examples:
///   tactful serve --demo
///   tactful serve --data-dir /var/lib/tactful --listen 0.0.0.0:50051 --tls-cert tls.crt --tls-key tls.key
///   tactful serve --data-dir replay --clock-start 2011-06-10T00:00:00Z
#[derive(Debug, Args)]
#[command(verbatim_doc_comment)]
pub(super) struct ServeCommand {
    /// Load a made-up telephone company and kitchen shop, and print calls to try. Stored in memory unless --data-dir or
    /// --store is given
    #[arg(long)]
    demo: bool,
    /// TOML file with settings
    #[arg(long, env = "TACTFUL_CONFIG", hide_env_values = true, value_name = "FILE")]
    config: Option<PathBuf>,
    #[command(flatten)]
    settings: WrittenSettings,
}

impl ServeCommand {
    /// Serves until a signal arrives or the store fails.
    pub(super) async fn run(self) -> anyhow::Result<ExitCode> {
        let mut written = match &self.config {
            None => self.settings,
            Some(path) => self.settings.or(WrittenSettings::from_file(path)),
        };
        if self.demo && !written.has("data-dir") && !written.has("store") {
            written = written.with("store", "memory");
        }
        let settings = written.check()?;
        let as_json = match settings.logging.log_format {
            LogFormat::Auto => None,
            LogFormat::Text => Some(false),
            LogFormat::Json => Some(true),
        };
        customer_pseudonyms::choose_customer_id_logging(settings.logging.customer_id_logging());
        logging::start_logging(&settings.logging.log, as_json, settings.tracing.traces().as_ref())?;
        if let Some(address) = settings.network.metrics_listen {
            prometheus::start_metrics(address)?;
        }
        let server = Server::build(settings, None).await?;
        if self.demo {
            demo::load(server.app()).await?;
            demo::print_calls(server.local_addr());
        }
        let ended = server.run(stop_signal()).await;
        call_span::flush().await;
        ended?;
        Ok(ExitCode::SUCCESS)
    }
}

/// Resolves on SIGTERM, which Kubernetes sends, or on Ctrl-C.
async fn stop_signal() {
    use tokio::signal::unix::{SignalKind, signal};
    let interrupted = tokio::signal::ctrl_c();
    match signal(SignalKind::terminate()) {
        Ok(mut terminated) => {
            tokio::select! {
                _ = interrupted => {}
                _ = terminated.recv() => {}
            }
        }
        Err(error) => {
            tracing::warn!(%error, "SIGTERM handler failed to install; SIGTERM will exit without draining");
            // An error means that Ctrl-C cannot be received either; then only a kill ends the server.
            if interrupted.await.is_err() {
                std::future::pending::<()>().await;
            }
        }
    }
    tracing::info!("stop signal received");
}
