//! `tactful train`: trains the offer model in the server.

use std::io::IsTerminal;
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use indicatif::ProgressBar;
use serde_json::{Value, json};

use super::client::{ServerAddress, date_text, rejected, time_text};
use super::output::outln;
use super::table::Table;
use crate::grpc::generated::tactful::v1 as wire;
use crate::grpc::generated::tactful::v1::model_service_client::ModelServiceClient;

/// Train the offer model on all history now, and show its report.
///
/// The server serves the old model until the new one is ready.
#[derive(Debug, Args)]
pub(super) struct TrainCommand {
    /// Show the model that is served now, without training
    #[arg(long)]
    show: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    server: ServerAddress,
}

impl TrainCommand {
    /// Queries the server and prints the answer.
    pub(super) async fn run(self) -> anyhow::Result<ExitCode> {
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
        let model = model.unwrap_or_default();
        if self.json {
            outln!("{:#}", to_json(&model));
        } else {
            print(&model);
        }
        Ok(ExitCode::SUCCESS)
    }
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
