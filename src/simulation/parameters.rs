//! Parameters of the market: every assumption as a number.

use serde::Deserialize;
use toml::{Table, Value};

/// Default parameters as TOML, with a comment on each.
pub const DEFAULT: &str = include_str!("market.toml");

/// Parameters of the market. The file documents the meaning and the source of each.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs, reason = "each is explained in market.toml, which is part of the program")]
pub struct Parameters {
    pub customers: usize,
    pub weeks: usize,
    pub seeds: usize,
    pub need_spread: f64,
    pub taste_spread: f64,
    pub sensitivity_sigma: f64,
    pub tenure_weeks: f64,
    pub purchase_shape: f64,
    pub purchase_scale_weeks: f64,
    pub purchase_value: f64,
    pub incident_rate: f64,
    pub incident_complaint_share: f64,
    pub incident_sensitivity: f64,
    pub churn_rate: f64,
    pub irritation_effect: f64,
    pub irritation_half_life_days: f64,
    pub up_sell_irritation: f64,
    pub cross_sell_irritation: f64,
    pub friction_amplifies: f64,
    pub friction_effect: f64,
    pub friction_half_life_days: f64,
    pub complaint_rate: f64,
    pub opt_out_rate: f64,
    pub opportunity_rate: f64,
    pub up_sell_share: f64,
    pub up_sell_acceptance: f64,
    pub cross_sell_acceptance: f64,
    pub fatigue: f64,
    pub fatigue_half_life_days: f64,
    pub rejection_share: f64,
    pub rejection_per_irritation: f64,
    pub dismissal_share: f64,
    pub estimate_sigma: f64,
    pub keep_midpoint: f64,
    pub keep_steepness: f64,
    pub regret_irritation: f64,
    pub kept_effect: f64,
    pub plan_margins: [f64; 3],
    pub add_on_margin: f64,
    pub purchase_margin_share: f64,
    pub discount_yearly: f64,
    pub residual_months: f64,
}

/// Error returned for invalid parameters, with every fault.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", .0.join("\n       "))]
pub struct ParameterFaults(pub Vec<String>);

/// Name of the scenario without changes.
pub const DEFAULT_SCENARIO: &str = "default";

impl Parameters {
    /// Reads parameters: the defaults, overridden by the text, overridden by the scenario of this name. A scenario that the
    /// text does not define is taken from the default file.
    pub fn read(text: Option<&str>, scenario: &str) -> Result<Self, ParameterFaults> {
        let fault = |problem: String| ParameterFaults(vec![problem]);
        let mut merged: Table = DEFAULT.parse().map_err(|error: toml::de::Error| fault(error.to_string()))?;
        let mut scenarios = take_scenarios(&mut merged)?;
        if let Some(text) = text {
            let mut written: Table = text.parse().map_err(|error: toml::de::Error| fault(error.to_string()))?;
            scenarios.extend(take_scenarios(&mut written)?);
            merged.extend(written);
        }
        if scenario != DEFAULT_SCENARIO {
            let names = || scenarios.keys().cloned().collect::<Vec<_>>().join(", ");
            match scenarios.get(scenario) {
                Some(Value::Table(changes)) => merged.extend(changes.clone()),
                Some(_) => return Err(fault(format!("scenario.{scenario} must be a table"))),
                None => {
                    return Err(fault(format!("there is no scenario {scenario:?}; there are default, {}", names())));
                }
            }
        }
        let parameters: Self =
            Value::Table(merged).try_into().map_err(|error: toml::de::Error| fault(error.to_string()))?;
        parameters.check()
    }

    /// Checks that every parameter is within its range.
    pub fn check(self) -> Result<Self, ParameterFaults> {
        let faults = self.faults();
        if faults.is_empty() { Ok(self) } else { Err(ParameterFaults(faults)) }
    }

    fn faults(&self) -> Vec<String> {
        let counts = [("customers", self.customers, 100_000), ("weeks", self.weeks, 1040), ("seeds", self.seeds, 1000)];
        let counts = counts.into_iter().filter(|(_, count, most)| !(1..=*most).contains(count));
        let counts = counts.map(|(name, count, most)| format!("{name} must be 1 to {most}, not {count}"));
        let within = |least: f64, most: f64, named: Vec<(&'static str, f64)>| {
            // Written so that NaN is rejected, too.
            let outside = named.into_iter().filter(move |(_, number)| !(*number >= least && *number <= most));
            outside.map(move |(name, number)| format!("{name} must be {least} to {most}, not {number}"))
        };
        let probabilities = within(
            0.0,
            1.0,
            vec![
                ("need_spread", self.need_spread),
                ("taste_spread", self.taste_spread),
                ("incident_rate", self.incident_rate),
                ("incident_complaint_share", self.incident_complaint_share),
                ("churn_rate", self.churn_rate),
                ("complaint_rate", self.complaint_rate),
                ("opt_out_rate", self.opt_out_rate),
                ("opportunity_rate", self.opportunity_rate),
                ("up_sell_share", self.up_sell_share),
                ("up_sell_acceptance", self.up_sell_acceptance),
                ("cross_sell_acceptance", self.cross_sell_acceptance),
                ("rejection_share", self.rejection_share),
                ("rejection_per_irritation", self.rejection_per_irritation),
                ("dismissal_share", self.dismissal_share),
                ("kept_effect", self.kept_effect),
                ("purchase_margin_share", self.purchase_margin_share),
                ("discount_yearly", self.discount_yearly),
            ],
        );
        let strengths = within(
            0.0,
            100.0,
            vec![
                ("sensitivity_sigma", self.sensitivity_sigma),
                ("incident_sensitivity", self.incident_sensitivity),
                ("irritation_effect", self.irritation_effect),
                ("up_sell_irritation", self.up_sell_irritation),
                ("cross_sell_irritation", self.cross_sell_irritation),
                ("friction_amplifies", self.friction_amplifies),
                ("friction_effect", self.friction_effect),
                ("fatigue", self.fatigue),
                ("estimate_sigma", self.estimate_sigma),
                ("keep_midpoint", self.keep_midpoint),
                ("keep_steepness", self.keep_steepness),
                ("regret_irritation", self.regret_irritation),
            ],
        );
        let [basic, plus, most] = self.plan_margins;
        let amounts = within(
            0.0,
            1e6,
            vec![
                ("purchase_value", self.purchase_value),
                ("plan_margins[0]", basic),
                ("plan_margins[1]", plus),
                ("plan_margins[2]", most),
                ("add_on_margin", self.add_on_margin),
                ("residual_months", self.residual_months),
            ],
        );
        let above_zero = within(
            0.01,
            10_000.0,
            vec![
                ("tenure_weeks", self.tenure_weeks),
                ("purchase_shape", self.purchase_shape),
                ("purchase_scale_weeks", self.purchase_scale_weeks),
                ("irritation_half_life_days", self.irritation_half_life_days),
                ("friction_half_life_days", self.friction_half_life_days),
                ("fatigue_half_life_days", self.fatigue_half_life_days),
            ],
        );
        counts.chain(probabilities).chain(strengths).chain(amounts).chain(above_zero).collect()
    }
}

fn take_scenarios(table: &mut Table) -> Result<Table, ParameterFaults> {
    match table.remove("scenario") {
        None => Ok(Table::new()),
        Some(Value::Table(scenarios)) => Ok(scenarios),
        Some(_) => Err(ParameterFaults(vec!["scenario must be a table of tables".to_owned()])),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_scenario_of_the_default_file_reads() {
        let default = Parameters::read(None, "default").expect("reads");
        for scenario in ["health_blind", "insensitive"] {
            assert_ne!(Parameters::read(None, scenario).expect("reads"), default);
        }
        let changed = Parameters::read(Some("weeks = 5\n[scenario.mine]\nseeds = 3"), "mine").expect("reads");
        assert_eq!((changed.weeks, changed.seeds, changed.customers), (5, 3, default.customers));
    }

    #[test]
    fn every_fault_is_reported_at_once() {
        let text = "weeks = 0\nchurn_rate = 2.0\nfatigue = nan\npurchase_shape = 0.0";
        let ParameterFaults(faults) = Parameters::read(Some(text), "default").expect_err("faults");
        assert_eq!(faults.len(), 4, "{faults:?}");
        for (text, scenario) in
            [("nonsense = 1", "default"), ("weeks = 'x'", "default"), ("", "no-such"), ("[", "default")]
        {
            assert!(Parameters::read(Some(text), scenario).is_err(), "{text:?}");
        }
    }
}
