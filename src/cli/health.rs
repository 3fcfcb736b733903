//! `tactful health`: relationship health of a customer, as tables.

use std::process::ExitCode;

use clap::Args;
use serde_json::{Map, Value, json};

use super::client::{ServerAddress, date_text, rejected, time_text, words};
use super::offers::{caps_json, caps_table};
use super::output::outln;
use super::table::{Table, bar};
use crate::grpc::generated::tactful::v1 as wire;
use crate::grpc::generated::tactful::v1::relationship_service_client::RelationshipServiceClient;

/// Show a customer's relationship health, its components, caps and holds.
///
/// Example:
///   tactful health cora-complaint
#[derive(Debug, Args)]
#[command(verbatim_doc_comment)]
pub(super) struct HealthCommand {
    /// Customer id
    customer: String,
    /// Print JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    server: ServerAddress,
}

impl HealthCommand {
    /// Queries the server and prints the answer.
    pub(super) async fn run(self) -> anyhow::Result<ExitCode> {
        let mut client = RelationshipServiceClient::new(self.server.connect().await?);
        let request = wire::GetRelationshipHealthRequest { customer_id: self.customer };
        let answer = client.get_relationship_health(request).await.map_err(|status| rejected(&status))?.into_inner();
        if self.json {
            outln!("{:#}", to_json(&answer));
        } else {
            print(&answer);
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn print(answer: &wire::GetRelationshipHealthResponse) {
    let health = answer.relationship_health.clone().unwrap_or_default();
    outln!("{}\n", answer.message);
    outln!(
        "relationship health {} {:.2} ({}), {:.0} % known\n",
        bar(health.score),
        health.score,
        words(health.band().as_str_name(), "RELATIONSHIP_BAND_"),
        health.coverage * 100.0
    );
    let mut table = Table::new(&["component", "", "value", "in 28 days", "weight", "half-life", "from"]);
    for component in &health.components {
        let value = format!("{:.2}{}", component.value, if component.known { "" } else { " (prior)" });
        table.row(vec![
            words(&component.name, ""),
            bar(component.value),
            value,
            format!("{:+.2}", component.trend),
            format!("{:.2}", component.weight),
            format!("{:.0} d", component.half_life_days),
            raw_inputs(component),
        ]);
    }
    outln!("{table}\n{}", caps_table(&answer.caps, answer.next_eligible_time.as_ref()));
    if !answer.what_if_effects.is_empty() {
        let mut table = Table::new(&["if", "relationship health", "band", "offers", "next eligible"]);
        for effect in &answer.what_if_effects {
            table.row(vec![
                effect.event.clone(),
                format!("{:.2} ({:+.2})", effect.score, effect.score - health.score),
                words(effect.band().as_str_name(), "RELATIONSHIP_BAND_"),
                effect.offers_cap.to_string(),
                if effect.offers_left > 0 { "now".to_owned() } else { date_text(effect.next_eligible_time.as_ref()) },
            ]);
        }
        outln!("{table}");
    }
    if !answer.holds.is_empty() {
        let mut table = Table::new(&["hold", "reason", "since", "until", "note"]);
        for hold in &answer.holds {
            table.row(vec![
                hold.hold_id.clone(),
                words(hold.reason().as_str_name(), "HOLD_REASON_"),
                date_text(hold.create_time.as_ref()),
                date_text(hold.expire_time.as_ref()),
                hold.note.clone(),
            ]);
        }
        outln!("{table}");
    }
}

fn raw_inputs(component: &wire::RelationshipComponent) -> String {
    let mut inputs = vec![format!("{:.3}", component.input)];
    inputs.extend(component.raw_inputs.iter().map(|input| format!("{} {:.0}", words(&input.name, ""), input.value)));
    inputs.join(", ")
}

fn to_json(answer: &wire::GetRelationshipHealthResponse) -> Value {
    let health = answer.relationship_health.clone().unwrap_or_default();
    let raw_input = |input: &wire::RawInput| (input.name.clone(), json!(input.value));
    let component = |component: &wire::RelationshipComponent| {
        json!({
            "name": component.name,
            "value": component.value,
            "weight": component.weight,
            "input": component.input,
            "half_life_days": component.half_life_days,
            "known": component.known,
            "trend": component.trend,
            "raw_inputs": component.raw_inputs.iter().map(raw_input).collect::<Map<_, _>>(),
        })
    };
    let effect = |effect: &wire::WhatIfEffect| {
        json!({
            "event": effect.event,
            "score": effect.score,
            "band": words(effect.band().as_str_name(), "RELATIONSHIP_BAND_"),
            "offers_cap": effect.offers_cap,
            "offers_left": effect.offers_left,
            "next_eligible_time": effect.next_eligible_time.as_ref().map(|at| time_text(Some(at))),
        })
    };
    let hold = |hold: &wire::Hold| {
        json!({
            "hold_id": hold.hold_id,
            "reason": words(hold.reason().as_str_name(), "HOLD_REASON_"),
            "note": hold.note,
            "create_time": hold.create_time.as_ref().map(|at| time_text(Some(at))),
            "expire_time": hold.expire_time.as_ref().map(|at| time_text(Some(at))),
            "derived": hold.derived,
        })
    };
    json!({
        "message": answer.message,
        "score": health.score,
        "band": words(health.band().as_str_name(), "RELATIONSHIP_BAND_"),
        "coverage": health.coverage,
        "components": health.components.iter().map(component).collect::<Vec<_>>(),
        "caps": caps_json(&answer.caps),
        "what_if_effects": answer.what_if_effects.iter().map(effect).collect::<Vec<_>>(),
        "holds": answer.holds.iter().map(hold).collect::<Vec<_>>(),
        "policy_version": answer.policy_version,
        "next_eligible_time": answer.next_eligible_time.as_ref().map(|at| time_text(Some(at))),
        "as_of": time_text(answer.as_of.as_ref()),
    })
}
