//! `tactful backfire`: effect of offers on customers, as tables.

use std::process::ExitCode;

use clap::Args;
use serde_json::{Value, json};

use super::client::{ServerAddress, rejected, time_text, words};
use super::output::outln;
use super::table::Table;
use crate::grpc::generated::tactful::v1 as wire;
use crate::grpc::generated::tactful::v1::relationship_service_client::RelationshipServiceClient;

/// Compare the control group with all other customers: did offers drive customers away?
///
/// The policy defines the control group with `control_group.share` and `control_group.salt`. Customers in it are offered
/// nothing. All customers are compared by that assignment over the same time, whether or not they were offered anything.
///
/// Example:
///   tactful backfire --days 90
#[derive(Debug, Args)]
#[command(verbatim_doc_comment)]
pub(super) struct BackfireCommand {
    /// Days for which each customer is observed
    #[arg(long, default_value_t = 90, value_parser = clap::value_parser!(u32).range(1..=1096))]
    days: u32,
    /// Print JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    server: ServerAddress,
}

impl BackfireCommand {
    /// Queries the server and prints the answer.
    pub(super) async fn run(self) -> anyhow::Result<ExitCode> {
        let mut client = RelationshipServiceClient::new(self.server.connect().await?);
        let follow_up = prost_types::Duration { seconds: i64::from(self.days) * 86_400, nanos: 0 };
        let request = wire::GetBackfireReportRequest { follow_up: Some(follow_up) };
        let report = client.get_backfire_report(request).await.map_err(|status| rejected(&status))?.into_inner();
        if self.json {
            outln!("{:#}", to_json(&report));
        } else {
            print(&report);
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn print(report: &wire::GetBackfireReportResponse) {
    outln!("{}\n", report.message);
    for group in report.all.iter().chain(&report.bands) {
        outln!(
            "{}: {} customers in the control group, {} others{}",
            name(group),
            group.control_customers,
            group.treatment_customers,
            if group.comparisons.is_empty() { ", too few to compare" } else { "" }
        );
        if group.comparisons.is_empty() {
            continue;
        }
        let mut table =
            Table::new(&["", "control", "treatment", "treatment - control", "95 % interval", "detectable from"]);
        for comparison in &group.comparisons {
            let is_share = comparison.measure != "revenue";
            let value = |value: f64| if is_share { format!("{:.1} %", value * 100.0) } else { format!("{value:.2}") };
            let signed = |value: f64| if is_share { format!("{:+.1}", value * 100.0) } else { format!("{value:+.2}") };
            table.row(vec![
                words(&comparison.measure, ""),
                value(comparison.control),
                value(comparison.treatment),
                signed(comparison.difference),
                format!("{} to {}", signed(comparison.low), signed(comparison.high)),
                signed(comparison.detectable).trim_start_matches('+').to_owned(),
            ]);
        }
        outln!("{table}");
    }
    if report.waiting_customers > 0 {
        outln!("{} more customers have not been observed for long enough.", report.waiting_customers);
    }
}

fn name(group: &wire::BackfireGroup) -> String {
    let band = group.band();
    if band == wire::RelationshipBand::Unspecified {
        return "all".to_owned();
    }
    words(band.as_str_name(), "RELATIONSHIP_BAND_")
}

fn to_json(report: &wire::GetBackfireReportResponse) -> Value {
    let comparison = |comparison: &wire::BackfireComparison| {
        json!({
            "measure": comparison.measure,
            "control": comparison.control,
            "treatment": comparison.treatment,
            "difference": comparison.difference,
            "interval": [comparison.low, comparison.high],
            "detectable": comparison.detectable,
        })
    };
    let group = |group: &wire::BackfireGroup| {
        json!({
            "band": name(group),
            "control_customers": group.control_customers,
            "treatment_customers": group.treatment_customers,
            "comparisons": group.comparisons.iter().map(comparison).collect::<Vec<_>>(),
        })
    };
    json!({
        "message": report.message,
        "experiment_id": report.experiment_id,
        "follow_up_days": report.follow_up.as_ref().map(|span| span.seconds / 86_400),
        "waiting_customers": report.waiting_customers,
        "as_of": time_text(report.as_of.as_ref()),
        "groups": report.all.iter().chain(&report.bands).map(group).collect::<Vec<_>>(),
    })
}
