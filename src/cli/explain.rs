//! `tactful explain`: the trace of a decision, for an agent who talks with the customer.

use std::process::ExitCode;

use clap::Args;
use serde_json::{Map, Value, json};

use super::client::{ServerAddress, rejected, time_text, words};
use super::offers::{caps_json, caps_table};
use super::output::outln;
use super::table::{Table, bar};
use crate::grpc::generated::tactful::v1 as wire;
use crate::grpc::generated::tactful::v1::explain_decision_request::About;
use crate::grpc::generated::tactful::v1::offer_service_client::OfferServiceClient;

/// Rejected candidates that are shown without --all.
const SHOWN_MAX: usize = 12;

/// Explain why a customer gets these offers, or none.
///
/// Explains what would be decided now, and reserves nothing; with --decision it explains a past decision from its record.
/// The last line is a sentence that can be read to the customer.
///
/// Examples:
///   tactful explain ada-local-line
///   tactful explain ada-local-line --product voice-mail
///   tactful explain tom-two-slot --up-sell
///   tactful explain ada-local-line --decision 8e3b1a52-0c7e-4a8e-9f0a-6f8d2f3c1b7d
#[derive(Debug, Args)]
#[command(verbatim_doc_comment)]
pub(super) struct ExplainCommand {
    /// Customer id
    customer: String,
    /// Explain only this product: why is it offered, or why not?
    #[arg(long, default_value = "", value_name = "PRODUCT", hide_default_value = true)]
    product: String,
    /// Id of a past decision
    #[arg(long, value_name = "UUID", conflicts_with_all = ["product", "up_sell", "context", "channel", "max"])]
    decision: Option<String>,
    /// Up-sell instead of cross-sell: better versions of what the customer owns
    #[arg(long)]
    up_sell: bool,
    /// Product in the basket or on the page (with --up-sell: owned product to upgrade); may be repeated
    #[arg(long, value_name = "PRODUCT")]
    context: Vec<String>,
    /// Channel through which the offer would reach the customer, such as web, email or call-centre
    #[arg(long, default_value = "", value_name = "CHANNEL", hide_default_value = true)]
    channel: String,
    /// Maximum number of offers
    #[arg(long, default_value_t = 3, value_name = "N")]
    max: i32,
    /// Show all candidates, not only those that came closest
    #[arg(long)]
    all: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    server: ServerAddress,
}

impl ExplainCommand {
    /// Queries the server and prints the answer.
    pub(super) async fn run(self) -> anyhow::Result<ExitCode> {
        let mut client = OfferServiceClient::new(self.server.connect().await?);
        let about = match self.decision {
            Some(decision) => About::DecisionId(decision),
            None => About::WhatIf(wire::WhatIf {
                kind: if self.up_sell { wire::OfferKind::UpSell } else { wire::OfferKind::CrossSell }.into(),
                product_id: self.product,
                product_ids: self.context,
                max_offers: self.max,
                channel: self.channel,
                ..wire::WhatIf::default()
            }),
        };
        let request = wire::ExplainDecisionRequest { customer_id: self.customer, about: Some(about) };
        let answer = client.explain_decision(request).await.map_err(|status| rejected(&status))?.into_inner();
        if self.json {
            outln!("{:#}", to_json(&answer));
        } else {
            print(&answer, if self.all { usize::MAX } else { SHOWN_MAX });
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn print(answer: &wire::ExplainDecisionResponse, shown_max: usize) {
    outln!("{}\n", answer.message);
    print_health(answer);
    outln!("{}", caps_table(&answer.caps, answer.next_eligible_time.as_ref()));
    let (offered, rejected): (Vec<_>, Vec<_>) = answer.candidates.iter().partition(|candidate| candidate.rank > 0);
    for candidate in offered {
        print_offered(candidate);
    }
    print_rejected(&rejected, shown_max);
    outln!("to the customer: \"{}\"", answer.customer_sentence);
}

fn print_health(answer: &wire::ExplainDecisionResponse) {
    let health = answer.relationship_health.clone().unwrap_or_default();
    let band = words(health.band().as_str_name(), "RELATIONSHIP_BAND_");
    outln!("relationship health {} {:.2} ({band})\n", bar(health.score), health.score);
    let mut table = Table::new(&["component", "", "value", "weight"]);
    for component in &health.components {
        let value = format!("{:.2}{}", component.value, if component.known { "" } else { " (prior)" });
        table.row(vec![words(&component.name, ""), bar(component.value), value, format!("{:.2}", component.weight)]);
    }
    outln!("{table}");
}

/// Prints an offered candidate with the factors of its score.
fn print_offered(candidate: &wire::ExplainedCandidate) {
    let name = candidate.title.clone() + &explicit_offer_text(candidate);
    outln!("{}. {name} ({}): {}", candidate.rank, candidate.product_id, candidate.text);
    let Some(factors) = &candidate.score_breakdown else { return };
    outln!(
        "   score {:.5} = propensity {:.5} x value {:.3} x context {:.2} x lever {:.2} - attention price {:.5}",
        candidate.score(),
        factors.propensity,
        factors.value,
        factors.context,
        factors.lever,
        factors.attention_price
    );
    outln!(
        "   value {:.3} = {:.2} for the seller ({:.2}{}) + {:.2} for the customer (need {:.2} x keep probability {:.2})\n",
        factors.value,
        factors.seller_share,
        factors.seller_value,
        if factors.margin_assumed { ", margin assumed" } else { "" },
        1.0 - factors.seller_share,
        factors.need,
        factors.keep_probability
    );
}

/// Name of the explicit offer through which a candidate was considered.
fn explicit_offer_text(candidate: &wire::ExplainedCandidate) -> String {
    if candidate.offer_id.is_empty() { String::new() } else { format!(", offer {}", candidate.offer_id) }
}

fn print_rejected(rejected: &[&wire::ExplainedCandidate], shown_max: usize) {
    if rejected.is_empty() {
        return;
    }
    let mut table = Table::new(&["not offered", "rejected at", "because", "would need"]);
    for candidate in rejected.iter().take(shown_max) {
        let step = words(candidate.step().as_str_name(), "DECISION_STEP_");
        table.row(vec![
            candidate.title.clone() + &explicit_offer_text(candidate),
            step,
            candidate.text.clone(),
            candidate.remedy.clone(),
        ]);
    }
    outln!("{table}");
    if rejected.len() > shown_max {
        outln!("and {} others; add --all to show them\n", rejected.len() - shown_max);
    }
}

fn to_json(answer: &wire::ExplainDecisionResponse) -> Value {
    let health = answer.relationship_health.clone().unwrap_or_default();
    let component = |component: &wire::RelationshipComponent| {
        json!({
            "name": component.name, "value": component.value, "weight": component.weight, "known": component.known,
        })
    };
    let withheld = answer.withheld.iter().map(|withheld| (withheld.reason.clone(), json!(withheld.count)));
    json!({
        "decision_id": answer.decision_id,
        "decision_time": time_text(answer.decision_time.as_ref()),
        "message": answer.message,
        "customer_sentence": answer.customer_sentence,
        "score": health.score,
        "band": words(health.band().as_str_name(), "RELATIONSHIP_BAND_"),
        "components": health.components.iter().map(component).collect::<Vec<_>>(),
        "caps": caps_json(&answer.caps),
        "candidates": answer.candidates.iter().map(candidate_json).collect::<Vec<_>>(),
        "withheld": withheld.collect::<Map<_, _>>(),
        "policy_version": answer.policy_version,
        "model_version": answer.model_version,
        "ranking_time": time_text(answer.ranking_time.as_ref()),
        "next_eligible_time": answer.next_eligible_time.as_ref().map(|at| time_text(Some(at))),
    })
}

fn candidate_json(candidate: &wire::ExplainedCandidate) -> Value {
    let factors = candidate.score_breakdown.as_ref().map(|factors| {
        json!({
            "propensity": factors.propensity,
            "propensity_basis": words(factors.propensity_basis().as_str_name(), "PROPENSITY_BASIS_"),
            "acceptance_lift": factors.acceptance_lift,
            "value": factors.value,
            "seller_value": factors.seller_value,
            "margin_assumed": factors.margin_assumed,
            "customer_gain": factors.customer_gain,
            "need": factors.need,
            "keep_probability": factors.keep_probability,
            "seller_share": factors.seller_share,
            "context": factors.context,
            "lever": factors.lever,
            "attention_price": factors.attention_price,
        })
    });
    json!({
        "product_id": candidate.product_id,
        "offer_id": candidate.offer_id,
        "title": candidate.title,
        "step": words(candidate.step().as_str_name(), "DECISION_STEP_"),
        "rank": (candidate.rank > 0).then_some(candidate.rank),
        "rule": candidate.rule,
        "other_product_id": candidate.other_product_id,
        "observed": candidate.observed,
        "threshold": candidate.threshold,
        "until": candidate.until.as_ref().map(|at| time_text(Some(at))),
        "text": candidate.text,
        "remedy": candidate.remedy,
        "propensity": candidate.propensity,
        "score": candidate.score,
        "factors": factors,
    })
}
