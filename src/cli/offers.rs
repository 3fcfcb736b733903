//! `tactful offers`: offers for a customer, as tables.

use std::process::ExitCode;

use clap::Args;
use serde_json::{Value, json};

use super::client::{ServerAddress, date_text, money_text, rejected, time_text, words};
use super::output::outln;
use super::table::Table;
use crate::grpc::generated::tactful::v1 as wire;
use crate::grpc::generated::tactful::v1::offer_service_client::OfferServiceClient;

/// Show the offers for a customer, and the reasons for them.
///
/// By default a preview: nothing counts against the customer's caps. With --reserve the offers count from now on.
///
/// Examples:
///   tactful offers ada-local-line
///   tactful offers tom-two-slot --up-sell
///   tactful offers ada-local-line --context toaster-two-slot --max 5 --json
#[derive(Debug, Args)]
#[command(verbatim_doc_comment)]
pub(super) struct OffersCommand {
    /// Customer id
    customer: String,
    /// Up-sell instead of cross-sell: better versions of what the customer owns
    #[arg(long)]
    up_sell: bool,
    /// Product in the basket or on the page (with --up-sell: owned product to upgrade); may be repeated
    #[arg(long, value_name = "PRODUCT")]
    context: Vec<String>,
    /// Maximum number of offers
    #[arg(long, default_value_t = 3, value_name = "N")]
    max: i32,
    /// Channel through which the offer reaches the customer, such as web, email or call-centre
    #[arg(long, default_value = "", value_name = "CHANNEL")]
    channel: String,
    /// Only products priced in this currency
    #[arg(long, default_value = "", value_name = "CODE")]
    currency: String,
    /// Reserve the offers: they count against the customer's caps
    #[arg(long)]
    reserve: bool,
    /// UUID that makes a --reserve safe to repeat
    #[arg(long, default_value = "", value_name = "UUID", requires = "reserve")]
    request_id: String,
    /// Print JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    server: ServerAddress,
}

/// Common content of both responses.
struct SlateView {
    decision_id: String,
    message: String,
    health: wire::RelationshipHealth,
    caps: Vec<wire::Cap>,
    withheld: Vec<wire::Withheld>,
    offers: Vec<OfferView>,
    policy_version: String,
    model_version: u64,
    replayed: bool,
    next_eligible_time: Option<prost_types::Timestamp>,
}

struct OfferView {
    offer_id: String,
    product_id: String,
    title: String,
    price: String,
    price_step: Option<String>,
    score: f64,
    reasons: Vec<String>,
    goes_with: Vec<String>,
    replaces: Option<String>,
    already_granted: bool,
}

impl OffersCommand {
    /// Queries the server and prints the answer.
    pub(super) async fn run(self) -> anyhow::Result<ExitCode> {
        let mut client = OfferServiceClient::new(self.server.connect().await?);
        let mode = if self.reserve { wire::ServingMode::Reserve } else { wire::ServingMode::Preview };
        let slate = if self.up_sell {
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
            up_sell(client.up_sell(request).await.map_err(|status| rejected(&status))?.into_inner())
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
            cross_sell(client.cross_sell(request).await.map_err(|status| rejected(&status))?.into_inner())
        };
        if self.json {
            outln!("{:#}", to_json(&slate));
        } else {
            print(&slate);
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn print(slate: &SlateView) {
    outln!("{}", slate.message);
    if !slate.offers.is_empty() {
        let mut table = Table::new(&["#", "product", "title", "price", "step", "score", "why"]);
        for (rank, offer) in (1..).zip(&slate.offers) {
            table.row(vec![
                rank_text(rank, offer.already_granted),
                offer.product_id.clone(),
                offer.title.clone(),
                offer.price.clone(),
                offer.price_step.clone().unwrap_or_else(|| "-".to_owned()),
                format!("{:.4}", offer.score),
                offer.reasons.join("; "),
            ]);
        }
        outln!("\n{table}");
    }
    outln!("{}", caps_table(&slate.caps, slate.next_eligible_time.as_ref()));
    if !slate.withheld.is_empty() {
        let withheld: Vec<String> = slate
            .withheld
            .iter()
            .map(|withheld| format!("{} {}", withheld.count, words(&withheld.reason, "")))
            .collect();
        outln!("withheld: {}", withheld.join(", "));
    }
    let band = words(slate.health.band().as_str_name(), "RELATIONSHIP_BAND_");
    outln!(
        "relationship health {:.2} ({band}); policy {}, model {}",
        slate.health.score,
        slate.policy_version,
        slate.model_version
    );
    if !slate.decision_id.is_empty() {
        outln!("decision {}{}", slate.decision_id, if slate.replayed { " (replayed)" } else { "" });
    }
}

/// Rank of an offer; a star marks one that is still open from an earlier decision.
fn rank_text(rank: usize, repeated: bool) -> String {
    if repeated { format!("{rank}*") } else { rank.to_string() }
}

/// Table of all caps; where nothing is left, a last row has the time that holds for all of them together.
pub(super) fn caps_table(caps: &[wire::Cap], next_eligible_time: Option<&prost_types::Timestamp>) -> Table {
    let mut table = Table::new(&["cap", "limit", "used", "left", "next eligible"]);
    for cap in caps {
        let kind = words(cap.kind().as_str_name(), "CAP_KIND_");
        let cause = hold_text(cap).or_else(|| quiet_period_text(cap));
        let name = cause.map_or_else(|| kind.clone(), |cause| format!("{kind}: {cause}"));
        table.row(vec![
            name,
            cap.limit.to_string(),
            cap.used.to_string(),
            cap.remaining.to_string(),
            date_text(cap.next_eligible_time.as_ref()),
        ]);
    }
    if next_eligible_time.is_some() {
        let blank = String::new;
        table.row(vec!["all together".to_owned(), blank(), blank(), "0".to_owned(), date_text(next_eligible_time)]);
    }
    table
}

/// Reason of the hold behind a cap, if a hold is behind it.
fn hold_text(cap: &wire::Cap) -> Option<String> {
    let reason = cap.hold_reason();
    (reason != wire::HoldReason::Unspecified).then(|| words(reason.as_str_name(), "HOLD_REASON_"))
}

/// Event behind a quiet period, if a quiet period it is.
fn quiet_period_text(cap: &wire::Cap) -> Option<String> {
    let cause = cap.quiet_period_cause();
    (cause != wire::QuietPeriodCause::Unspecified).then(|| words(cause.as_str_name(), "QUIET_PERIOD_CAUSE_"))
}

/// All caps as JSON.
pub(super) fn caps_json(caps: &[wire::Cap]) -> Value {
    let cap = |cap: &wire::Cap| {
        json!({
            "kind": words(cap.kind().as_str_name(), "CAP_KIND_"),
            "hold_reason": hold_text(cap),
            "quiet_period_cause": quiet_period_text(cap),
            "limit": cap.limit,
            "used": cap.used,
            "remaining": cap.remaining,
            "window_seconds": cap.window.map(|window| window.seconds),
            "next_eligible_time": cap.next_eligible_time.as_ref().map(|at| time_text(Some(at))),
        })
    };
    caps.iter().map(cap).collect()
}

fn to_json(slate: &SlateView) -> Value {
    let offer = |offer: &OfferView| {
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
            "already_granted": offer.already_granted,
        })
    };
    let withheld: serde_json::Map<String, Value> =
        slate.withheld.iter().map(|withheld| (withheld.reason.clone(), withheld.count.into())).collect();
    json!({
        "decision_id": slate.decision_id,
        "message": slate.message,
        "offers": slate.offers.iter().map(offer).collect::<Vec<_>>(),
        "relationship_health": {
            "score": slate.health.score,
            "band": words(slate.health.band().as_str_name(), "RELATIONSHIP_BAND_"),
        },
        "caps": caps_json(&slate.caps),
        "withheld": withheld,
        "policy_version": slate.policy_version,
        "model_version": slate.model_version,
        "replayed": slate.replayed,
        "next_eligible_time": slate.next_eligible_time.as_ref().map(|at| time_text(Some(at))),
    })
}

fn cross_sell(answer: wire::CrossSellResponse) -> SlateView {
    let offer = |offer: wire::CrossSellOffer| OfferView {
        price: money_text(offer.price.as_ref()),
        offer_id: offer.offer_id,
        product_id: offer.product_id,
        title: offer.title,
        price_step: None,
        score: offer.score,
        reasons: offer.reasons.into_iter().map(|reason| reason.text).collect(),
        goes_with: offer.goes_with_product_ids,
        replaces: None,
        already_granted: offer.already_granted,
    };
    SlateView {
        decision_id: answer.decision_id,
        message: answer.message,
        health: answer.relationship_health.unwrap_or_default(),
        caps: answer.caps,
        withheld: answer.withheld,
        offers: answer.offers.into_iter().map(offer).collect(),
        policy_version: answer.policy_version,
        model_version: answer.model_version,
        replayed: answer.replayed,
        next_eligible_time: answer.next_eligible_time,
    }
}

fn up_sell(answer: wire::UpSellResponse) -> SlateView {
    let offer = |offer: wire::UpSellOffer| OfferView {
        price: money_text(offer.price.as_ref()),
        price_step: offer.price_step.as_ref().map(|step| money_text(Some(step))),
        offer_id: offer.offer_id,
        product_id: offer.product_id,
        title: offer.title,
        score: offer.score,
        reasons: offer.reasons.into_iter().map(|reason| reason.text).collect(),
        goes_with: Vec::new(),
        replaces: Some(offer.replaces_product_id),
        already_granted: offer.already_granted,
    };
    SlateView {
        decision_id: answer.decision_id,
        message: answer.message,
        health: answer.relationship_health.unwrap_or_default(),
        caps: answer.caps,
        withheld: answer.withheld,
        offers: answer.offers.into_iter().map(offer).collect(),
        policy_version: answer.policy_version,
        model_version: answer.model_version,
        replayed: answer.replayed,
        next_eligible_time: answer.next_eligible_time,
    }
}
