//! The figures, for people and for machines.

use std::fmt;
use std::time::Duration;

use serde_json::{Value, json};

use super::load::{Cell, Measured, Mode};
use super::shop::ShopSize;

/// Everything that was measured.
pub struct Report {
    shop: ShopSize,
    pub rows: Vec<Row>,
    trainings: Vec<Training>,
}

/// A cell without and with a training beside it.
struct Training {
    cell: Cell,
    quiet: Figures,
    beside: Figures,
    took: Duration,
}

/// One cell.
pub struct Row {
    cell: Cell,
    answer_bytes: usize,
    tactful: Figures,
    empty: Figures,
    /// The share of calls that granted something new; of RESERVE only.
    pub new_grants: Option<f64>,
}

/// What one server did in a cell.
#[derive(Debug, Clone, Copy)]
struct Figures {
    per_second: f64,
    p50_us: f64,
    p99_us: f64,
    cpu_us: f64,
}

impl Figures {
    fn of(measured: &Measured) -> Self {
        let calls = measured.calls as f64;
        Self {
            per_second: calls / measured.wall.as_secs_f64(),
            p50_us: measured.latencies.value_at_quantile(0.5) as f64,
            p99_us: measured.latencies.value_at_quantile(0.99) as f64,
            cpu_us: measured.cpu.as_secs_f64() * 1e6 / calls,
        }
    }

    /// Each figure as a multiple of the other's.
    fn over(self, other: Self) -> Self {
        Self {
            per_second: self.per_second / other.per_second,
            p50_us: self.p50_us / other.p50_us,
            p99_us: self.p99_us / other.p99_us,
            cpu_us: self.cpu_us / other.cpu_us,
        }
    }

    fn json(self) -> Value {
        json!({"per_second": self.per_second, "p50_us": self.p50_us, "p99_us": self.p99_us, "cpu_us": self.cpu_us})
    }
}

impl Report {
    pub fn new(shop: ShopSize) -> Self {
        Self { shop, rows: Vec::new(), trainings: Vec::new() }
    }

    pub fn add_training(&mut self, cell: Cell, quiet: &Measured, training: &Measured, took: Duration) {
        let (quiet, beside) = (Figures::of(quiet), Figures::of(training));
        self.trainings.push(Training { cell, quiet, beside, took });
    }

    pub fn add(&mut self, cell: Cell, answer_bytes: usize, tactful: &Measured, empty: &Measured) {
        let new_grants = (cell.mode == Mode::Reserve).then(|| tactful.granting as f64 / tactful.calls as f64);
        let (tactful, empty) = (Figures::of(tactful), Figures::of(empty));
        self.rows.push(Row { cell, answer_bytes, tactful, empty, new_grants });
    }

    pub fn json(&self) -> Value {
        let rows = self.rows.iter().map(|row| {
            let ratio = row.tactful.over(row.empty).json();
            json!({
                "mode": row.cell.mode.to_string(),
                "in_flight": row.cell.in_flight,
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
                "in_flight": it.cell.in_flight,
                "quiet": it.quiet.json(),
                "training": it.beside.json(),
                "p99_ratio": it.beside.p99_us / it.quiet.p99_us,
                "training_seconds": it.took.as_secs_f64(),
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
            for (server, figures) in [("tactful", row.tactful), ("empty", row.empty)] {
                let Figures { per_second, p50_us, p99_us, cpu_us } = figures;
                write!(f, "{:<8} {:>9}  {server:<8}", row.cell.mode, row.cell.in_flight)?;
                writeln!(f, " {per_second:>9.0} {p50_us:>6.0} us {p99_us:>6.0} us {cpu_us:>6.0} us")?;
            }
            write!(f, "{:<8} {:>9}  {:<8}", "", "", "ratio")?;
            write!(f, " {:>9.2} {:>9.2} {:>9.2} {:>9.2}", ratio.per_second, ratio.p50_us, ratio.p99_us, ratio.cpu_us)?;
            match row.new_grants {
                Some(share) => writeln!(f, "  {:.1} % new grants", share * 100.0)?,
                None => writeln!(f)?,
            }
        }
        for Training { cell, quiet, beside, took } in &self.trainings {
            writeln!(
                f,
                "{} {:>9}  while training for {:.0} s: p50 {:.0} us, p99 {:.0} us; quiet {:.0} us, {:.0} us (p99 x {:.2})",
                cell.mode,
                cell.in_flight,
                took.as_secs_f64(),
                beside.p50_us,
                beside.p99_us,
                quiet.p50_us,
                quiet.p99_us,
                beside.p99_us / quiet.p99_us
            )?;
        }
        Ok(())
    }
}
