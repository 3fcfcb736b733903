//! Says in plain words why a candidate left, and what would have let it through. Words for what a decision recorded, no
//! rules of its own.

use super::wording::{moment, title};
use crate::domain::catalog::Catalog;
use crate::domain::customer::HoldReason;
use crate::domain::decision::{CapKind, Decision};
use crate::domain::ids::ProductId;
use crate::domain::offer::{Factors, Offer, OfferKind};
use crate::domain::rejected_candidate::{Ineligibility, RejectedCandidate};
use crate::domain::time::Timestamp;
use crate::domain::withheld_reason::WithheldReason;

/// Why a candidate left, and what would have let it through; one clause each, without a full stop.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RejectionWording {
    /// Why.
    pub why: String,
    /// The smallest change that would have let it through this step.
    pub change: String,
}

/// Explains a rejection in words.
pub fn rejection_in_words(rejected: &RejectedCandidate, catalog: &Catalog, now: Timestamp) -> RejectionWording {
    RejectionWording { why: why(rejected, catalog), change: change(rejected, catalog, now) }
}

/// The clause that names the rule and what it looked at.
fn why(rejected: &RejectedCandidate, catalog: &Catalog) -> String {
    let Ineligibility { reason, other_product, observed: seen, threshold: _, until: _ } = &rejected.ineligibility;
    let other = other_title(other_product.as_ref(), catalog);
    let with_limit = |why: &str| match seen {
        Some(limit) => format!("{why}: the limit is {limit:.0}"),
        None => why.to_owned(),
    };
    match reason {
        WithheldReason::Owned => "the customer has it".to_owned(),
        WithheldReason::RequirementMissing => format!("it requires {other}, which the customer does not have"),
        WithheldReason::ExcludedByHolding => format!("it does not go with {other}, which the customer has"),
        WithheldReason::Unavailable => "it is not to be had".to_owned(),
        WithheldReason::OutsideDates => "outside its dates of sale".to_owned(),
        WithheldReason::OtherCurrency => "priced in another currency than asked for".to_owned(),
        WithheldReason::SameLadder => format!("a version of {other}, which the customer has"),
        WithheldReason::NotBetter => format!("no better than {other}, which the customer has"),
        WithheldReason::InContext => "in the basket or on the page already".to_owned(),
        WithheldReason::ExcludedByCaller => "the caller asked to leave it out".to_owned(),
        WithheldReason::NotInCatalog => "not in the catalogue".to_owned(),
        WithheldReason::OfferedRecently => "offered a short while ago".to_owned(),
        WithheldReason::Declined => "the customer declined it".to_owned(),
        WithheldReason::NotWorthAttention => {
            let score = seen.map_or_else(String::new, |score| format!(" (score {score:.5})"));
            format!("not worth the customer's attention{score}")
        }
        WithheldReason::TooSimilar => format!("too much like {other}, which is in the slate"),
        WithheldReason::CapReached => with_limit("the customer's cap is spent"),
        WithheldReason::UpSellCapReached => with_limit("the customer's cap for up-sell is spent"),
        WithheldReason::OnHold => "a hold is on".to_owned(),
        WithheldReason::BackOff => "the customer rejected an offer a short while ago".to_owned(),
        WithheldReason::QuietPeriod => "a quiet period is on".to_owned(),
        WithheldReason::OptedOut => "the customer opted out of this channel".to_owned(),
        WithheldReason::NeverTogether => format!("never offered together with {other}, which is open or in the slate"),
        WithheldReason::NeverAfter => format!("never offered so short a time after {other}"),
        WithheldReason::OnlyAfter => format!("offered only to customers who have {other}"),
        WithheldReason::FamilyCapReached => with_limit("the cap of its family is spent"),
        WithheldReason::ChannelCapReached => with_limit("the cap of this channel is spent"),
        WithheldReason::ControlGroup => "the customer is in the control group, which is offered nothing".to_owned(),
        WithheldReason::OfferOutsideDates => "its terms are not valid now".to_owned(),
        WithheldReason::OfferElsewhere => "its terms are for another channel or placement".to_owned(),
        WithheldReason::OfferConditionUnmet => {
            "the customer's attributes do not fulfil its condition, or one that it asks for is missing".to_owned()
        }
        WithheldReason::VolumeCapReached => with_limit("its volume over all customers is gone"),
        WithheldReason::SlateFull => {
            format!("the slate was as long as asked for (score {:.5})", seen.unwrap_or(0.0))
        }
        WithheldReason::NotProposed => {
            format!("nothing speaks for {} to this customer", title(&rejected.product, catalog))
        }
    }
}

/// The clause that names the smallest change that would have let the candidate through this step.
fn change(rejected: &RejectedCandidate, catalog: &Catalog, now: Timestamp) -> String {
    let Ineligibility { reason, other_product, observed: _, threshold, until } = &rejected.ineligibility;
    let other = other_title(other_product.as_ref(), catalog);
    let later_or = |otherwise: &str| match until {
        Some(until) => format!("asked from {} on", moment(*until, now)),
        None => otherwise.to_owned(),
    };
    match reason {
        WithheldReason::Owned => "the product marked repeatable in the catalogue".to_owned(),
        WithheldReason::RequirementMissing | WithheldReason::OnlyAfter => {
            format!("{other} bought before it or put into the basket")
        }
        WithheldReason::ExcludedByHolding => format!("{other} given up"),
        WithheldReason::Unavailable => "the product made available in the catalogue".to_owned(),
        WithheldReason::OutsideDates => later_or("its dates of sale extended"),
        WithheldReason::OtherCurrency => "a question without that currency".to_owned(),
        WithheldReason::SameLadder => "a question for up-sell".to_owned(),
        WithheldReason::NotBetter => {
            threshold.map_or_else(|| "a higher tier".to_owned(), |tier| format!("a tier of {tier:.0} or more"))
        }
        WithheldReason::InContext => "left out of the question's products".to_owned(),
        WithheldReason::ExcludedByCaller => "not excluded by the caller".to_owned(),
        WithheldReason::NotInCatalog => "the product put into the catalogue".to_owned(),
        WithheldReason::OfferedRecently
        | WithheldReason::Declined
        | WithheldReason::BackOff
        | WithheldReason::QuietPeriod => later_or("asked later"),
        WithheldReason::NotWorthAttention => worth_attention(rejected.factors.as_ref()),
        WithheldReason::TooSimilar => format!("{other} not in the slate, for one by being excluded by the caller"),
        WithheldReason::CapReached | WithheldReason::UpSellCapReached => later_or("a higher relationship health"),
        WithheldReason::OnHold => later_or("the hold ended"),
        WithheldReason::OptedOut => "a channel that the customer did not opt out of".to_owned(),
        WithheldReason::NeverTogether | WithheldReason::NeverAfter => later_or(&format!("{other} not in the slate")),
        WithheldReason::FamilyCapReached => later_or("a higher cap of its family"),
        WithheldReason::ChannelCapReached => later_or("another channel, or a higher cap of this one"),
        WithheldReason::ControlGroup => "another salt or a smaller share of the control group in the policy".to_owned(),
        WithheldReason::OfferOutsideDates => later_or("the offer's validity extended"),
        WithheldReason::OfferElsewhere => "a question that names the offer's channel and placement".to_owned(),
        WithheldReason::OfferConditionUnmet => "attributes that fulfil the offer's condition".to_owned(),
        WithheldReason::VolumeCapReached => "a higher volume cap".to_owned(),
        WithheldReason::SlateFull => {
            format!("a score above {:.5}, or a longer slate asked for", threshold.unwrap_or(0.0))
        }
        WithheldReason::NotProposed => {
            "others who have what this customer has buying it too, or the catalogue saying that it goes with it"
                .to_owned()
        }
    }
}

/// The title of the product on the other side of a rule.
fn other_title(other: Option<&ProductId>, catalog: &Catalog) -> String {
    other.map_or_else(|| "another product".to_owned(), |other| title(other, catalog))
}

/// The smallest propensity that would have been worth it, all else as it is.
fn worth_attention(factors: Option<&Factors>) -> String {
    let Some(factors) = factors else { return "a propensity high enough to be weighed".to_owned() };
    let worth = factors.value * factors.context * factors.lever;
    if worth > 0.0 && factors.attention_price < worth {
        format!("a propensity above {:.5} instead of {:.5}", factors.attention_price / worth, factors.propensity)
    } else {
        "a higher value, lever or relationship health".to_owned()
    }
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
