//! Evaluated rankings as a table, as JSON, and as JSON Lines to score again.

use std::fmt::Write as _;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;

use anyhow::Context;
use serde_json::{Map, Value, json};

use super::table::Table;
use crate::evaluation::method_rankings::MethodRankings;
use crate::evaluation::paired_difference::PairedDifference;
use crate::evaluation::ranking_metric::RankingMetric;
use crate::evaluation::ranking_report::RankingReport;

/// `coverage@10`: the share of rankable products that appear in at least one list.
const COVERAGE: &str = "coverage@10";

/// Metrics of every method.
pub(super) fn metrics_json(report: &RankingReport) -> Value {
    let of_method = |method: &MethodRankings| {
        let mean = |metric: &RankingMetric| (metric.name(), json!(method.mean(*metric, &report.queries).value));
        let mut metrics: Map<String, Value> = report.metrics.iter().map(mean).collect();
        if report.has_coverage {
            metrics.insert(COVERAGE.to_owned(), json!(method.coverage(report.candidates)));
        }
        Value::Object(metrics)
    };
    report.methods.iter().map(|method| (method.method.to_owned(), of_method(method))).collect::<Map<_, _>>().into()
}

/// Gain of tactful over every baseline.
pub(super) fn differences_json(report: &RankingReport) -> Value {
    let (tactful, baselines) = report.methods.split_first().expect("tactful comes first");
    let of_method = |other: &MethodRankings| {
        let gain = |metric: &RankingMetric| {
            let PairedDifference { value, low, high } = tactful.difference_from(other, *metric, &report.queries);
            (metric.name(), json!({ "difference": value, "low": low, "high": high }))
        };
        Value::Object(report.metrics.iter().map(gain).collect())
    };
    baselines.iter().map(|method| (method.method.to_owned(), of_method(method))).collect::<Map<_, _>>().into()
}

/// Table of the metrics with their standard errors, and of the gains of tactful with their intervals.
pub(super) fn text(report: &RankingReport) -> String {
    let names: Vec<String> = report.metrics.iter().map(|metric| metric.name()).collect();
    let gained = format!("{} difference to tactful (95 % interval)", names[0]);
    let mut headings = vec!["method"];
    headings.extend(names.iter().map(String::as_str));
    if report.has_coverage {
        headings.push(COVERAGE);
    }
    headings.push(&gained);
    let mut table = Table::new(&headings);
    let tactful = &report.methods[0];
    for method in &report.methods {
        let mut row = vec![method.method.to_owned()];
        for &metric in &report.metrics {
            let mean = method.mean(metric, &report.queries);
            row.push(format!("{:.4} +- {:.4}", mean.value, mean.standard_error));
        }
        if report.has_coverage {
            row.push(format!("{:.3}", method.coverage(report.candidates)));
        }
        if method.method != tactful.method {
            let PairedDifference { value, low, high } =
                tactful.difference_from(method, report.metrics[0], &report.queries);
            let verdict = if low > 0.0 || high < 0.0 { "" } else { ", no difference" };
            row.push(format!("{value:+.4} ({low:+.4} to {high:+.4}{verdict})"));
        }
        table.row(row);
    }
    let mut text = format!("{table}\n{} queries, {} candidate products\n", report.queries.len(), report.candidates);
    for note in &report.notes {
        let _ = writeln!(text, "note: {note}");
    }
    text
}

/// Writes the rankings as JSON Lines: task, index of the query in its file from 0, and ranked ids.
pub(super) fn write_rankings(path: &Path, reports: &[RankingReport]) -> anyhow::Result<()> {
    let name = || path.display().to_string();
    let mut file = BufWriter::new(File::create(path).with_context(name)?);
    for report in reports {
        for (query, ranked) in report.methods[0].lists.iter().enumerate() {
            let ids: Vec<&str> = ranked.iter().map(crate::domain::ids::ProductId::as_str).collect();
            let line = json!({ "task": report.task, "query": query, "ranked": ids });
            writeln!(file, "{line}").with_context(name)?;
        }
    }
    file.flush().with_context(name)
}
