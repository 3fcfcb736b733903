//! `tactful evaluate`: evaluates the models on files, beside baselines, without a server.

use std::fmt::Write;
use std::io::IsTerminal;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, bail};
use clap::{Args, ValueEnum};
use indicatif::ProgressBar;
use serde_json::{Map, Value, json};

use super::figures::draw_deciles;
use super::output::{out, outln};
use super::rankings::{self, differences_json, metrics_json, write_rankings};
use super::table::Table;
use crate::config::settings::cores;
use crate::domain::policy::Policy;
use crate::evaluation::description::DataSetDescription;
use crate::evaluation::estimate::Estimate;
use crate::evaluation::health_evaluation::{HealthReport, evaluate_health};
use crate::evaluation::method_predictions::MethodPredictions;
use crate::evaluation::ranking_evaluation::evaluate_ranking;
use crate::evaluation::ranking_report::RankingReport;
use crate::evaluation::score_deciles::{Decile, is_monotone};
use crate::model::training_settings::TrainingSettings;

/// Evaluate the models on a data set, beside baselines.
///
/// Trains on the events before the cutoff in the description, with the code and the defaults of the server, and tests on the
/// events after it. Needs no server. Descriptions of public data sets are in `evaluation/`.
///
///   tactful evaluate --dataset `evaluation/online_retail_ii.toml`
#[derive(Debug, Args)]
pub(super) struct EvaluateCommand {
    /// Description of the data set
    #[arg(long, value_name = "FILE.toml")]
    dataset: PathBuf,
    /// Directory of the data set's files, if it is not the one in the description
    #[arg(long, value_name = "DIRECTORY")]
    directory: Option<PathBuf>,
    /// Run only this task; may be repeated [default: all tasks of the data set]
    #[arg(long, value_enum, value_name = "TASK")]
    task: Vec<Task>,
    /// Write the ranking of every query as JSON Lines with task, query and ranked ids
    #[arg(long, value_name = "FILE.jsonl")]
    rankings: Option<PathBuf>,
    /// Plot the share of customers who returned by decile of relationship health
    #[arg(long, value_name = "FILE.svg")]
    plot: Option<PathBuf>,
    /// Largest catalogue for which each product is regressed on all others; in a larger one, on its nearest neighbours
    #[arg(long, value_name = "PRODUCTS", default_value_t = TrainingSettings::DENSE_COLUMNS_MAX)]
    dense_products_max: usize,
    /// Print JSON and nothing else
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Task {
    /// Cross-sell to customers: products that they buy for the first time
    Cs1,
    /// Cross-sell to baskets: the hidden product
    Cs2,
    /// Up-sell: the more expensive product of a category that customers buy
    Up,
    /// Cross-sell by holdings and profile: the hidden add-on
    Addon,
    /// Cross-sell to anonymous baskets
    Basket,
    /// Retention outlook: which customers come back, or stay
    Health,
}

impl Task {
    fn name(self) -> &'static str {
        match self {
            Self::Cs1 => "cs1",
            Self::Cs2 => "cs2",
            Self::Up => "up",
            Self::Addon => "addon",
            Self::Basket => "basket",
            Self::Health => HEALTH,
        }
    }
}

const HEALTH: &str = "health";
/// Memory that a training may plan for; the default of the server.
const TRAINING_MEMORY_BYTES: u64 = 2048 << 20;

/// Results of all tasks.
struct EvaluationReport {
    name: String,
    rankings: Vec<RankingReport>,
    health: Option<HealthReport>,
}

impl EvaluateCommand {
    /// Evaluates the data set and prints the results.
    pub(super) async fn run(self) -> anyhow::Result<ExitCode> {
        let json = self.json;
        let evaluation = tokio::task::spawn_blocking(move || self.evaluate());
        let EvaluationReport { name, rankings, health } = evaluation.await??;
        if json {
            let mut tasks: Map<String, Value> =
                rankings.iter().map(|report| (report.task.to_owned(), metrics_json(report))).collect();
            tasks.extend(health.iter().map(|report| (HEALTH.to_owned(), health_json(report))));
            let gains: Map<String, Value> =
                rankings.iter().map(|report| (report.task.to_owned(), differences_json(report))).collect();
            outln!("{:#}", json!({ "dataset": name, "tasks": tasks, "gains": gains }));
        } else {
            outln!("{name}");
            for report in &rankings {
                out!("\n{}: {}\n\n{}", report.task, title(report.task), rankings::text(report));
            }
            if let Some(report) = &health {
                out!("\nhealth: the retention outlook\n\n{}", health_text(report));
            }
        }
        Ok(ExitCode::SUCCESS)
    }

    fn evaluate(&self) -> anyhow::Result<EvaluationReport> {
        let description = DataSetDescription::read(&self.dataset, self.directory.as_deref())?;
        let mut tasks: Vec<&str> = description.ranking.iter().map(|(name, _)| *name).collect();
        tasks.extend(description.health.iter().map(|_| HEALTH));
        if let Some(missing) = self.task.iter().find(|task| !tasks.contains(&task.name())) {
            bail!("{} has no task `{}`", description.name, missing.name());
        }
        let is_selected = |name: &str| self.task.is_empty() || self.task.iter().any(|task| task.name() == name);
        if self.plot.is_some() && !(description.health.is_some() && is_selected(HEALTH)) {
            bail!("--plot needs the task `{HEALTH}`, which is not run on {}", description.name);
        }
        let progress = spinner();
        let threads = cores();
        let settings = TrainingSettings {
            dense_columns_max: self.dense_products_max,
            ..TrainingSettings::new(threads, TRAINING_MEMORY_BYTES)
        };
        let rankings = evaluate_ranking(&description, &is_selected, &settings, &|stage| progress.set_message(stage))?;
        progress.set_message(HEALTH);
        let health = if is_selected(HEALTH) { evaluate_health(&description, &Policy::default())? } else { None };
        progress.finish_and_clear();
        if let (Some(file), Some(report)) = (&self.plot, &health) {
            if report.deciles.is_empty() {
                bail!("{} has no history to plot relationship health from", description.name);
            }
            let title = format!("{}: returning customers by relationship health", description.name);
            std::fs::write(file, draw_deciles(&title, &report.deciles))
                .with_context(|| format!("{} cannot be written", file.display()))?;
        }
        if let Some(file) = &self.rankings {
            write_rankings(file, &rankings)?;
        }
        Ok(EvaluationReport { name: description.name, rankings, health })
    }
}

fn title(task: &str) -> &'static str {
    match task {
        "cs1" => "products that customers buy for the first time",
        "up" => "the more expensive product of a category that customers buy",
        "addon" => "the hidden add-on",
        _ => "the hidden product of a basket",
    }
}

/// Spinner on a terminal, hidden in a pipe.
fn spinner() -> ProgressBar {
    if !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let spinner = ProgressBar::new_spinner();
    spinner.enable_steady_tick(Duration::from_millis(120));
    spinner
}

fn health_json(report: &HealthReport) -> Value {
    let metrics = |method: &MethodPredictions| {
        let quality = &method.quality;
        json!({ "auc": quality.auc, "brier": quality.brier, "calibration_error": quality.calibration_error })
    };
    report.methods.iter().map(|method| (method.method.to_owned(), metrics(method))).collect::<Map<_, _>>().into()
}

fn health_text(report: &HealthReport) -> String {
    let mut table =
        Table::new(&["method", "AUC", "Brier", "calibration error", "AUC below tactful's", "Brier above tactful's"]);
    let with_error = |estimate: Estimate| format!("{:.4} +- {:.4}", estimate.value, estimate.standard_error);
    let best = &report.methods[0];
    for method in &report.methods {
        let quality = &method.quality;
        let mut row = vec![
            method.method.to_owned(),
            with_error(method.auc()),
            format!("{:.4}", quality.brier),
            format!("{:.4}", quality.calibration_error),
        ];
        if method.method != best.method {
            row.extend([with_error(best.auc_above(method)), with_error(best.brier_below(method))]);
        }
        table.row(row);
    }
    let mut text = table.to_string();
    let quality = &best.quality;
    let _ = writeln!(text, "\n{} customers, {:.1} % returned", quality.count, quality.hit_rate * 100.0);
    if !report.deciles.is_empty() {
        text.push_str(&deciles_text(&report.deciles));
    }
    for note in &report.notes {
        let _ = writeln!(text, "note: {note}");
    }
    text
}

/// Formats relationship health by decile with the share of customers that returned.
fn deciles_text(deciles: &[Decile]) -> String {
    let mut table = Table::new(&["relationship health", "customers", "returned", "95 % interval"]);
    for Decile { count, mean_score, share, interval: [low, high] } in deciles {
        table.row(vec![
            format!("{mean_score:.3}"),
            count.to_string(),
            format!("{share:.3}"),
            format!("{low:.3} to {high:.3}"),
        ]);
    }
    let verdict = if is_monotone(deciles) { "rises" } else { "does not rise" };
    format!("\n{table}\nthe share of returning customers {verdict} with relationship health, within the intervals\n\n")
}
