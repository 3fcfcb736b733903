//! Rejections in words: why a candidate was rejected, and the change that would have let it pass.
//!
//! Rejections by holds and quiet periods name no reason, so that every reader may see them.

use super::phrases::{all_allowed, coming, name_in_catalog};
use super::reasons::percent as whole_percent;
use crate::domain::catalog::Catalog;
use crate::domain::ids::ProductId;
use crate::domain::offer::{Factors, OfferKind};
use crate::domain::rejected_candidate::{Ineligibility, RejectedCandidate};
use crate::domain::time::Timestamp;
use crate::domain::withheld_reason::WithheldReason;

/// A rejection in words: two clauses without a full stop.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RejectionWording {
    /// Reason for the rejection, as a clause after "because".
    pub reason: String,
    /// Smallest change that would have let the candidate pass this step, as a phrase after "would need".
    pub remedy: String,
}

/// Puts a rejection by a decision of this kind into words.
pub(crate) fn rejection_in_words(
    rejected: &RejectedCandidate,
    kind: OfferKind,
    catalog: &Catalog,
    now: Timestamp,
) -> RejectionWording {
    RejectionWording { reason: reason(rejected, kind, catalog), remedy: remedy(rejected, kind, catalog, now) }
}

fn reason(rejected: &RejectedCandidate, kind: OfferKind, catalog: &Catalog) -> String {
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
        WithheldReason::UsageLow => match observed {
            Some(share) => {
                format!("it only enlarges an allowance of which the customer uses {}", whole_percent(*share))
            }
            None => "it only enlarges an allowance of which the customer uses little".to_owned(),
        },
        WithheldReason::VariantOwned => {
            format!("it is a variant of {other}, which the customer has or has in the basket")
        }
        WithheldReason::InContext => "it is already in the basket or on the page".to_owned(),
        WithheldReason::ExcludedByCaller => "the request excludes it".to_owned(),
        WithheldReason::NotInCatalog => "it is not in the catalogue".to_owned(),
        WithheldReason::OfferedRecently => "it was offered recently".to_owned(),
        WithheldReason::Declined => {
            format!("the customer recently declined {}", it_or(other_product.as_ref(), catalog))
        }
        WithheldReason::GivenUp => {
            format!("the customer recently returned or gave up {}", it_or(other_product.as_ref(), catalog))
        }
        WithheldReason::NotWorthAttention => "it is not worth the customer's attention".to_owned(),
        WithheldReason::TooSimilar => format!("it is too similar to {other}, which is offered already"),
        WithheldReason::CapReached => all_made("offer", "offers", ""),
        WithheldReason::UpSellCapReached => all_made("up-sell offer", "up-sell offers", ""),
        WithheldReason::OnHold => "offers to the customer are on hold".to_owned(),
        WithheldReason::BackOff => "the customer recently rejected an offer".to_owned(),
        WithheldReason::QuietPeriod => "there is a quiet period after a recent event".to_owned(),
        WithheldReason::OptedOut => "the customer has opted out of offers on this channel".to_owned(),
        WithheldReason::ConsentMissing => "the channel needs a consent that is not recorded".to_owned(),
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
        WithheldReason::NotProposed => match kind {
            OfferKind::CrossSell => "the model sees no reason to offer it to this customer".to_owned(),
            OfferKind::UpSell => "it is not known to be better than a product that the customer has".to_owned(),
        },
    }
}

fn remedy(rejected: &RejectedCandidate, kind: OfferKind, catalog: &Catalog, now: Timestamp) -> String {
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
        WithheldReason::UsageLow => match threshold {
            Some(share) => {
                format!("use of at least {} of the allowance in one of the latest periods", whole_percent(*share))
            }
            None => "more use of the allowance".to_owned(),
        },
        WithheldReason::VariantOwned => {
            "an item group of its own, or to be marked as repeatable, in the catalogue".to_owned()
        }
        WithheldReason::InContext => "a request without it among the products of the basket or page".to_owned(),
        WithheldReason::ExcludedByCaller => "a request that does not exclude it".to_owned(),
        WithheldReason::NotInCatalog => "the product to be added to the catalogue".to_owned(),
        WithheldReason::OfferedRecently
        | WithheldReason::Declined
        | WithheldReason::GivenUp
        | WithheldReason::BackOff
        | WithheldReason::QuietPeriod => later_or("a later request"),
        WithheldReason::NotWorthAttention => worth_attention(rejected.factors.as_ref()),
        WithheldReason::TooSimilar => format!("a slate without {other}, for example because the request excludes it"),
        WithheldReason::CapReached | WithheldReason::UpSellCapReached => later_or("better relationship health"),
        WithheldReason::OnHold => later_or("the end of the hold"),
        WithheldReason::OptedOut => "a request that names a channel that the customer has not opted out of".to_owned(),
        WithheldReason::ConsentMissing => {
            "the customer's consent to be recorded, or a request that names a channel that needs none".to_owned()
        }
        WithheldReason::NeverTogether => later_or(&format!("a customer without {other}, and a slate without it")),
        WithheldReason::NeverAfter => later_or(&format!("a slate without {other}")),
        WithheldReason::FamilyCapReached => later_or("a higher cap for its product family"),
        WithheldReason::ChannelCapReached => later_or("another channel, or a higher cap for this one"),
        WithheldReason::ControlGroup => "a smaller control group or another salt in the policy".to_owned(),
        WithheldReason::OfferOutsideDates => later_or("a longer validity of the offer"),
        WithheldReason::OfferElsewhere => "a request with the channel and placement of the offer".to_owned(),
        WithheldReason::OfferConditionUnmet => "attributes of the customer that meet the condition".to_owned(),
        WithheldReason::VolumeCapReached => "a higher volume cap".to_owned(),
        WithheldReason::SlateFull => "a higher score, or a request for more offers".to_owned(),
        WithheldReason::NotProposed => match kind {
            OfferKind::CrossSell => {
                "similar customers to buy it, or the catalogue to declare that it goes with a product of the customer"
                    .to_owned()
            }
            OfferKind::UpSell => {
                "a higher tier on the ladder of a product that the customer has, or better features in its category"
                    .to_owned()
            }
        },
    }
}

/// The other product of a rule.
fn other_name(other: Option<&ProductId>, catalog: &Catalog) -> String {
    other.map_or_else(|| "another product".to_owned(), |other| name_in_catalog(other, catalog))
}

/// The candidate itself, or the variant or lower rung because of which it rests.
fn it_or(other: Option<&ProductId>, catalog: &Catalog) -> String {
    other.map_or_else(|| "it".to_owned(), |other| other_name(Some(other), catalog))
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::product::Product;
    use crate::domain::rejected_candidate::DecisionStep;
    use crate::domain::time::DAY;
    use crate::wording::samples::{id, march_2, now};

    const ALL: [WithheldReason; 37] = [
        WithheldReason::Owned,
        WithheldReason::RequirementMissing,
        WithheldReason::ExcludedByHolding,
        WithheldReason::Unavailable,
        WithheldReason::OutsideDates,
        WithheldReason::OtherCurrency,
        WithheldReason::SameLadder,
        WithheldReason::NotBetter,
        WithheldReason::UsageLow,
        WithheldReason::VariantOwned,
        WithheldReason::InContext,
        WithheldReason::ExcludedByCaller,
        WithheldReason::NotInCatalog,
        WithheldReason::OfferedRecently,
        WithheldReason::Declined,
        WithheldReason::GivenUp,
        WithheldReason::NotWorthAttention,
        WithheldReason::TooSimilar,
        WithheldReason::CapReached,
        WithheldReason::UpSellCapReached,
        WithheldReason::OnHold,
        WithheldReason::BackOff,
        WithheldReason::QuietPeriod,
        WithheldReason::OptedOut,
        WithheldReason::ConsentMissing,
        WithheldReason::SlateFull,
        WithheldReason::NotProposed,
        WithheldReason::NeverTogether,
        WithheldReason::NeverAfter,
        WithheldReason::OnlyAfter,
        WithheldReason::FamilyCapReached,
        WithheldReason::ChannelCapReached,
        WithheldReason::ControlGroup,
        WithheldReason::OfferOutsideDates,
        WithheldReason::OfferElsewhere,
        WithheldReason::OfferConditionUnmet,
        WithheldReason::VolumeCapReached,
    ];

    /// Reason and remedy of a rejection with the values that the rule records; a new reason does not compile without its
    /// own, and belongs into [`ALL`], too.
    #[allow(clippy::too_many_lines, reason = "a table")]
    fn expected(reason: WithheldReason) -> (&'static str, &'static str) {
        match reason {
            WithheldReason::Owned => {
                ("the customer already has it", "the product to be marked as repeatable in the catalogue")
            }
            WithheldReason::RequirementMissing => (
                "it requires our Local line, which the customer does not have",
                "our Local line to be bought first, or to be in the basket",
            ),
            WithheldReason::ExcludedByHolding => (
                "it cannot be combined with our Local line, which the customer has",
                "the customer to give up our Local line",
            ),
            WithheldReason::Unavailable => ("it is not available", "the product to be made available in the catalogue"),
            WithheldReason::OutsideDates => ("it is outside its dates of sale", "a request after 14 March"),
            WithheldReason::OtherCurrency => {
                ("it is not priced in the requested currency", "a request without that currency")
            }
            WithheldReason::SameLadder => {
                ("it is another version of our Local line, which the customer has", "an up-sell request")
            }
            WithheldReason::NotBetter => {
                ("it is no better than our Local line, which the customer has", "a tier of at least 5")
            }
            WithheldReason::UsageLow => (
                "it only enlarges an allowance of which the customer uses 400%",
                "use of at least 500% of the allowance in one of the latest periods",
            ),
            WithheldReason::VariantOwned => (
                "it is a variant of our Local line, which the customer has or has in the basket",
                "an item group of its own, or to be marked as repeatable, in the catalogue",
            ),
            WithheldReason::InContext => (
                "it is already in the basket or on the page",
                "a request without it among the products of the basket or page",
            ),
            WithheldReason::ExcludedByCaller => ("the request excludes it", "a request that does not exclude it"),
            WithheldReason::NotInCatalog => ("it is not in the catalogue", "the product to be added to the catalogue"),
            WithheldReason::OfferedRecently => ("it was offered recently", "a request after 14 March"),
            WithheldReason::Declined => ("the customer recently declined our Local line", "a request after 14 March"),
            WithheldReason::GivenUp => {
                ("the customer recently returned or gave up our Local line", "a request after 14 March")
            }
            WithheldReason::NotWorthAttention => {
                ("it is not worth the customer's attention", "a much higher probability of acceptance")
            }
            WithheldReason::TooSimilar => (
                "it is too similar to our Local line, which is offered already",
                "a slate without our Local line, for example because the request excludes it",
            ),
            WithheldReason::CapReached => ("all 4 offers allowed have been made", "a request after 14 March"),
            WithheldReason::UpSellCapReached => {
                ("all 4 up-sell offers allowed have been made", "a request after 14 March")
            }
            WithheldReason::OnHold => ("offers to the customer are on hold", "a request after 14 March"),
            WithheldReason::BackOff => ("the customer recently rejected an offer", "a request after 14 March"),
            WithheldReason::QuietPeriod => ("there is a quiet period after a recent event", "a request after 14 March"),
            WithheldReason::OptedOut => (
                "the customer has opted out of offers on this channel",
                "a request that names a channel that the customer has not opted out of",
            ),
            WithheldReason::ConsentMissing => (
                "the channel needs a consent that is not recorded",
                "the customer's consent to be recorded, or a request that names a channel that needs none",
            ),
            WithheldReason::SlateFull => {
                ("better offers fill the slate", "a higher score, or a request for more offers")
            }
            WithheldReason::NotProposed => (
                "the model sees no reason to offer it to this customer",
                "similar customers to buy it, or the catalogue to declare that it goes with a product of the customer",
            ),
            WithheldReason::NeverTogether => {
                ("the policy does not allow it together with our Local line", "a request after 14 March")
            }
            WithheldReason::NeverAfter => {
                ("the policy does not allow it so soon after our Local line", "a request after 14 March")
            }
            WithheldReason::OnlyAfter => (
                "the policy allows it only for customers who have our Local line",
                "our Local line to be bought first, or to be in the basket",
            ),
            WithheldReason::FamilyCapReached => {
                ("all 4 offers allowed for its product family have been made", "a request after 14 March")
            }
            WithheldReason::ChannelCapReached => {
                ("all 4 offers allowed on this channel have been made", "a request after 14 March")
            }
            WithheldReason::ControlGroup => (
                "the customer is in the control group, which gets no offers",
                "a smaller control group or another salt in the policy",
            ),
            WithheldReason::OfferOutsideDates => ("the offer is not valid now", "a request after 14 March"),
            WithheldReason::OfferElsewhere => (
                "the offer is for another channel or placement",
                "a request with the channel and placement of the offer",
            ),
            WithheldReason::OfferConditionUnmet => (
                "the customer does not meet the condition of the offer",
                "attributes of the customer that meet the condition",
            ),
            WithheldReason::VolumeCapReached => {
                ("all 4 grants allowed over all customers have been made", "a higher volume cap")
            }
        }
    }

    fn rejected(ineligibility: Ineligibility) -> RejectedCandidate {
        RejectedCandidate {
            product: id("toaster"),
            offer: None,
            propensity: 0.1,
            step: DecisionStep::Eligibility,
            ineligibility,
            factors: None,
        }
    }

    fn in_words(ineligibility: Ineligibility, kind: OfferKind) -> (String, String) {
        let catalog = Catalog::new(vec![Product::new(id("line"), "Local line")]);
        let RejectionWording { reason, remedy } = rejection_in_words(&rejected(ineligibility), kind, &catalog, now());
        (reason, remedy)
    }

    /// Broken by: a reason without a sentence of its own.
    #[test]
    fn every_rejection_has_a_reason_and_a_remedy() {
        for (index, reason) in ALL.into_iter().enumerate() {
            assert_eq!(reason as usize, index, "every reason is listed once, in the order of their declaration");
            let ineligibility = Ineligibility {
                reason,
                other_product: Some(id("line")),
                observed: Some(4.0),
                threshold: Some(5.0),
                until: Some(march_2() + DAY * 12),
            };
            let (expected_reason, expected_remedy) = expected(reason);
            assert_eq!(
                in_words(ineligibility, OfferKind::CrossSell),
                (expected_reason.to_owned(), expected_remedy.to_owned())
            );
        }
    }

    #[test]
    fn rejections_without_further_values_read_well_too() {
        for (reason, kind, expected) in [
            (
                WithheldReason::OnHold,
                OfferKind::CrossSell,
                ("offers to the customer are on hold", "the end of the hold"),
            ),
            (
                WithheldReason::TooSimilar,
                OfferKind::CrossSell,
                (
                    "it is too similar to another product, which is offered already",
                    "a slate without another product, for example because the request excludes it",
                ),
            ),
            (
                WithheldReason::CapReached,
                OfferKind::CrossSell,
                ("all offers allowed have been made", "better relationship health"),
            ),
            (WithheldReason::Declined, OfferKind::CrossSell, ("the customer recently declined it", "a later request")),
            (
                WithheldReason::UsageLow,
                OfferKind::UpSell,
                ("it only enlarges an allowance of which the customer uses little", "more use of the allowance"),
            ),
            (
                WithheldReason::NotProposed,
                OfferKind::UpSell,
                (
                    "it is not known to be better than a product that the customer has",
                    "a higher tier on the ladder of a product that the customer has, or better features in its category",
                ),
            ),
        ] {
            assert_eq!(in_words(reason.into(), kind), (expected.0.to_owned(), expected.1.to_owned()));
        }
    }
}
