//! Says in plain words why a candidate left, and what would have let it through. Words for what a decision recorded, no
//! rules of its own.

use super::wording::{moment, title};
use crate::domain::catalog::Catalog;
use crate::domain::customer::HoldReason;
use crate::domain::decision::{CapKind, Decision, WithheldReason};
use crate::domain::offer::{Factors, Offer, OfferKind};
use crate::domain::rejected_candidate::{Ineligibility, RejectedCandidate};
use crate::domain::time::Timestamp;

/// Why a candidate left, and what would have let it through; one clause each, without a full stop.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RejectionWording {
    /// Why.
    pub why: String,
    /// The smallest change that would have let it through this step.
    pub change: String,
}

/// Says why a candidate left.
pub fn rejection_in_words(rejected: &RejectedCandidate, catalog: &Catalog, now: Timestamp) -> RejectionWording {
    let RejectedCandidate { product, offer: _, propensity: _, stage: _, ineligibility, factors } = rejected;
    let Ineligibility { reason, other, seen, threshold, until } = ineligibility;
    let other = other.as_ref().map_or_else(|| "another product".to_owned(), |other| title(other, catalog));
    let from = until.map(|until| format!("asked from {} on", moment(until, now)));
    let from_or = |otherwise: &str| from.clone().unwrap_or_else(|| otherwise.to_owned());
    let cap = |why: &str, otherwise: &str| {
        let limit = seen.map_or_else(String::new, |limit| format!(": the limit is {limit:.0}"));
        RejectionWording { why: format!("{why}{limit}"), change: from_or(otherwise) }
    };
    match reason {
        WithheldReason::Owned => words("the customer has it", "the product marked repeatable in the catalogue"),
        WithheldReason::RequirementMissing => RejectionWording {
            why: format!("it requires {other}, which the customer does not have"),
            change: format!("{other} bought before it or put into the basket"),
        },
        WithheldReason::ExcludedByHolding => RejectionWording {
            why: format!("it does not go with {other}, which the customer has"),
            change: format!("{other} given up"),
        },
        WithheldReason::Unavailable => words("it is not to be had", "the product made available in the catalogue"),
        WithheldReason::OutsideDates => RejectionWording {
            why: "outside its dates of sale".to_owned(),
            change: from_or("its dates of sale extended"),
        },
        WithheldReason::OtherCurrency => {
            words("priced in another currency than asked for", "a question without that currency")
        }
        WithheldReason::SameLadder => RejectionWording {
            why: format!("a version of {other}, which the customer has"),
            change: "a question for up-sell".to_owned(),
        },
        WithheldReason::NotBetter => RejectionWording {
            why: format!("no better than {other}, which the customer has"),
            change: threshold.map_or_else(|| "a higher tier".to_owned(), |tier| format!("a tier of {tier:.0} or more")),
        },
        WithheldReason::InContext => {
            words("in the basket or on the page already", "left out of the question's products")
        }
        WithheldReason::ExcludedByCaller => words("the caller asked to leave it out", "not excluded by the caller"),
        WithheldReason::NotInCatalog => words("not in the catalogue", "the product put into the catalogue"),
        WithheldReason::OfferedRecently => {
            RejectionWording { why: "offered a short while ago".to_owned(), change: from_or("asked later") }
        }
        WithheldReason::Declined => {
            RejectionWording { why: "the customer declined it".to_owned(), change: from_or("asked later") }
        }
        WithheldReason::NotWorthAttention => not_worth_attention(factors.as_ref(), *seen),
        WithheldReason::TooSimilar => RejectionWording {
            why: format!("too much like {other}, which is in the slate"),
            change: format!("{other} not in the slate, for one by being excluded by the caller"),
        },
        WithheldReason::CapReached => cap("the customer's cap is spent", "a higher relationship health"),
        WithheldReason::UpSellCapReached => {
            cap("the customer's cap for up-sell is spent", "a higher relationship health")
        }
        WithheldReason::OnHold => {
            RejectionWording { why: "a hold is on".to_owned(), change: from_or("the hold ended") }
        }
        WithheldReason::BackOff => RejectionWording {
            why: "the customer rejected an offer a short while ago".to_owned(),
            change: from_or("asked later"),
        },
        WithheldReason::QuietPeriod => {
            RejectionWording { why: "a quiet period is on".to_owned(), change: from_or("asked later") }
        }
        WithheldReason::OptedOut => {
            words("the customer opted out of this channel", "a channel that the customer did not opt out of")
        }
        WithheldReason::NeverTogether => RejectionWording {
            why: format!("never offered together with {other}, which is open or in the slate"),
            change: from_or(&format!("{other} not in the slate")),
        },
        WithheldReason::NeverAfter => RejectionWording {
            why: format!("never offered so short a time after {other}"),
            change: from_or(&format!("{other} not in the slate")),
        },
        WithheldReason::OnlyAfter => RejectionWording {
            why: format!("offered only to customers who have {other}"),
            change: format!("{other} bought before it or put into the basket"),
        },
        WithheldReason::FamilyCapReached => cap("the cap of its family is spent", "a higher cap of its family"),
        WithheldReason::ChannelCapReached => {
            cap("the cap of this channel is spent", "another channel, or a higher cap of this one")
        }
        WithheldReason::ControlGroup => words(
            "the customer is in the control group, which is offered nothing",
            "another salt or a smaller share of the control group in the policy",
        ),
        WithheldReason::OfferOutsideDates
        | WithheldReason::OfferElsewhere
        | WithheldReason::OfferConditionUnmet
        | WithheldReason::VolumeCapReached => terms_in_words(ineligibility, now),
        WithheldReason::SlateFull => RejectionWording {
            why: format!("the slate was as long as asked for (score {:.5})", seen.unwrap_or(0.0)),
            change: format!("a score above {:.5}, or a longer slate asked for", threshold.unwrap_or(0.0)),
        },
        WithheldReason::NotProposed => RejectionWording {
            why: format!("nothing speaks for {} to this customer", title(product, catalog)),
            change:
                "others who have what this customer has buying it too, or the catalogue saying that it goes with it"
                    .to_owned(),
        },
    }
}

fn words(why: &str, change: &str) -> RejectionWording {
    RejectionWording { why: why.to_owned(), change: change.to_owned() }
}

/// Why the terms of an explicit offer do not apply.
#[allow(clippy::wildcard_enum_match_arm, reason = "called for four reasons")]
fn terms_in_words(ineligibility: &Ineligibility, now: Timestamp) -> RejectionWording {
    let (why, change) = match ineligibility.reason {
        WithheldReason::OfferElsewhere => (
            "its terms are for another channel or placement".to_owned(),
            "a question that names the offer's channel and placement".to_owned(),
        ),
        WithheldReason::OfferConditionUnmet => (
            "the customer's attributes do not fulfil its condition, or one that it asks for is missing".to_owned(),
            "attributes that fulfil the offer's condition".to_owned(),
        ),
        WithheldReason::VolumeCapReached => {
            let limit = ineligibility.seen.unwrap_or(0.0);
            (
                format!("its volume over all customers is gone: the limit is {limit:.0}"),
                "a higher volume cap".to_owned(),
            )
        }
        // Outside its dates; nothing else is asked about here.
        _ => {
            let from = ineligibility.until.map(|until| format!("asked from {} on", moment(until, now)));
            let change = from.unwrap_or_else(|| "the offer's validity extended".to_owned());
            ("its terms are not valid now".to_owned(), change)
        }
    };
    RejectionWording { why, change }
}

/// The smallest propensity that would have been worth it, all else as it is.
fn not_worth_attention(factors: Option<&Factors>, seen: Option<f64>) -> RejectionWording {
    let score = seen.map_or_else(String::new, |score| format!(" (score {score:.5})"));
    let why = format!("not worth the customer's attention{score}");
    let Some(factors) = factors else {
        return RejectionWording { why, change: "a propensity high enough to be weighed".to_owned() };
    };
    let worth = factors.value * factors.context * factors.lever;
    let change = if worth > 0.0 && factors.attention_price < worth {
        format!("a propensity above {:.5} instead of {:.5}", factors.attention_price / worth, factors.propensity)
    } else {
        "a higher value, lever or relationship health".to_owned()
    };
    RejectionWording { why, change }
}

/// One sentence that a person of the company may say to the customer. It never speaks of scores, caps or health.
pub fn customer_sentence(decision: &Decision, catalog: &Catalog) -> String {
    if let Some(offer) = decision.slate.first() {
        return offer_sentence(offer, catalog);
    }
    let binding = decision.binding_cap.and_then(|place| decision.caps.get(place)).map(|cap| cap.kind);
    match binding {
        Some(CapKind::Hold(HoldReason::OpenComplaint)) => {
            "I see that something is not settled yet; let us look after that first.".to_owned()
        }
        Some(CapKind::Hold(HoldReason::Bereavement | HoldReason::Vulnerability)) => {
            "How can I help you today?".to_owned()
        }
        Some(_) | None => "Is there anything else that I can do for you?".to_owned(),
    }
}

fn offer_sentence(offer: &Offer, catalog: &Catalog) -> String {
    let name = &offer.title;
    match offer.kind {
        OfferKind::UpSell => match &offer.replaces {
            Some(replaced) => {
                format!("You have the {}; may I tell you about the {name}?", title(replaced, catalog))
            }
            None => format!("May I tell you about the {name}?"),
        },
        OfferKind::CrossSell => match offer.goes_with.first() {
            Some(with) => {
                format!("The {name} goes well with the {} that you have; may I tell you more?", title(with, catalog))
            }
            None => format!("May I tell you about the {name}?"),
        },
    }
}
