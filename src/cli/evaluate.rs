//! `tactful evaluate`: judge the models on files, beside baselines, without a server.

use std::fmt::Write;
use std::io::IsTerminal;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, ValueEnum};
use indicatif::ProgressBar;
use serde_json::{Map, Value, json};

use super::failure::Failure;
use super::table::Table;
use crate::domain::policy::Policy;
use crate::evaluation::deciles::{Decile, is_monotone};
use crate::evaluation::description::Description;
use crate::evaluation::health::{HealthReport, evaluate_health};
use crate::evaluation::judged::{Estimate, Judged};
use crate::evaluation::plot::draw_deciles;

/// Judge what tactful would learn from a data set, beside baselines.
///
/// Learns from what happened before the cutoff that the description names, with the code of the server and its defaults,
/// and asks about what happened after. Needs no server. Descriptions of public sets are in `evaluation/`.
///
///   tactful evaluate --dataset `evaluation/online_retail_ii.toml`
#[derive(Debug, Args)]
pub struct Evaluate {
    /// The description of the data set
    #[arg(long, value_name = "FILE.toml")]
    dataset: PathBuf,
    /// Where the files of the data set are, if not where the description says
    #[arg(long, value_name = "DIRECTORY")]
    directory: Option<PathBuf>,
    /// Only these tasks; may be repeated [default: all that the data set has]
    #[arg(long, value_enum, value_name = "TASK")]
    task: Vec<Task>,
    /// Draw relationship health against who came back
    #[arg(long, value_name = "FILE.svg")]
    plot: Option<PathBuf>,
    /// Print JSON and nothing else
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Task {
    /// Who comes back, or stays: the retention outlook
    Health,
}

impl Evaluate {
    /// Judges and prints.
    pub async fn run(self) -> Result<ExitCode, Failure> {
        let json = self.json;
        let judging = tokio::task::spawn_blocking(move || self.judge());
        let (name, health) = judging.await??;
        if json {
            let tasks = health.iter().map(|report| ("health".to_owned(), health_json(report)));
            let told = json!({ "dataset": name, "tasks": tasks.collect::<Map<String, Value>>() });
            println!("{told:#}");
        } else {
            println!("{name}");
            if let Some(report) = &health {
                print!("\nhealth: the retention outlook\n\n{}", health_text(report));
            }
        }
        Ok(ExitCode::SUCCESS)
    }

    fn judge(&self) -> Result<(String, Option<HealthReport>), Failure> {
        let description = Description::read(&self.dataset, self.directory.as_deref())?;
        let is_wanted = |task: Task| self.task.is_empty() || self.task.contains(&task);
        if self.task.contains(&Task::Health) && description.health.is_none() {
            return Err(Failure(format!("{} has no task `health`", description.name)));
        }
        let waiting = spinner("health");
        let health = if is_wanted(Task::Health) { evaluate_health(&description, &Policy::default())? } else { None };
        waiting.finish_and_clear();
        if let (Some(file), Some(report)) = (&self.plot, &health) {
            if report.deciles.is_empty() {
                return Err(Failure(format!("{} tells no history to draw relationship health from", description.name)));
            }
            draw_deciles(
                file,
                &format!("{}: relationship health and who came back", description.name),
                &report.deciles,
            )?;
        }
        Ok((description.name, health))
    }
}

/// Turns on a terminal, and is quiet in a pipe.
fn spinner(task: &'static str) -> ProgressBar {
    if !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let spinner = ProgressBar::new_spinner().with_message(task);
    spinner.enable_steady_tick(Duration::from_millis(120));
    spinner
}

fn health_json(report: &HealthReport) -> Value {
    let figures = |method: &Judged| {
        let quality = &method.quality;
        json!({ "auc": quality.auc, "brier": quality.brier, "calibration_error": quality.calibration_error })
    };
    report.methods.iter().map(|method| (method.method.to_owned(), figures(method))).collect::<Map<_, _>>().into()
}

fn health_text(report: &HealthReport) -> String {
    let mut table =
        Table::new(&["method", "auc", "brier", "calibration error", "auc below tactful's", "brier above tactful's"]);
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
    let _ = writeln!(text, "\n{} customers, {:.1} % came back", quality.count, quality.hit_rate * 100.0);
    if !report.deciles.is_empty() {
        text.push_str(&deciles_text(&report.deciles));
    }
    for note in &report.notes {
        let _ = writeln!(text, "note: {note}");
    }
    text
}

/// Relationship health in tenths of the customers, beside the share that came back.
fn deciles_text(deciles: &[Decile]) -> String {
    let mut table = Table::new(&["relationship health", "customers", "came back", "95 % interval"]);
    for Decile { count, mean_score, share, interval: [low, high] } in deciles {
        table.row(vec![
            format!("{mean_score:.3}"),
            count.to_string(),
            format!("{share:.3}"),
            format!("{low:.3} to {high:.3}"),
        ]);
    }
    let verdict = if is_monotone(deciles) { "grows" } else { "does not grow" };
    format!("\n{table}\nthe share {verdict} with relationship health, within the intervals\n\n")
}
