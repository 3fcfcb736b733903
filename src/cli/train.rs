//! `tactful train`: trains the offer model, in the server or in a process of its own.

use std::io::IsTerminal;
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use indicatif::ProgressBar;
use serde_json::{Value, json};

use super::client::{ServerAddress, date_text, rejected, time_text};
use super::output::outln;
#[cfg(feature = "postgres")]
use super::store::DatabaseArgs;
use super::table::Table;
#[cfg(feature = "postgres")]
use crate::config::memory_limit::memory_limit_bytes;
#[cfg(feature = "postgres")]
use crate::config::settings::cores;
#[cfg(feature = "postgres")]
use crate::grpc::convert::models::model_to_wire;
use crate::grpc::generated::tactful::v1 as wire;
use crate::grpc::generated::tactful::v1::model_service_client::ModelServiceClient;
#[cfg(feature = "postgres")]
use crate::server::train::train_in_database;

/// Train the offer model on all history now, and show its report.
///
/// The server serves the old model until the new one is ready. With a database, training can take place here instead, so that the
/// servers need no memory for it; they load the model when it is published. Then start them with --training-interval off.
///
/// Examples:
///   tactful train
///   tactful train --store-url-file /run/secrets/store-url
#[derive(Debug, Args)]
#[command(verbatim_doc_comment)]
pub(super) struct TrainCommand {
    /// Show the model that is served now, without training
    #[arg(long)]
    show: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    server: ServerAddress,
    #[cfg(feature = "postgres")]
    #[command(flatten)]
    database: DatabaseArgs,
}

impl TrainCommand {
    /// Trains, and prints the report.
    pub(super) async fn run(self) -> anyhow::Result<ExitCode> {
        let as_json = self.json;
        let model = self.model().await?;
        if as_json {
            outln!("{:#}", to_json(&model));
        } else {
            print(&model);
        }
        Ok(ExitCode::SUCCESS)
    }

    async fn model(self) -> anyhow::Result<wire::OfferModel> {
        #[cfg(feature = "postgres")]
        if self.database.is_given() && !self.show {
            let database = self.database.database()?;
            let waiting = spinner();
            let trained = train_in_database(&database, cores(), training_bytes()).await;
            waiting.finish_and_clear();
            return Ok(model_to_wire(trained?));
        }
        let mut client = ModelServiceClient::new(self.server.connect().await?);
        let model = if self.show {
            let answered = client.get_model(wire::GetModelRequest {}).await;
            answered.map_err(|status| rejected(&status))?.into_inner().model
        } else {
            let waiting = spinner();
            let answered = client.train_model(wire::TrainModelRequest {}).await;
            waiting.finish_and_clear();
            answered.map_err(|status| rejected(&status))?.into_inner().model
        };
        Ok(model.unwrap_or_default())
    }
}

/// Memory for a training that has the process to itself: three quarters of what the container or the machine has.
#[cfg(feature = "postgres")]
fn training_bytes() -> u64 {
    memory_limit_bytes().map_or(2 << 30, |bytes| bytes / 4 * 3)
}

/// Spinner on a terminal, hidden in a pipe.
fn spinner() -> ProgressBar {
    if !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let spinner = ProgressBar::new_spinner().with_message("training");
    spinner.enable_steady_tick(Duration::from_millis(120));
    spinner
}

fn seconds(model: &wire::OfferModel) -> Option<f64> {
    let took = model.training_duration?;
    Duration::try_from(took).ok().map(|took| took.as_secs_f64())
}

fn print(model: &wire::OfferModel) {
    let took = seconds(model).map_or_else(String::new, |seconds| format!(" in {seconds:.1} s"));
    outln!("model {}, trained on {}{took}", model.version, date_text(model.train_time.as_ref()));
    outln!(
        "from {} purchases of {} products by {} customers in {} baskets; {} bytes\n",
        model.purchases,
        model.products,
        model.customers,
        model.baskets,
        model.artifact_bytes
    );
    if !model.metrics.is_empty() {
        let mut table = Table::new(&["metric", "method", "value", "queries"]);
        for metric in &model.metrics {
            table.row(vec![
                metric.name.clone(),
                metric.method.clone(),
                format!("{:.3}", metric.value),
                metric.queries.to_string(),
            ]);
        }
        outln!("{table}");
    }
    for note in &model.notes {
        outln!("note: {note}");
    }
}

fn to_json(model: &wire::OfferModel) -> Value {
    let metric = |metric: &wire::ModelMetric| json!({ "name": metric.name, "method": metric.method, "value": metric.value, "queries": metric.queries });
    json!({
        "version": model.version,
        "train_time": time_text(model.train_time.as_ref()),
        "training_seconds": seconds(model),
        "customers": model.customers,
        "baskets": model.baskets,
        "products": model.products,
        "purchases": model.purchases,
        "artifact_bytes": model.artifact_bytes,
        "metrics": model.metrics.iter().map(metric).collect::<Vec<_>>(),
        "notes": model.notes,
    })
}
