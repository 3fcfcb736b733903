//! Sentences about a decision: why a candidate was rejected and what would have let it pass, and what an agent may say to
//! the customer. They put recorded decisions into words and have no rules of their own.

use super::phrases::{all_allowed, coming, product_name, within_sentence};
use crate::domain::catalog::Catalog;
use crate::domain::customer::HoldReason;
use crate::domain::decision::{CapKind, Decision};
use crate::domain::ids::ProductId;
use crate::domain::offer::{Factors, Offer, OfferKind};
use crate::domain::rejected_candidate::{Ineligibility, RejectedCandidate};
use crate::domain::time::Timestamp;
use crate::domain::withheld_reason::WithheldReason;

/// A rejection in words: two clauses without a full stop.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RejectionWording {
    /// Reason for the rejection, as a clause after "because".
    pub reason: String,
    /// Smallest change that would have let the candidate pass this step, as a phrase after "would need".
    pub remedy: String,
}

/// Puts a rejection into words.
pub(crate) fn rejection_in_words(rejected: &RejectedCandidate, catalog: &Catalog, now: Timestamp) -> RejectionWording {
    RejectionWording { reason: reason(rejected, catalog), remedy: remedy(rejected, catalog, now) }
}

fn reason(rejected: &RejectedCandidate, catalog: &Catalog) -> String {
    let Ineligibility { reason, other_product, observed, threshold: _, until: _ } = &rejected.ineligibility;
    let other = other_name(other_product.as_ref(), catalog);
    let all_made = |singular: &str, plural: &str, within: &str| all_made(*observed, singular, plural, within);
    match reason {
        WithheldReason::Owned => "the customer already has it".to_owned(),
        WithheldReason::RequirementMissing => format!("it requires {other}, which the customer does not have"),
        WithheldReason::ExcludedByHolding => format!("it cannot be combined with {other}, which the customer has"),
        WithheldReason::Unavailable => "it is not available".to_owned(),
        WithheldReason::OutsideDates => "it is outside its dates of sale".to_owned(),
        WithheldReason::OtherCurrency => "it is not priced in the requested currency".to_owned(),
        WithheldReason::SameLadder => format!("it is another version of {other}, which the customer has"),
        WithheldReason::NotBetter => format!("it is no better than {other}, which the customer has"),
        WithheldReason::InContext => "it is already in the basket or on the page".to_owned(),
        WithheldReason::ExcludedByCaller => "the request excludes it".to_owned(),
        WithheldReason::NotInCatalog => "it is not in the catalogue".to_owned(),
        WithheldReason::OfferedRecently => "it was offered recently".to_owned(),
        WithheldReason::Declined => "the customer recently declined it".to_owned(),
        WithheldReason::NotWorthAttention => "it is not worth the customer's attention".to_owned(),
        WithheldReason::TooSimilar => format!("it is too similar to {other}, which is offered already"),
        WithheldReason::CapReached => all_made("offer", "offers", ""),
        WithheldReason::UpSellCapReached => all_made("up-sell offer", "up-sell offers", ""),
        WithheldReason::OnHold => "offers to the customer are on hold".to_owned(),
        WithheldReason::BackOff => "the customer recently rejected an offer".to_owned(),
        WithheldReason::QuietPeriod => "there is a quiet period after a recent event".to_owned(),
        WithheldReason::OptedOut => "the customer has opted out of offers on this channel".to_owned(),
        WithheldReason::NeverTogether => format!("the policy does not allow it together with {other}"),
        WithheldReason::NeverAfter => format!("the policy does not allow it so soon after {other}"),
        WithheldReason::OnlyAfter => format!("the policy allows it only for customers who have {other}"),
        WithheldReason::FamilyCapReached => all_made("offer", "offers", " for its product family"),
        WithheldReason::ChannelCapReached => all_made("offer", "offers", " on this channel"),
        WithheldReason::ControlGroup => "the customer is in the control group, which gets no offers".to_owned(),
        WithheldReason::OfferOutsideDates => "the offer is not valid now".to_owned(),
        WithheldReason::OfferElsewhere => "the offer is for another channel or placement".to_owned(),
        WithheldReason::OfferConditionUnmet => "the customer does not meet the condition of the offer".to_owned(),
        WithheldReason::VolumeCapReached => all_made("grant", "grants", " over all customers"),
        WithheldReason::SlateFull => "better offers fill the slate".to_owned(),
        WithheldReason::NotProposed => {
            let name = product_name(&rejected.product, catalog);
            format!("the model sees no reason to offer the {name} to this customer")
        }
    }
}

fn remedy(rejected: &RejectedCandidate, catalog: &Catalog, now: Timestamp) -> String {
    let Ineligibility { reason, other_product, observed: _, threshold, until } = &rejected.ineligibility;
    let other = other_name(other_product.as_ref(), catalog);
    let later_or = |otherwise: &str| match until {
        Some(until) => format!("a request after {}", coming(*until, now)),
        None => otherwise.to_owned(),
    };
    match reason {
        WithheldReason::Owned => "the product to be marked as repeatable in the catalogue".to_owned(),
        WithheldReason::RequirementMissing | WithheldReason::OnlyAfter => {
            format!("{other} to be bought first, or to be in the basket")
        }
        WithheldReason::ExcludedByHolding => format!("the customer to give up {other}"),
        WithheldReason::Unavailable => "the product to be made available in the catalogue".to_owned(),
        WithheldReason::OutsideDates => later_or("longer dates of sale"),
        WithheldReason::OtherCurrency => "a request without that currency".to_owned(),
        WithheldReason::SameLadder => "an up-sell request".to_owned(),
        WithheldReason::NotBetter => {
            threshold.map_or_else(|| "a higher tier".to_owned(), |tier| format!("a tier of at least {tier:.0}"))
        }
        WithheldReason::InContext => "a request without it among the products of the basket or page".to_owned(),
        WithheldReason::ExcludedByCaller => "a request that does not exclude it".to_owned(),
        WithheldReason::NotInCatalog => "the product to be added to the catalogue".to_owned(),
        WithheldReason::OfferedRecently
        | WithheldReason::Declined
        | WithheldReason::BackOff
        | WithheldReason::QuietPeriod => later_or("a later request"),
        WithheldReason::NotWorthAttention => worth_attention(rejected.factors.as_ref()),
        WithheldReason::TooSimilar => format!("a slate without {other}, for example because the request excludes it"),
        WithheldReason::CapReached | WithheldReason::UpSellCapReached => later_or("better relationship health"),
        WithheldReason::OnHold => later_or("the end of the hold"),
        WithheldReason::OptedOut => "a channel that the customer has not opted out of".to_owned(),
        WithheldReason::NeverTogether | WithheldReason::NeverAfter => later_or(&format!("a slate without {other}")),
        WithheldReason::FamilyCapReached => later_or("a higher cap for its product family"),
        WithheldReason::ChannelCapReached => later_or("another channel, or a higher cap for this one"),
        WithheldReason::ControlGroup => "a smaller control group or another salt in the policy".to_owned(),
        WithheldReason::OfferOutsideDates => later_or("a longer validity of the offer"),
        WithheldReason::OfferElsewhere => "a request with the channel and placement of the offer".to_owned(),
        WithheldReason::OfferConditionUnmet => "attributes of the customer that meet the condition".to_owned(),
        WithheldReason::VolumeCapReached => "a higher volume cap".to_owned(),
        WithheldReason::SlateFull => "a higher score, or a request for more offers".to_owned(),
        WithheldReason::NotProposed => {
            "similar customers to buy it, or the catalogue to declare that it goes with a product of the customer"
                .to_owned()
        }
    }
}

/// The other product of a rule, with its article.
fn other_name(other: Option<&ProductId>, catalog: &Catalog) -> String {
    other.map_or_else(|| "another product".to_owned(), |other| format!("the {}", product_name(other, catalog)))
}

/// The statement that a counted cap is used up; `observed` is its limit, where it was recorded.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a limit is a whole number, 0 and more")]
fn all_made(observed: Option<f64>, singular: &str, plural: &str, within: &str) -> String {
    match observed {
        Some(limit) => all_allowed(limit as u64, singular, plural, within),
        None => format!("all {plural} allowed{within} have been made"),
    }
}

/// The smallest propensity that would have been worth the customer's attention, all else being equal.
fn worth_attention(factors: Option<&Factors>) -> String {
    let Some(factors) = factors else { return "a much higher probability of acceptance".to_owned() };
    let worth = factors.value * factors.context * factors.lever;
    if worth > 0.0 && factors.attention_price < worth {
        let (needed, actual) = (percent(factors.attention_price / worth), percent(factors.propensity));
        format!("a probability of acceptance above {needed} instead of {actual}")
    } else {
        "a higher value, a higher lever or better relationship health".to_owned()
    }
}

/// A probability in percent with two decimals, which tells small ones apart.
fn percent(probability: f64) -> String {
    format!("{:.2}%", probability * 100.0)
}

/// A sentence that an agent may say to the customer. It never mentions scores, caps or relationship health.
pub(crate) fn customer_sentence(decision: &Decision, catalog: &Catalog) -> String {
    if let Some(offer) = decision.slate.first() {
        return offer_sentence(offer, catalog);
    }
    let binding = decision.binding_cap.and_then(|index| decision.caps.get(index)).map(|cap| cap.kind);
    match binding {
        // The hold outlasts the complaint by a while, so the sentence must not say that it is open.
        Some(CapKind::Hold(HoldReason::OpenComplaint)) => {
            "I can see that you had reason to complain. Is there anything that I can do about it?".to_owned()
        }
        Some(CapKind::Hold(HoldReason::Bereavement | HoldReason::Vulnerability)) => {
            "How can I help you today?".to_owned()
        }
        Some(_) | None => "Is there anything else that I can do for you?".to_owned(),
    }
}

fn offer_sentence(offer: &Offer, catalog: &Catalog) -> String {
    let name = within_sentence(&offer.title);
    let owned = match offer.kind {
        OfferKind::UpSell => offer.replaces.as_ref(),
        OfferKind::CrossSell => offer.goes_with.first(),
    };
    match (offer.kind, owned.map(|owned| product_name(owned, catalog))) {
        (OfferKind::CrossSell, Some(owned)) => format!("Since you have our {owned}, you might like our {name}."),
        (OfferKind::UpSell, Some(owned)) => format!("You have our {owned}. May I tell you about our {name}?"),
        (OfferKind::CrossSell | OfferKind::UpSell, None) => format!("May I tell you about our {name}?"),
    }
}
