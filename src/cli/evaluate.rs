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
use super::rankings::{self, figures_json, gains_json, write_rankings};
use super::say::{say, say_part};
use super::table::Table;
use crate::config::cores;
use crate::domain::policy::Policy;
use crate::evaluation::deciles::{Decile, is_monotone};
use crate::evaluation::description::Description;
use crate::evaluation::health::{HealthReport, evaluate_health};
use crate::evaluation::judged::{Estimate, Judged};
use crate::evaluation::plot::draw_deciles;
use crate::evaluation::ranking::{RankingReport, evaluate_ranking};
use crate::model::train::TrainingSettings;

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
    /// Write what was ranked for every query: one JSON object a line with task, query and ranked ids
    #[arg(long, value_name = "FILE.jsonl")]
    rankings: Option<PathBuf>,
    /// Draw relationship health against who came back
    #[arg(long, value_name = "FILE.svg")]
    plot: Option<PathBuf>,
    /// Regress on all products of a set up to so many; of more each is regressed on its nearest, as the server does
    #[arg(long, value_name = "PRODUCTS", default_value_t = TrainingSettings::DENSE_COLUMNS_MAX)]
    dense_up_to: usize,
    /// Print JSON and nothing else
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Task {
    /// Cross-sell to customers: what they buy that they never bought
    Cs1,
    /// Cross-sell to baskets: the product that was hidden
    Cs2,
    /// Up-sell: the dearer product of a category that customers buy
    Up,
    /// Cross-sell by holdings and profile: the add-on that was hidden
    Addon,
    /// Cross-sell to baskets of nobody in particular
    Basket,
    /// Who comes back, or stays: the retention outlook
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
/// Memory that a training may plan for; that of a server by default.
const TRAINING_MEMORY_BYTES: u64 = 2048 << 20;

/// What all tasks told.
struct Judgement {
    name: String,
    rankings: Vec<RankingReport>,
    health: Option<HealthReport>,
}

impl Evaluate {
    /// Judges and prints.
    pub async fn run(self) -> Result<ExitCode, Failure> {
        let json = self.json;
        let judging = tokio::task::spawn_blocking(move || self.judge());
        let Judgement { name, rankings, health } = judging.await??;
        if json {
            let mut tasks: Map<String, Value> =
                rankings.iter().map(|report| (report.task.to_owned(), figures_json(report))).collect();
            tasks.extend(health.iter().map(|report| (HEALTH.to_owned(), health_json(report))));
            let gains: Map<String, Value> =
                rankings.iter().map(|report| (report.task.to_owned(), gains_json(report))).collect();
            say!("{:#}", json!({ "dataset": name, "tasks": tasks, "gains": gains }));
        } else {
            say!("{name}");
            for report in &rankings {
                say_part!("\n{}: {}\n\n{}", report.task, title(report.task), rankings::text(report));
            }
            if let Some(report) = &health {
                say_part!("\nhealth: the retention outlook\n\n{}", health_text(report));
            }
        }
        Ok(ExitCode::SUCCESS)
    }

    fn judge(&self) -> Result<Judgement, Failure> {
        let description = Description::read(&self.dataset, self.directory.as_deref())?;
        let mut known: Vec<&str> = description.ranking.iter().map(|(name, _)| *name).collect();
        known.extend(description.health.iter().map(|_| HEALTH));
        if let Some(missing) = self.task.iter().find(|task| !known.contains(&task.name())) {
            return Err(Failure(format!("{} has no task `{}`", description.name, missing.name())));
        }
        let is_wanted = |name: &str| self.task.is_empty() || self.task.iter().any(|task| task.name() == name);
        if self.plot.is_some() && !(description.health.is_some() && is_wanted(HEALTH)) {
            return Err(Failure(format!(
                "--plot draws the task `{HEALTH}`, which is not asked of {}",
                description.name
            )));
        }
        let waiting = spinner();
        let threads = cores();
        let settings = TrainingSettings {
            dense_columns_max: self.dense_up_to,
            ..TrainingSettings::new(threads, TRAINING_MEMORY_BYTES)
        };
        let rankings = evaluate_ranking(&description, &is_wanted, &settings, &|stage| waiting.set_message(stage))?;
        waiting.set_message(HEALTH);
        let health = if is_wanted(HEALTH) { evaluate_health(&description, &Policy::default())? } else { None };
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
        if let Some(file) = &self.rankings {
            write_rankings(file, &rankings)?;
        }
        Ok(Judgement { name: description.name, rankings, health })
    }
}

fn title(task: &str) -> &'static str {
    match task {
        "cs1" => "what customers buy that they never bought",
        "up" => "the dearer product of a category that customers buy",
        "addon" => "the add-on that was hidden",
        _ => "the product of a basket that was hidden",
    }
}

/// Turns on a terminal, and is quiet in a pipe.
fn spinner() -> ProgressBar {
    if !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let spinner = ProgressBar::new_spinner();
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
