//! `tactful offers`: what the server would offer a customer, for a person to read.

use std::process::ExitCode;

use clap::Args;
use serde_json::{Value, json};

use super::client::{ServerAddress, money_text, refused, time_text, words};
use super::failure::Failure;
use super::say::say;
use super::table::Table;
use crate::grpc::generated::tactful::v1 as wire;
use crate::grpc::generated::tactful::v1::offer_service_client::OfferServiceClient;

/// Show what a customer would be offered, and why.
///
/// Previews by default: nothing counts against the customer's caps. With --reserve the offers count from now on.
///
/// Examples:
///   tactful offers ada-local-line
///   tactful offers tom-two-slot --up-sell
///   tactful offers ada-local-line --context toaster-two-slot --max 5 --json
#[derive(Debug, Args)]
#[command(verbatim_doc_comment)]
pub struct Offers {
    /// Whom
    customer: String,
    /// Ask for better versions of what the customer has, not for what goes with it
    #[arg(long)]
    up_sell: bool,
    /// The basket or page (with --up-sell: the owned products to upgrade); may be given several times
    #[arg(long, value_name = "PRODUCT")]
    context: Vec<String>,
    /// The longest slate
    #[arg(long, default_value_t = 3, value_name = "N")]
    max: i32,
    /// How the offer reaches the customer, such as web, email or call-centre
    #[arg(long, default_value = "", value_name = "CHANNEL")]
    channel: String,
    /// Only products priced in this currency
    #[arg(long, default_value = "", value_name = "CODE")]
    currency: String,
    /// Let the offers count against the customer's caps
    #[arg(long)]
    reserve: bool,
    /// A UUID that makes a --reserve safe to repeat
    #[arg(long, default_value = "", value_name = "UUID", requires = "reserve")]
    request_id: String,
    /// Print JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    server: ServerAddress,
}

/// What both answers have in common, for showing.
struct Shown {
    decision_id: String,
    message: String,
    health: wire::RelationshipHealth,
    caps: Vec<wire::Cap>,
    withheld: Vec<wire::Withheld>,
    offers: Vec<ShownOffer>,
    policy_version: String,
    model_version: u64,
    replayed: bool,
}

struct ShownOffer {
    offer_id: String,
    product_id: String,
    title: String,
    price: String,
    price_step: Option<String>,
    score: f64,
    reasons: Vec<String>,
    goes_with: Vec<String>,
    replaces: Option<String>,
    repeated: bool,
}

impl Offers {
    /// Asks and shows.
    pub async fn run(self) -> Result<ExitCode, Failure> {
        let mut client = OfferServiceClient::new(self.server.connect().await?);
        let mode = if self.reserve { wire::ServingMode::Reserve } else { wire::ServingMode::Preview };
        let shown = if self.up_sell {
            let request = wire::UpSellRequest {
                customer_id: self.customer.clone(),
                owned_product_ids: self.context.clone(),
                max_offers: self.max,
                mode: mode.into(),
                request_id: self.request_id.clone(),
                channel: self.channel.clone(),
                currency_code: self.currency.clone(),
                ..wire::UpSellRequest::default()
            };
            up_sell(client.up_sell(request).await.map_err(|status| refused(&status))?.into_inner())
        } else {
            let request = wire::CrossSellRequest {
                customer_id: self.customer.clone(),
                context_product_ids: self.context.clone(),
                max_offers: self.max,
                mode: mode.into(),
                request_id: self.request_id.clone(),
                channel: self.channel.clone(),
                currency_code: self.currency.clone(),
                ..wire::CrossSellRequest::default()
            };
            cross_sell(client.cross_sell(request).await.map_err(|status| refused(&status))?.into_inner())
        };
        if self.json {
            say!("{:#}", to_json(&shown));
        } else {
            print(&shown);
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn print(shown: &Shown) {
    say!("{}", shown.message);
    if !shown.offers.is_empty() {
        let mut table = Table::new(&["#", "product", "title", "price", "step", "score", "why"]);
        for (rank, offer) in (1..).zip(&shown.offers) {
            table.row(vec![
                rank_text(rank, offer.repeated),
                offer.product_id.clone(),
                offer.title.clone(),
                offer.price.clone(),
                offer.price_step.clone().unwrap_or_else(|| "-".to_owned()),
                format!("{:.4}", offer.score),
                offer.reasons.join("; "),
            ]);
        }
        say!("\n{table}");
    }
    say!("{}", caps_table(&shown.caps));
    if !shown.withheld.is_empty() {
        let withheld: Vec<String> = shown
            .withheld
            .iter()
            .map(|withheld| format!("{} {}", withheld.count, words(&withheld.reason, "")))
            .collect();
        say!("withheld: {}", withheld.join(", "));
    }
    let band = words(shown.health.band().as_str_name(), "RELATIONSHIP_BAND_");
    say!(
        "relationship health {:.2} ({band}); policy {}, model {}",
        shown.health.score,
        shown.policy_version,
        shown.model_version
    );
    if !shown.decision_id.is_empty() {
        say!("decision {}{}", shown.decision_id, if shown.replayed { " (replayed)" } else { "" });
    }
}

/// A star marks an offer that was open from an earlier answer.
fn rank_text(rank: usize, repeated: bool) -> String {
    if repeated { format!("{rank}*") } else { rank.to_string() }
}

/// Every cap with what is left of it.
pub fn caps_table(caps: &[wire::Cap]) -> Table {
    let mut table = Table::new(&["cap", "limit", "used", "left", "next eligible"]);
    for cap in caps {
        let kind = words(cap.kind().as_str_name(), "CAP_KIND_");
        let name = hold_text(cap).map_or_else(|| kind.clone(), |hold| format!("{kind}: {hold}"));
        table.row(vec![
            name,
            cap.limit.to_string(),
            cap.used.to_string(),
            cap.remaining.to_string(),
            time_text(cap.next_eligible_time.as_ref()),
        ]);
    }
    table
}

/// The reason of the hold behind a cap, when a hold is behind it.
fn hold_text(cap: &wire::Cap) -> Option<String> {
    let reason = cap.hold_reason();
    (reason != wire::HoldReason::Unspecified).then(|| words(reason.as_str_name(), "HOLD_REASON_"))
}

/// Every cap for machines.
pub fn caps_json(caps: &[wire::Cap]) -> Value {
    let cap = |cap: &wire::Cap| {
        json!({
            "kind": words(cap.kind().as_str_name(), "CAP_KIND_"),
            "hold_reason": hold_text(cap),
            "limit": cap.limit,
            "used": cap.used,
            "remaining": cap.remaining,
            "window_seconds": cap.window.map(|window| window.seconds),
            "next_eligible_time": cap.next_eligible_time.as_ref().map(|at| time_text(Some(at))),
        })
    };
    caps.iter().map(cap).collect()
}

fn to_json(shown: &Shown) -> Value {
    let offer = |offer: &ShownOffer| {
        json!({
            "offer_id": offer.offer_id,
            "product_id": offer.product_id,
            "title": offer.title,
            "price": offer.price,
            "price_step": offer.price_step,
            "score": offer.score,
            "reasons": offer.reasons,
            "goes_with_product_ids": offer.goes_with,
            "replaces_product_id": offer.replaces,
            "repeated_offer": offer.repeated,
        })
    };
    let withheld: serde_json::Map<String, Value> =
        shown.withheld.iter().map(|withheld| (withheld.reason.clone(), withheld.count.into())).collect();
    json!({
        "decision_id": shown.decision_id,
        "message": shown.message,
        "offers": shown.offers.iter().map(offer).collect::<Vec<_>>(),
        "relationship_health": {
            "score": shown.health.score,
            "band": words(shown.health.band().as_str_name(), "RELATIONSHIP_BAND_"),
        },
        "caps": caps_json(&shown.caps),
        "withheld": withheld,
        "policy_version": shown.policy_version,
        "model_version": shown.model_version,
        "replayed": shown.replayed,
    })
}

fn cross_sell(answer: wire::CrossSellResponse) -> Shown {
    let offer = |offer: wire::CrossSellOffer| ShownOffer {
        price: money_text(offer.price.as_ref()),
        offer_id: offer.offer_id,
        product_id: offer.product_id,
        title: offer.title,
        price_step: None,
        score: offer.score,
        reasons: offer.reasons.into_iter().map(|reason| reason.text).collect(),
        goes_with: offer.goes_with_product_ids,
        replaces: None,
        repeated: offer.repeated_offer,
    };
    Shown {
        decision_id: answer.decision_id,
        message: answer.message,
        health: answer.relationship_health.unwrap_or_default(),
        caps: answer.caps,
        withheld: answer.withheld,
        offers: answer.offers.into_iter().map(offer).collect(),
        policy_version: answer.policy_version,
        model_version: answer.model_version,
        replayed: answer.replayed,
    }
}

fn up_sell(answer: wire::UpSellResponse) -> Shown {
    let offer = |offer: wire::UpSellOffer| ShownOffer {
        price: money_text(offer.price.as_ref()),
        price_step: offer.price_step.as_ref().map(|step| money_text(Some(step))),
        offer_id: offer.offer_id,
        product_id: offer.product_id,
        title: offer.title,
        score: offer.score,
        reasons: offer.reasons.into_iter().map(|reason| reason.text).collect(),
        goes_with: Vec::new(),
        replaces: Some(offer.replaces_product_id),
        repeated: offer.repeated_offer,
    };
    Shown {
        decision_id: answer.decision_id,
        message: answer.message,
        health: answer.relationship_health.unwrap_or_default(),
        caps: answer.caps,
        withheld: answer.withheld,
        offers: answer.offers.into_iter().map(offer).collect(),
        policy_version: answer.policy_version,
        model_version: answer.model_version,
        replayed: answer.replayed,
    }
}
