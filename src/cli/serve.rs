//! `tactful serve`: the server.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;

use super::demo;
use super::failure::Failure;
use crate::config::{LogFormat, WrittenSettings};
use crate::server::serve::Server;
use crate::telemetry::{call_span, customer_pseudonyms, logging, prometheus};

/// Serve offers over gRPC.
///
/// Settings come from flags, then from TACTFUL_* environment variables, then from a TOML file (--config) whose keys are
/// the flags' names. All faults are told at once, before anything opens.
///
/// Examples:
///   tactful serve --demo
///   tactful serve --data-dir /var/lib/tactful --listen 0.0.0.0:50051 --tls-cert tls.crt --tls-key tls.key
///   tactful serve --data-dir replay --now 2011-06-10T00:00:00Z
#[derive(Debug, Args)]
#[command(verbatim_doc_comment)]
pub struct Serve {
    /// Load a made-up telephone company and kitchen shop, and print calls to try. In memory, unless --data-dir or
    /// --store says otherwise
    #[arg(long)]
    demo: bool,
    /// A TOML file with settings
    #[arg(long, env = "TACTFUL_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,
    #[command(flatten)]
    settings: WrittenSettings,
}

impl Serve {
    /// Serves until a signal or a failed store ends it.
    pub async fn run(self) -> Result<ExitCode, Failure> {
        let mut written = match &self.config {
            None => self.settings,
            Some(path) => self.settings.or(read_file(path)?),
        };
        if self.demo && written.data_dir.is_none() && written.store.is_none() {
            written.store = Some("memory".to_owned());
        }
        let settings = written.check()?;
        let as_json = match settings.log_format {
            LogFormat::Auto => None,
            LogFormat::Text => Some(false),
            LogFormat::Json => Some(true),
        };
        customer_pseudonyms::choose_customer_id_logging(settings.customer_id_logging.clone());
        logging::start_logging(&settings.log, as_json, settings.traces.as_ref())?;
        if let Some(address) = settings.metrics_listen {
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

fn read_file(path: &std::path::Path) -> Result<WrittenSettings, Failure> {
    let told = |reason: String| Failure(format!("config {}: {reason}", path.display()));
    let text = std::fs::read_to_string(path).map_err(|error| told(error.to_string()))?;
    WrittenSettings::from_toml(&text).map_err(told)
}

/// Resolves at SIGTERM, as Kubernetes sends it, or at Ctrl-C.
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
            tracing::warn!(%error, "SIGTERM will end the server without a drain");
            // An error means that Ctrl-C cannot be heard either; then only a kill ends the server.
            if interrupted.await.is_err() {
                std::future::pending::<()>().await;
            }
        }
    }
    tracing::info!("asked to stop");
}
