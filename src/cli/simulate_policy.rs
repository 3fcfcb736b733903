//! `tactful simulate policy`: what another policy would have done, for a person to read.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use serde_json::{Value, json};

use super::client::{ServerAddress, refused, words};
use super::failure::Failure;
use super::say::say;
use super::table::Table;
use crate::grpc::generated::tactful::v1 as wire;
use crate::grpc::generated::tactful::v1::policy_service_client::PolicyServiceClient;
use crate::grpc::generated::tactful::v1::simulate_policy_request::Source;

/// What would another policy have done? Replay logged decisions under it and under the policy in force.
///
/// Example:
///   tactful simulate policy gentle.toml --days 28
///   tactful simulate policy default-1
#[derive(Debug, Args)]
#[command(verbatim_doc_comment)]
pub struct SimulatePolicy {
    /// A file, or the name of a stored version
    policy: String,
    /// Only the decisions of so many days
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=1096))]
    days: Option<u32>,
    /// Print JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    server: ServerAddress,
}

impl SimulatePolicy {
    /// Asks and shows.
    pub async fn run(self) -> Result<ExitCode, Failure> {
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
        let answer = client.simulate_policy(request).await.map_err(|status| refused(&status))?.into_inner();
        if self.json {
            say!("{:#}", to_json(&answer));
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
    say!("{} in place of {}\n", answer.version, answer.version_in_force);
    let heads = ["band", "decisions", "customers", "offers", "would be", "per customer", "expected value per customer"];
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
    say!("{table}");
    let mut table = Table::new(&["withheld because", "now", "would be"]);
    for withheld in answer.all.iter().flat_map(|all| &all.withheld) {
        table.row(vec![words(&withheld.reason, ""), withheld.in_force.to_string(), withheld.simulated.to_string()]);
    }
    say!("{table}");
    let who = |count: u64, ids: &[String], what: &str| {
        let named = if ids.is_empty() { String::new() } else { format!(": {}", ids.join(", ")) };
        say!("{count} customers {what}{named}{}", if count > ids.len() as u64 { ", .." } else { "" });
    };
    who(answer.losing_customers, &answer.losing_customer_ids, "who got an offer would get none");
    who(answer.gaining_customers, &answer.gaining_customer_ids, "who got none would get one");
    say!(
        "\nA replay under the policy in force makes {:.0} % of the recorded offers again.{}",
        answer.fidelity * 100.0,
        if answer.left_out_decisions > 0 {
            format!(" {} decisions were left out.", answer.left_out_decisions)
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
