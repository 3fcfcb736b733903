//! `tactful simulate`: simulates customers under stated assumptions, or another policy on logged decisions.

use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;
use clap::{Args, Subcommand};
use indicatif::ProgressBar;
use serde_json::{Map, Value, json};

use super::figures::{draw_comparison, draw_sweep};
use super::output::{out, outln};
use super::simulate_policy;
use super::table::Table;
use crate::simulation::market::{
    ArmComparison, EFFECTS, MarketMetric, SweepPoint, VISIBILITIES, compare_arms, recommendation_experiment, sweep,
};
use crate::simulation::mean_estimate::MeanEstimate;
use crate::simulation::parameters::{DEFAULT, Parameters};
use crate::simulation::policy_arm::PolicyArm;

/// Number of customers of the experiment that shows what the assumptions are calibrated to.
const CALIBRATION_CUSTOMERS: usize = 20_000;

/// Simulate customers, or another policy.
#[derive(Debug, Args)]
pub(super) struct SimulateCommand {
    #[command(subcommand)]
    subcommand: SimulateSubcommand,
}

#[derive(Debug, Subcommand)]
enum SimulateSubcommand {
    Market(SimulateMarket),
    Policy(simulate_policy::SimulatePolicy),
}

/// Do health caps prevent backfire? Simulate customers who buy, tire, complain and leave under four contact policies.
///
/// The policies are: no cap, one offer a week for every customer, four offers in four weeks for every customer, and caps by
/// relationship health, decided by the server's own code on the same customers. How customers behave is assumed; every
/// assumption is a number in a file. Needs no server.
///
/// Example:
///   tactful simulate market
///   tactful simulate market --scenario `health_blind`
///   tactful simulate market --sweep --seeds 8 --plot sweep.svg     # where health caps lose
///   tactful simulate market --show-parameters > mine.toml          # then edit it, and pass it with --parameters
#[derive(Debug, Args)]
#[command(verbatim_doc_comment)]
struct SimulateMarket {
    /// Assumptions that replace the defaults; a missing one keeps its default
    #[arg(long, value_name = "FILE.toml")]
    parameters: Option<PathBuf>,
    /// Scenario of the file or of the defaults
    #[arg(long, default_value = "default", value_name = "NAME")]
    scenario: String,
    /// Number of simulated markets
    #[arg(long, value_name = "N")]
    seeds: Option<usize>,
    /// Number of customers in each market
    #[arg(long, value_name = "N")]
    customers: Option<usize>,
    /// Vary how much an offer hurts, and how much of the harm relationship health detects
    #[arg(long)]
    sweep: bool,
    /// Plot the comparison
    #[arg(long, value_name = "FILE.svg")]
    plot: Option<PathBuf>,
    /// Print JSON and nothing else
    #[arg(long)]
    json: bool,
    /// Print the default assumptions with comments, without a simulation
    #[arg(long)]
    show_parameters: bool,
}

impl SimulateCommand {
    /// Runs the subcommand.
    pub(super) async fn run(self) -> anyhow::Result<ExitCode> {
        match self.subcommand {
            SimulateSubcommand::Market(market) => tokio::task::spawn_blocking(move || market.run()).await?,
            SimulateSubcommand::Policy(policy) => policy.run().await,
        }
    }
}

impl SimulateMarket {
    fn run(self) -> anyhow::Result<ExitCode> {
        if self.show_parameters {
            out!("{DEFAULT}");
            return Ok(ExitCode::SUCCESS);
        }
        let text = match &self.parameters {
            Some(file) => Some(std::fs::read_to_string(file).with_context(|| file.display().to_string())?),
            None => None,
        };
        let mut parameters = Parameters::read(text.as_deref(), &self.scenario)?;
        parameters.seeds = self.seeds.unwrap_or(parameters.seeds);
        parameters.customers = self.customers.unwrap_or(parameters.customers);
        let parameters = parameters.check()?;
        let runs =
            parameters.seeds * PolicyArm::ALL.len() * if self.sweep { EFFECTS.len() * VISIBILITIES.len() } else { 1 };
        let progress = if std::io::stderr().is_terminal() && !self.json {
            ProgressBar::new(runs as u64).with_message("markets")
        } else {
            ProgressBar::hidden()
        };
        if self.sweep {
            let cells = sweep(&parameters, || progress.inc(1));
            progress.finish_and_clear();
            if let Some(file) = &self.plot {
                let title = format!("Lifetime value: health caps, scenario {}", self.scenario);
                write_figure(file, &draw_sweep(&title, &cells))?;
            }
            print_sweep(&cells, self.json);
        } else {
            let comparison = compare_arms(&parameters, || progress.inc(1));
            let calibration = recommendation_experiment(&parameters, 1, CALIBRATION_CUSTOMERS);
            progress.finish_and_clear();
            if let Some(file) = &self.plot {
                let title = format!("Four contact policies, scenario {}", self.scenario);
                write_figure(file, &draw_comparison(&title, &comparison))?;
            }
            print_comparison(&self.scenario, &parameters, &comparison, calibration, self.json);
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn write_figure(file: &Path, svg: &str) -> anyhow::Result<()> {
    std::fs::write(file, svg).with_context(|| format!("{} cannot be written", file.display()))
}

fn print_comparison(
    scenario: &str,
    parameters: &Parameters,
    comparison: &ArmComparison,
    [without, with]: [f64; 2],
    json: bool,
) {
    if json {
        let arms = PolicyArm::ALL.into_iter().zip(&comparison.arms);
        let arms: Map<String, Value> = arms.map(|(arm, means)| (arm.as_str().to_owned(), means_json(means))).collect();
        let gains = PolicyArm::BASELINES.into_iter().zip(&comparison.differences);
        let gains: Map<String, Value> =
            gains.map(|(arm, means)| (arm.as_str().to_owned(), means_json(means))).collect();
        let document = json!({
            "scenario": scenario,
            "markets": parameters.seeds,
            "customers": parameters.customers,
            "weeks": parameters.weeks,
            "three_month_churn": {"without_recommendation": without, "with_recommendation": with},
            "arms": arms,
            "health_caps_less": gains,
        });
        outln!("{document:#}");
        return;
    }
    outln!(
        "{} markets of {} customers over {} weeks, scenario {scenario}; per customer, complaints and opt-outs per 100\n",
        parameters.seeds,
        parameters.customers,
        parameters.weeks
    );
    outln!(
        "In this simulation, recommending a bigger plan once to customers who would benefit from it raises three-month churn from \
         {:.1} % to {:.1} % (field experiment: 6.4 % to 10.0 %).\n",
        without * 100.0,
        with * 100.0
    );
    let arms = PolicyArm::ALL.map(|arm| arm.as_str().replace('_', " "));
    let [no_cap, weekly, steady, health] = &arms;
    let mut table = Table::new(&["per customer", no_cap, weekly, steady, health]);
    for (index, metric) in MarketMetric::ALL.into_iter().enumerate() {
        let mut row = vec![metric.as_str().replace('_', " ")];
        row.extend(comparison.arms.iter().map(|means| number(means[index].value, metric)));
        table.row(row);
    }
    outln!("{table}");
    let mut table = Table::new(&["difference of health caps to", no_cap, weekly, steady]);
    for (index, metric) in MarketMetric::ALL.into_iter().enumerate() {
        let mut row = vec![metric.as_str().replace('_', " ")];
        row.extend(comparison.differences.iter().map(|means| interval(&means[index], metric)));
        table.row(row);
    }
    outln!("{table}");
    for (other, name) in PolicyArm::BASELINES.into_iter().zip(&arms) {
        outln!("{}", comparison.lifetime_value_gain(other).map_or_else(String::new, |gain| verdict(&gain, name)));
    }
    outln!("These figures follow from the assumptions and prove nothing beyond them.");
}

fn verdict(gain: &MeanEstimate, name: &str) -> String {
    if gain.is_above_zero() {
        format!("Health caps gain lifetime value over {name}.")
    } else if gain.is_below_zero() {
        format!("Health caps lose lifetime value to {name}.")
    } else {
        format!("There is no significant difference in lifetime value from {name}.")
    }
}

fn print_sweep(cells: &[SweepPoint], json: bool) {
    if json {
        let cell = |cell: &SweepPoint| {
            let gain = |other: PolicyArm| {
                Some((other.as_str().to_owned(), mean_json(&cell.comparison.lifetime_value_gain(other)?)))
            };
            let gains: Map<String, Value> = PolicyArm::BASELINES.into_iter().filter_map(gain).collect();
            json!({
                "effect": cell.effect,
                "visibility": cell.visibility,
                "lifetime_value_gain": gains,
            })
        };
        outln!("{:#}", Value::from(cells.iter().map(cell).collect::<Vec<_>>()));
        return;
    }
    outln!(
        "Lifetime value per customer that health caps gain, with 95 % intervals; effect 1 is that of the field experiment\n"
    );
    let heads =
        ["effect of an offer", "health detects", "over no cap", "", "over weekly cap", "", "over steady cap", ""];
    let mut table = Table::new(&heads);
    for cell in cells {
        let mut row = vec![cell.effect.to_string(), format!("{:.0} %", cell.visibility * 100.0)];
        for gain in PolicyArm::BASELINES.into_iter().filter_map(|other| cell.comparison.lifetime_value_gain(other)) {
            row.push(interval(&gain, MarketMetric::LifetimeValue));
            row.push(
                if gain.is_below_zero() {
                    "loses"
                } else if gain.is_above_zero() {
                    "gains"
                } else {
                    ""
                }
                .to_owned(),
            );
        }
        table.row(row);
    }
    outln!("{table}\nThese figures follow from the assumptions and prove nothing beyond them.");
}

fn number(value: f64, metric: MarketMetric) -> String {
    if metric == MarketMetric::Churn { format!("{:.1} %", value * 100.0) } else { format!("{value:.2}") }
}

fn interval(mean: &MeanEstimate, metric: MarketMetric) -> String {
    let scale = if metric == MarketMetric::Churn { 100.0 } else { 1.0 };
    let [low, high] = mean.interval;
    format!("{:+.2} ({:+.2} to {:+.2})", mean.value * scale, low * scale, high * scale)
}

fn mean_json(mean: &MeanEstimate) -> Value {
    json!({"value": mean.value, "interval": mean.interval})
}

fn means_json(means: &[MeanEstimate]) -> Value {
    Value::Object(
        MarketMetric::ALL.iter().zip(means).map(|(it, mean)| (it.as_str().to_owned(), mean_json(mean))).collect(),
    )
}
