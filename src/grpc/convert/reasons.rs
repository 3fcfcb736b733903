//! Reasons for offers: code, exact figures and words.

use crate::domain::evidence::{CountBasis, Evidence};
use crate::domain::offer::Offer;
use crate::grpc::generated::tactful::v1 as wire;
use crate::wording::reasons::reason_text;

/// Converts the reasons for an offer.
pub(crate) fn reasons_to_wire(offer: &Offer) -> Vec<wire::OfferReason> {
    let reason = |reason: &Evidence| wire::OfferReason {
        code: reason.code().to_owned(),
        parameters: parameters(reason, offer).into_iter().map(|(name, value)| (name.to_owned(), value)).collect(),
        text: reason_text(reason, offer),
    };
    offer.reasons.iter().map(reason).collect()
}

/// Exact names and figures of a reason.
fn parameters(reason: &Evidence, offer: &Offer) -> Vec<(&'static str, String)> {
    match reason {
        Evidence::BetterFeatures => {
            let replaces = offer.replaces.iter().map(|product| ("replaces_product_id", product.to_string()));
            replaces.chain(offer.price_step.map(|step| ("price_step", step.to_string()))).collect()
        }
        Evidence::BoughtTogether { with, together, with_total, counted } => {
            let counted = match counted {
                CountBasis::Customers => "customers",
                CountBasis::Baskets => "baskets",
            };
            vec![
                ("with_product_id", with.to_string()),
                ("together", together.to_string()),
                ("with_total", with_total.to_string()),
                ("counted", counted.to_owned()),
            ]
        }
        Evidence::Popular { buyers, days } => vec![("buyers", buyers.to_string()), ("days", days.to_string())],
        Evidence::NewInCategory { like, buyers, days } => {
            vec![("with_product_id", like.to_string()), ("buyers", buyers.to_string()), ("days", days.to_string())]
        }
        Evidence::Compatible { with } => vec![("with_product_id", with.to_string())],
        Evidence::HigherTier { from, to } => vec![("from_tier", from.to_string()), ("to_tier", to.to_string())],
        Evidence::MovedUp { customers } => vec![("customers", customers.to_string())],
        Evidence::Accepted { accepted, offered, days } => {
            vec![("accepted", accepted.to_string()), ("offered", offered.to_string()), ("days", days.to_string())]
        }
        Evidence::InRange { category } if category.is_empty() => Vec::new(),
        Evidence::InRange { category } => vec![("category", category.join(" > "))],
        Evidence::UsageNearAllowance { share } => vec![("percent_used", format!("{:.0}", share * 100.0))],
    }
}
