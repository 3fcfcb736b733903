//! Report of a run as text and as JSON.

use std::fmt;
use std::time::Duration;

use serde_json::{Value, json};

use super::load::{LoadMeasurement, Mode, Scenario};
use super::shop::ShopSize;

/// All measurements of a run.
pub struct Report {
    shop: ShopSize,
    pub rows: Vec<Row>,
    trainings: Vec<Training>,
}

/// A scenario without and during a training.
struct Training {
    scenario: Scenario,
    baseline: Metrics,
    during: Metrics,
    duration: Duration,
}

/// Measurements of both servers in one scenario.
pub struct Row {
    scenario: Scenario,
    answer_bytes: usize,
    tactful: Metrics,
    empty: Metrics,
    /// Share of calls that granted a new offer, for RESERVE.
    pub new_grants: Option<f64>,
}

/// Metrics of one server in one scenario.
#[derive(Debug, Clone, Copy)]
struct Metrics {
    per_second: f64,
    p50_us: f64,
    p99_us: f64,
    cpu_us: f64,
    /// Share of the calls that were refused.
    refused: f64,
}

impl Metrics {
    fn of(measurement: &LoadMeasurement) -> Self {
        let calls = measurement.calls as f64;
        Self {
            per_second: calls / measurement.wall.as_secs_f64(),
            p50_us: measurement.latencies.value_at_quantile(0.5) as f64,
            p99_us: measurement.latencies.value_at_quantile(0.99) as f64,
            cpu_us: measurement.cpu.as_secs_f64() * 1e6 / calls,
            refused: measurement.refused as f64 / (measurement.calls + measurement.refused) as f64,
        }
    }

    /// Divides each metric by the other's; the share of refused calls stays its own.
    fn over(self, other: Self) -> Self {
        Self {
            per_second: self.per_second / other.per_second,
            p50_us: self.p50_us / other.p50_us,
            p99_us: self.p99_us / other.p99_us,
            cpu_us: self.cpu_us / other.cpu_us,
            refused: self.refused,
        }
    }

    fn json(self) -> Value {
        let Self { per_second, p50_us, p99_us, cpu_us, refused } = self;
        json!({"per_second": per_second, "p50_us": p50_us, "p99_us": p99_us, "cpu_us": cpu_us, "refused": refused})
    }
}

impl Report {
    pub fn new(shop: ShopSize) -> Self {
        Self { shop, rows: Vec::new(), trainings: Vec::new() }
    }

    pub fn add_training(
        &mut self,
        scenario: Scenario,
        baseline: &LoadMeasurement,
        training: &LoadMeasurement,
        duration: Duration,
    ) {
        let (baseline, during) = (Metrics::of(baseline), Metrics::of(training));
        self.trainings.push(Training { scenario, baseline, during, duration });
    }

    pub fn add(&mut self, scenario: Scenario, answer_bytes: usize, tactful: &LoadMeasurement, empty: &LoadMeasurement) {
        let new_grants = (scenario.mode == Mode::Reserve).then(|| tactful.granting as f64 / tactful.calls as f64);
        let (tactful, empty) = (Metrics::of(tactful), Metrics::of(empty));
        self.rows.push(Row { scenario, answer_bytes, tactful, empty, new_grants });
    }

    pub fn json(&self) -> Value {
        let rows = self.rows.iter().map(|row| {
            let ratio = row.tactful.over(row.empty).json();
            json!({
                "mode": row.scenario.mode.to_string(),
                "in_flight": row.scenario.in_flight,
                "answer_bytes": row.answer_bytes,
                "tactful": row.tactful.json(),
                "empty": row.empty.json(),
                "ratio": {
                    "per_second": ratio["per_second"], "p50": ratio["p50_us"], "p99": ratio["p99_us"],
                    "cpu": ratio["cpu_us"],
                },
                "new_grants": row.new_grants,
            })
        });
        let trainings = self.trainings.iter().map(|it| {
            json!({
                "in_flight": it.scenario.in_flight,
                "baseline": it.baseline.json(),
                "training": it.during.json(),
                "p99_ratio": it.during.p99_us / it.baseline.p99_us,
                "training_seconds": it.duration.as_secs_f64(),
            })
        });
        json!({
            "cores": cores(),
            "customers": self.shop.customers,
            "products": self.shop.products,
            "cells": rows.collect::<Vec<_>>(),
            "while_training": trainings.collect::<Vec<_>>(),
        })
    }
}

fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, std::num::NonZero::get)
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ShopSize { customers, products, .. } = self.shop;
        writeln!(f, "CrossSell, {customers} customers, {products} products, {} cores shared with the client", cores())?;
        writeln!(
            f,
            "\n{:<8} {:>9}  {:<8} {:>9} {:>9} {:>9} {:>9}",
            "mode", "in flight", "server", "req/s", "p50", "p99", "CPU/req"
        )?;
        for row in &self.rows {
            let ratio = row.tactful.over(row.empty);
            for (server, metrics) in [("tactful", row.tactful), ("empty", row.empty)] {
                let Metrics { per_second, p50_us, p99_us, cpu_us, refused } = metrics;
                write!(f, "{:<8} {:>9}  {server:<8}", row.scenario.mode, row.scenario.in_flight)?;
                write!(f, " {per_second:>9.0} {p50_us:>6.0} us {p99_us:>6.0} us {cpu_us:>6.0} us")?;
                writeln!(f, "{}", Refusals(refused))?;
            }
            write!(f, "{:<8} {:>9}  {:<8}", "", "", "ratio")?;
            write!(f, " {:>9.2} {:>9.2} {:>9.2} {:>9.2}", ratio.per_second, ratio.p50_us, ratio.p99_us, ratio.cpu_us)?;
            match row.new_grants {
                Some(share) => writeln!(f, "  {:.1} % new grants", share * 100.0)?,
                None => writeln!(f)?,
            }
        }
        for Training { scenario, baseline, during, duration } in &self.trainings {
            writeln!(
                f,
                "{} {:>9}  during a training of {:.0} s: p50 {:.0} us, p99 {:.0} us{}; without {:.0} us, {:.0} us (p99 x {:.2})",
                scenario.mode,
                scenario.in_flight,
                duration.as_secs_f64(),
                during.p50_us,
                during.p99_us,
                Refusals(during.refused),
                baseline.p50_us,
                baseline.p99_us,
                during.p99_us / baseline.p99_us
            )?;
        }
        Ok(())
    }
}

/// Share of refused calls, where there are any.
struct Refusals(f64);

impl fmt::Display for Refusals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(share) = *self;
        if share > 0.0 { write!(f, ", {:.1} % refused", share * 100.0) } else { Ok(()) }
    }
}
