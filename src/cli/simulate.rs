//! `tactful simulate`: what would happen, under stated assumptions.

use std::io::IsTerminal;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Subcommand};
use indicatif::ProgressBar;
use serde_json::{Map, Value, json};

use super::failure::Failure;
use super::say::{say, say_part};
use super::simulate_policy;
use super::table::Table;
use crate::simulation::arms::Pitching;
use crate::simulation::market::{
    Cell, Comparison, EFFECTS, Measure, VISIBILITIES, compare, recommendation_experiment, sweep,
};
use crate::simulation::parameters::{DEFAULT, ParameterFaults, Parameters};
use crate::simulation::plot::{draw_comparison, draw_sweep};
use crate::simulation::summary::Mean;

/// Customers of the experiment that shows what the assumptions are calibrated to.
const CALIBRATION_CUSTOMERS: usize = 20_000;

/// Simulate what would happen.
#[derive(Debug, Args)]
pub struct Simulate {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    Market(Market),
    Policy(simulate_policy::SimulatePolicy),
}

/// Does it prevent backfire? Simulate customers who buy, tire, complain and leave under four ways to pitch.
///
/// No cap, one offer a week for everybody, four offers in four weeks for everybody, and caps by relationship health, decided by
/// the server's own code on the same customers. What customers do is assumed; every assumption is a number in a file. Needs no server.
///
/// Example:
///   tactful simulate market
///   tactful simulate market --scenario `health_blind`
///   tactful simulate market --sweep --seeds 8 --plot sweep.svg     # where health caps lose
///   tactful simulate market --show-parameters > mine.toml          # then edit, and give it with --parameters
#[derive(Debug, Args)]
#[command(verbatim_doc_comment)]
struct Market {
    /// Assumptions other than the defaults; what the file leaves out keeps its default
    #[arg(long, value_name = "FILE.toml")]
    parameters: Option<PathBuf>,
    /// A scenario of the file or of the defaults
    #[arg(long, default_value = "default", value_name = "NAME")]
    scenario: String,
    /// How many markets
    #[arg(long, value_name = "N")]
    seeds: Option<usize>,
    /// How many customers in each
    #[arg(long, value_name = "N")]
    customers: Option<usize>,
    /// Compare over how much pitches hurt and how much of it health sees
    #[arg(long)]
    sweep: bool,
    /// Draw the comparison
    #[arg(long, value_name = "FILE.svg")]
    plot: Option<PathBuf>,
    /// Print JSON and nothing else
    #[arg(long)]
    json: bool,
    /// Print the default assumptions with a comment on each, and do nothing
    #[arg(long)]
    show_parameters: bool,
}

impl Simulate {
    /// Simulates and prints.
    pub async fn run(self) -> Result<ExitCode, Failure> {
        match self.what {
            What::Market(market) => tokio::task::spawn_blocking(move || market.run()).await?,
            What::Policy(policy) => policy.run().await,
        }
    }
}

impl Market {
    fn run(self) -> Result<ExitCode, Failure> {
        if self.show_parameters {
            say_part!("{DEFAULT}");
            return Ok(ExitCode::SUCCESS);
        }
        let text = match &self.parameters {
            Some(file) => {
                Some(std::fs::read_to_string(file).map_err(|error| Failure(format!("{}: {error}", file.display())))?)
            }
            None => None,
        };
        let told = |faults: ParameterFaults| Failure(faults.to_string());
        let mut parameters = Parameters::read(text.as_deref(), &self.scenario).map_err(told)?;
        parameters.seeds = self.seeds.unwrap_or(parameters.seeds);
        parameters.customers = self.customers.unwrap_or(parameters.customers);
        let parameters = parameters.check().map_err(told)?;
        let runs =
            parameters.seeds * Pitching::ALL.len() * if self.sweep { EFFECTS.len() * VISIBILITIES.len() } else { 1 };
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
                draw_sweep(file, &title, &cells).map_err(|error| Failure(error.to_string()))?;
            }
            print_sweep(&cells, self.json);
        } else {
            let comparison = compare(&parameters, || progress.inc(1));
            let calibration = recommendation_experiment(&parameters, 1, CALIBRATION_CUSTOMERS);
            progress.finish_and_clear();
            if let Some(file) = &self.plot {
                let title = format!("Four ways to pitch, scenario {}", self.scenario);
                draw_comparison(file, &title, &comparison).map_err(|error| Failure(error.to_string()))?;
            }
            print_comparison(&self.scenario, &parameters, &comparison, calibration, self.json);
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn print_comparison(
    scenario: &str,
    parameters: &Parameters,
    comparison: &Comparison,
    [without, with]: [f64; 2],
    json: bool,
) {
    if json {
        let arms = Pitching::ALL.into_iter().zip(&comparison.arms);
        let arms: Map<String, Value> = arms.map(|(arm, means)| (arm.as_str().to_owned(), means_json(means))).collect();
        let gains = Pitching::OTHERS.into_iter().zip(&comparison.gains);
        let gains: Map<String, Value> =
            gains.map(|(arm, means)| (arm.as_str().to_owned(), means_json(means))).collect();
        let told = json!({
            "scenario": scenario,
            "markets": parameters.seeds,
            "customers": parameters.customers,
            "weeks": parameters.weeks,
            "three_month_churn": {"without_recommendation": without, "with_recommendation": with},
            "arms": arms,
            "health_caps_less": gains,
        });
        say!("{told:#}");
        return;
    }
    say!(
        "{} markets of {} customers over {} weeks, scenario {scenario}; per customer, complaints and opt-outs per 100\n",
        parameters.seeds,
        parameters.customers,
        parameters.weeks
    );
    say!(
        "In this world one recommendation of a bigger plan to those who would benefit raises three-month churn from {:.1} % to \
         {:.1} % (field experiment: 6.4 % to 10.0 %).\n",
        without * 100.0,
        with * 100.0
    );
    let arms = Pitching::ALL.map(|arm| arm.as_str().replace('_', " "));
    let [no_cap, weekly, steady, health] = &arms;
    let mut table = Table::new(&["per customer", no_cap, weekly, steady, health]);
    for (place, measure) in Measure::ALL.into_iter().enumerate() {
        let mut row = vec![measure.as_str().replace('_', " ")];
        row.extend(comparison.arms.iter().map(|means| number(means[place].value, measure)));
        table.row(row);
    }
    say!("{table}");
    let mut table = Table::new(&["health caps less", no_cap, weekly, steady]);
    for (place, measure) in Measure::ALL.into_iter().enumerate() {
        let mut row = vec![measure.as_str().replace('_', " ")];
        row.extend(comparison.gains.iter().map(|means| interval(&means[place], measure)));
        table.row(row);
    }
    say!("{table}");
    for (other, name) in Pitching::OTHERS.into_iter().zip(&arms) {
        say!("{}", comparison.gain_over(other).map_or_else(String::new, |gain| verdict(&gain, name)));
    }
    say!("This follows from the assumptions and says nothing beyond them.");
}

fn verdict(gain: &Mean, name: &str) -> String {
    if gain.is_above_zero() {
        format!("Health caps gain lifetime value over {name}.")
    } else if gain.is_below_zero() {
        format!("Health caps lose lifetime value against {name}.")
    } else {
        format!("No difference in lifetime value from {name} is shown.")
    }
}

fn print_sweep(cells: &[Cell], json: bool) {
    if json {
        let cell = |cell: &Cell| {
            let gain =
                |other: Pitching| Some((other.as_str().to_owned(), mean_json(&cell.comparison.gain_over(other)?)));
            let gains: Map<String, Value> = Pitching::OTHERS.into_iter().filter_map(gain).collect();
            json!({
                "effect": cell.effect,
                "visibility": cell.visibility,
                "lifetime_value_gain": gains,
            })
        };
        say!("{:#}", Value::from(cells.iter().map(cell).collect::<Vec<_>>()));
        return;
    }
    say!(
        "What health caps gain in lifetime value per customer, with 95 % intervals; effect 1 is the field experiment\n"
    );
    let heads = ["effect of a pitch", "health sees", "over no cap", "", "over weekly cap", "", "over steady cap", ""];
    let mut table = Table::new(&heads);
    for cell in cells {
        let mut row = vec![cell.effect.to_string(), format!("{:.0} %", cell.visibility * 100.0)];
        for gain in Pitching::OTHERS.into_iter().filter_map(|other| cell.comparison.gain_over(other)) {
            row.push(interval(&gain, Measure::LifetimeValue));
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
    say!("{table}\nThis follows from the assumptions and says nothing beyond them.");
}

fn number(value: f64, measure: Measure) -> String {
    if measure == Measure::Churn { format!("{:.1} %", value * 100.0) } else { format!("{value:.2}") }
}

fn interval(mean: &Mean, measure: Measure) -> String {
    let scale = if measure == Measure::Churn { 100.0 } else { 1.0 };
    let [low, high] = mean.interval;
    format!("{:+.2} ({:+.2} to {:+.2})", mean.value * scale, low * scale, high * scale)
}

fn mean_json(mean: &Mean) -> Value {
    json!({"value": mean.value, "interval": mean.interval})
}

fn means_json(means: &[Mean]) -> Value {
    Value::Object(Measure::ALL.iter().zip(means).map(|(it, mean)| (it.as_str().to_owned(), mean_json(mean))).collect())
}
