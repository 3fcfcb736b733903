//! Sentences that an agent may say to the customer. They never mention scores, caps or relationship health.

use super::disclosure::Disclosure;
use super::phrases::product_name;
use super::reasons::{gains_text, mentioned_name, percent};
use crate::domain::customer::HoldReason;
use crate::domain::decision::{CapKind, Decision};
use crate::domain::evidence::Evidence;
use crate::domain::ids::ProductId;
use crate::domain::offer::{Offer, OfferKind};

/// Maximum number of improvements that are named; a list of more is hard to follow.
const GAINS_NAMED_MAX: usize = 2;

/// A sentence that fits the best offer of a decision, or its absence.
pub(crate) fn customer_sentence(decision: &Decision, disclosure: Disclosure) -> String {
    match decision.slate.first() {
        Some(offer) => offer_sentence(offer),
        None => without_offer(decision, disclosure).to_owned(),
    }
}

fn without_offer(decision: &Decision, disclosure: Disclosure) -> &'static str {
    let binding = decision.binding_cap.and_then(|index| decision.caps.get(index)).map(|cap| cap.kind);
    match binding {
        Some(kind) if disclosure.conceals(kind) => "How can I help you today?",
        // The hold outlasts the complaint by a while, so the sentence must not say that it is open.
        Some(CapKind::Hold(HoldReason::OpenComplaint)) => {
            "I can see that you had reason to complain. Is there anything that I can do about it?"
        }
        Some(CapKind::Hold(HoldReason::Bereavement | HoldReason::Vulnerability | HoldReason::Collections)) => {
            "How can I help you today?"
        }
        Some(_) | None => "Is there anything else that I can do for you?",
    }
}

fn offer_sentence(offer: &Offer) -> String {
    match offer.kind {
        OfferKind::CrossSell => cross_sell_sentence(offer),
        OfferKind::UpSell => up_sell_sentence(offer),
    }
}

fn cross_sell_sentence(offer: &Offer) -> String {
    let name = product_name(&offer.product, &offer.title);
    let Some(other) = offer.goes_with.first() else {
        return format!("May I tell you about {name}?");
    };
    let other_name = mentioned_name(other, offer);
    let is_owned = offer.mentioned.get(other).is_some_and(|known| known.is_owned);
    if is_owned {
        format!("Since you have {other_name}, you might like {name}.")
    } else {
        // In the basket or on the page: the request does not say which.
        format!("To go with {other_name}, you might like {name}.")
    }
}

fn up_sell_sentence(offer: &Offer) -> String {
    let name = product_name(&offer.product, &offer.title);
    let Some(owned) = &offer.replaces else {
        return format!("May I tell you about {name}?");
    };
    if let Some(usage) = usage_sentence(owned, offer) {
        return format!("{usage} May I tell you about {name}?");
    }
    let owned = mentioned_name(owned, offer);
    let gains = &offer.gains[..offer.gains.len().min(GAINS_NAMED_MAX)];
    if gains.is_empty() {
        format!("You have {owned}. May I tell you about {name}?")
    } else {
        format!("You have {owned}. May I tell you about {name}, with {}?", gains_text(gains))
    }
}

/// The usage that speaks for a bigger plan.
fn usage_sentence(owned: &ProductId, offer: &Offer) -> Option<String> {
    let share_of = |reason: &Evidence| {
        let Evidence::UsageNearAllowance { share } = reason else { return None };
        Some(*share)
    };
    let share = offer.reasons.iter().find_map(share_of)?;
    let owned = mentioned_name(owned, offer);
    Some(match percent(share).as_str() {
        "100%" => format!("You use everything that {owned} includes."),
        _ if share > 1.0 => format!("You use more than {owned} includes."),
        percent => format!("You use about {percent} of what {owned} includes."),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wording::samples::{HOLD_REASONS, capped, hold, id, number, offer};

    fn sentence(offer: Offer) -> String {
        let decision = Decision { slate: vec![offer], ..capped(hold(HoldReason::AgentHold)) };
        customer_sentence(&decision, Disclosure::Full)
    }

    /// Broken by: a product of the basket that the customer is said to have.
    #[test]
    fn cross_sell_sentences_distinguish_owned_products_from_those_in_the_basket() {
        let goes_with = |products: &[&str]| Offer {
            goes_with: products.iter().map(|product| id(product)).collect(),
            ..offer(OfferKind::CrossSell)
        };
        for (products, expected) in [
            (&["line", "kettle"][..], "Since you have our Local line, you might like our Four-slot toaster."),
            (&["kettle"], "To go with our Kettle, you might like our Four-slot toaster."),
            (&[], "May I tell you about our Four-slot toaster?"),
        ] {
            assert_eq!(sentence(goes_with(products)), expected);
        }
    }

    #[test]
    fn up_sell_sentences_name_the_usage_or_the_improvement() {
        let up_sell = || offer(OfferKind::UpSell);
        let used = |share| Offer { reasons: vec![Evidence::UsageNearAllowance { share }], ..up_sell() };
        let gains = vec![number("slots", Some(2.0), 4.0), number("cups", None, 12.0), number("lids", None, 1.0)];
        for (offer, expected) in [
            (up_sell(), "You have our Two-slot toaster. May I tell you about our Four-slot toaster?"),
            (
                Offer { gains, ..up_sell() },
                "You have our Two-slot toaster. May I tell you about our Four-slot toaster, with 4 slots instead of 2 and \
                 12 cups?",
            ),
            (
                used(0.921),
                "You use about 92% of what our Two-slot toaster includes. May I tell you about our Four-slot toaster?",
            ),
            (
                used(0.999),
                "You use everything that our Two-slot toaster includes. May I tell you about our Four-slot toaster?",
            ),
            (used(1.3), "You use more than our Two-slot toaster includes. May I tell you about our Four-slot toaster?"),
        ] {
            assert_eq!(sentence(offer), expected);
        }
    }

    #[test]
    fn sentences_without_an_offer_fit_the_hold() {
        for (reason, expected) in [
            (
                HoldReason::OpenComplaint,
                "I can see that you had reason to complain. Is there anything that I can do about it?",
            ),
            (HoldReason::Bereavement, "How can I help you today?"),
            (HoldReason::AgentHold, "Is there anything else that I can do for you?"),
        ] {
            assert_eq!(customer_sentence(&capped(hold(reason)), Disclosure::Full), expected);
        }
        for reason in HOLD_REASONS {
            assert_eq!(customer_sentence(&capped(hold(reason)), Disclosure::Neutral), "How can I help you today?");
        }
    }
}
