//! `tactful simulate policy`: effect that another policy would have had, as tables.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use serde_json::{Value, json};

use super::client::{ServerAddress, rejected, words};
use super::output::outln;
use super::table::Table;
use crate::grpc::generated::tactful::v1 as wire;
use crate::grpc::generated::tactful::v1::policy_service_client::PolicyServiceClient;
use crate::grpc::generated::tactful::v1::simulate_policy_request::Source;

/// Replay logged decisions under another policy and under the active one.
///
/// Example:
///   tactful simulate policy gentle.toml --days 28
///   tactful simulate policy default-1
#[derive(Debug, Args)]
#[command(verbatim_doc_comment)]
pub(super) struct SimulatePolicy {
    /// Policy file, or name of a stored version
    policy: String,
    /// Only decisions of the last DAYS days
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=1096))]
    days: Option<u32>,
    /// Print JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    server: ServerAddress,
}

impl SimulatePolicy {
    /// Queries the server and prints the answer.
    pub(super) async fn run(self) -> anyhow::Result<ExitCode> {
        let source = if Path::new(&self.policy).is_file() {
            Source::Toml(std::fs::read_to_string(PathBuf::from(&self.policy))?)
        } else {
            Source::Version(self.policy.clone())
        };
        let since = self.days.map(|days| prost_types::Timestamp {
            seconds: jiff::Timestamp::now().as_second() - i64::from(days) * 86_400,
            nanos: 0,
        });
        let mut client = PolicyServiceClient::new(self.server.connect().await?);
        let request = wire::SimulatePolicyRequest { source: Some(source), since };
        let answer = client.simulate_policy(request).await.map_err(|status| rejected(&status))?.into_inner();
        if self.json {
            outln!("{:#}", to_json(&answer));
        } else {
            print(&answer);
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn name(change: &wire::PolicyChange) -> String {
    let band = change.band();
    if band == wire::RelationshipBand::Unspecified {
        return "all".to_owned();
    }
    words(band.as_str_name(), "RELATIONSHIP_BAND_")
}

fn per_customer(change: Option<&wire::MeanChange>) -> String {
    change.map_or_else(|| "-".to_owned(), |it| format!("{:+.3} ({:+.3} to {:+.3})", it.value, it.low, it.high))
}

fn print(answer: &wire::SimulatePolicyResponse) {
    outln!("{} instead of {}\n", answer.version, answer.version_in_force);
    let heads = [
        "band",
        "decisions",
        "customers",
        "offers",
        "simulated",
        "change per customer",
        "change of expected value per customer",
    ];
    let mut table = Table::new(&heads);
    for change in answer.all.iter().chain(&answer.bands) {
        table.row(vec![
            name(change),
            change.decisions.to_string(),
            change.customers.to_string(),
            change.offers_in_force.to_string(),
            change.offers_simulated.to_string(),
            per_customer(change.offers_change.as_ref()),
            per_customer(change.expected_value_change.as_ref()),
        ]);
    }
    outln!("{table}");
    let mut table = Table::new(&["withheld because", "active policy", "simulated"]);
    for withheld in answer.all.iter().flat_map(|all| &all.withheld) {
        table.row(vec![words(&withheld.reason, ""), withheld.in_force.to_string(), withheld.simulated.to_string()]);
    }
    outln!("{table}");
    let print_customers = |count: u64, ids: &[String], predicate: &str| {
        let named = if ids.is_empty() { String::new() } else { format!(": {}", ids.join(", ")) };
        outln!("{count} customers {predicate}{named}{}", if count > ids.len() as u64 { ", ..." } else { "" });
    };
    print_customers(answer.losing_customers, &answer.losing_customer_ids, "who got an offer would get none");
    print_customers(answer.gaining_customers, &answer.gaining_customer_ids, "who got none would get one");
    outln!(
        "\nA replay under the active policy reproduces {:.0} % of the recorded offers.{}",
        answer.fidelity * 100.0,
        if answer.left_out_decisions > 0 {
            format!(" {} decisions were skipped.", answer.left_out_decisions)
        } else {
            String::new()
        }
    );
}

fn to_json(answer: &wire::SimulatePolicyResponse) -> Value {
    let mean =
        |change: Option<&wire::MeanChange>| change.map(|it| json!({"value": it.value, "interval": [it.low, it.high]}));
    let withheld =
        |it: &wire::WithheldChange| json!({"reason": it.reason, "in_force": it.in_force, "simulated": it.simulated});
    let change = |change: &wire::PolicyChange| {
        json!({
            "band": name(change),
            "decisions": change.decisions,
            "customers": change.customers,
            "offers": {"in_force": change.offers_in_force, "simulated": change.offers_simulated},
            "expected_value": {"in_force": change.expected_value_in_force, "simulated": change.expected_value_simulated},
            "offers_per_customer": mean(change.offers_change.as_ref()),
            "expected_value_per_customer": mean(change.expected_value_change.as_ref()),
            "withheld": change.withheld.iter().map(withheld).collect::<Vec<_>>(),
        })
    };
    json!({
        "version_in_force": answer.version_in_force,
        "version": answer.version,
        "groups": answer.all.iter().chain(&answer.bands).map(change).collect::<Vec<_>>(),
        "losing_customers": {"count": answer.losing_customers, "first": answer.losing_customer_ids},
        "gaining_customers": {"count": answer.gaining_customers, "first": answer.gaining_customer_ids},
        "fidelity": answer.fidelity,
        "left_out_decisions": answer.left_out_decisions,
    })
}
