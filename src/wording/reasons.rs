//! Reasons for an offer in words.

use super::phrases::{count, list, product_name};
use crate::domain::evidence::{CountBasis, Evidence};
use crate::domain::ids::ProductId;
use crate::domain::money::Money;
use crate::domain::offer::{FeatureGain, Offer};
use crate::domain::product::FeatureValue;

/// Puts one of the reasons of an offer into words: a clause without a full stop.
pub(crate) fn reason_text(reason: &Evidence, offer: &Offer) -> String {
    match reason {
        Evidence::BetterFeatures => better_features(offer),
        Evidence::BoughtTogether { with, together, with_total, counted } => {
            let with = mentioned_name(with, offer);
            match counted {
                CountBasis::Customers => {
                    format!("{together} of {} with {with} also bought it", customers(*with_total))
                }
                CountBasis::Baskets => {
                    let baskets = count((*with_total).into(), "basket", "baskets");
                    format!("{together} of {baskets} with {with} also contained it")
                }
            }
        }
        Evidence::Popular { buyers, days } => {
            format!("{} bought it in the last {}", customers(*buyers), last_days(*days))
        }
        Evidence::NewInCategory { like, buyers, days } => format!(
            "new and similar to {}, which {} bought in the last {}",
            mentioned_name(like, offer),
            customers(*buyers),
            last_days(*days)
        ),
        Evidence::Compatible { with } => format!("made to go with {}", mentioned_name(with, offer)),
        Evidence::HigherTier { from: _, to: _ } => match &offer.replaces {
            Some(replaced) => format!("a step up from {}", mentioned_name(replaced, offer)),
            None => "a better version".to_owned(),
        },
        Evidence::MovedUp { customers: number } => format!("{} made the same upgrade", customers(*number)),
        Evidence::Accepted { accepted, offered, days } => format!(
            "accepted {accepted} of the {} it was offered in the last {}",
            count((*offered).into(), "time", "times"),
            last_days(*days)
        ),
        Evidence::InRange { category } if category.is_empty() => "part of our range".to_owned(),
        Evidence::InRange { category } => format!("part of our range, in {}", category.join(", ")),
        Evidence::UsageNearAllowance { share } => {
            format!("the customer uses {} of the current allowance", percent(*share))
        }
    }
}

/// Another product that an offer names, within a sentence.
pub(super) fn mentioned_name(product: &ProductId, offer: &Offer) -> String {
    product_name(product, offer.mentioned.get(product).map_or("", |known| &known.title))
}

/// A share in whole percent.
pub(super) fn percent(share: f64) -> String {
    format!("{:.0}%", share * 100.0)
}

fn customers(number: u32) -> String {
    count(number.into(), "customer", "customers")
}

fn last_days(days: u32) -> String {
    if days == 1 { "day".to_owned() } else { format!("{days} days") }
}

/// The improvements as one clause: "4 slots instead of 2 and bagel, for 30.00 USD more".
fn better_features(offer: &Offer) -> String {
    let gains = gains_text(&offer.gains);
    match offer.price_step {
        Some(step) => format!("{gains}, {}", price_step_text(step)),
        None => gains,
    }
}

/// Features that improve, as a list.
pub(super) fn gains_text(gains: &[FeatureGain]) -> String {
    list(&gains.iter().map(gain_text).collect::<Vec<_>>())
}

fn price_step_text(step: Money) -> String {
    let amount = Money::from_total_nanos(step.currency(), step.total_nanos().abs()).unwrap_or(step);
    match step.total_nanos() {
        0 => "at the same price".to_owned(),
        1.. => format!("for {amount} more"),
        _ => format!("for {amount} less"),
    }
}

fn gain_text(gain: &FeatureGain) -> String {
    let feature = gain.feature.replace(['_', '-'], " ");
    match (&gain.from, &gain.to) {
        (_, FeatureValue::Flag(_)) => feature,
        (Some(from), to) => format!("{to} {feature} instead of {from}"),
        (None, to) => format!("{to} {feature}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::offer::OfferKind;
    use crate::wording::samples::{dollars, id, number, offer};

    #[test]
    fn evidence_reads_as_a_plain_clause() {
        let up_sell = offer(OfferKind::UpSell);
        let with = || id("line");
        let customers = CountBasis::Customers;
        for (evidence, expected) in [
            (
                Evidence::BoughtTogether { with: with(), together: 104, with_total: 156, counted: customers },
                "104 of 156 customers with our Local line also bought it",
            ),
            (
                Evidence::BoughtTogether { with: with(), together: 1, with_total: 1, counted: customers },
                "1 of 1 customer with our Local line also bought it",
            ),
            (
                Evidence::BoughtTogether { with: with(), together: 5, with_total: 9, counted: CountBasis::Baskets },
                "5 of 9 baskets with our Local line also contained it",
            ),
            (Evidence::Popular { buyers: 1, days: 90 }, "1 customer bought it in the last 90 days"),
            (Evidence::Popular { buyers: 13, days: 1 }, "13 customers bought it in the last day"),
            (
                Evidence::NewInCategory { like: with(), buyers: 13, days: 90 },
                "new and similar to our Local line, which 13 customers bought in the last 90 days",
            ),
            (Evidence::Compatible { with: with() }, "made to go with our Local line"),
            (Evidence::Compatible { with: id("gone") }, "made to go with the product gone"),
            (Evidence::HigherTier { from: 1, to: 2 }, "a step up from our Two-slot toaster"),
            (Evidence::MovedUp { customers: 1 }, "1 customer made the same upgrade"),
            (Evidence::MovedUp { customers: 15 }, "15 customers made the same upgrade"),
            (
                Evidence::Accepted { accepted: 5, offered: 12, days: 180 },
                "accepted 5 of the 12 times it was offered in the last 180 days",
            ),
            (Evidence::InRange { category: Vec::new() }, "part of our range"),
            (
                Evidence::InRange { category: vec!["Kitchen".to_owned(), "Toasters".to_owned()] },
                "part of our range, in Kitchen, Toasters",
            ),
            (Evidence::UsageNearAllowance { share: 0.921 }, "the customer uses 92% of the current allowance"),
        ] {
            assert_eq!(reason_text(&evidence, &up_sell), expected);
        }
    }

    #[test]
    fn improvements_read_as_a_list_with_their_price() {
        let slots = || number("slots", Some(2.0), 4.0);
        let bagel = || FeatureGain { feature: "wide_bagel-slots".to_owned(), from: None, to: FeatureValue::Flag(true) };
        let cups = || number("cups", None, 12.0);
        for (step, gains, expected) in [
            (Some("30.00"), vec![slots()], "4 slots instead of 2, for 30.00 USD more"),
            (
                Some("30.00"),
                vec![slots(), bagel(), cups()],
                "4 slots instead of 2, wide bagel slots and 12 cups, for 30.00 USD more",
            ),
            (Some("-30.00"), vec![bagel()], "wide bagel slots, for 30.00 USD less"),
            (Some("0.00"), vec![bagel()], "wide bagel slots, at the same price"),
            (None, vec![bagel()], "wide bagel slots"),
        ] {
            let up_sell = Offer { gains, price_step: step.map(dollars), ..offer(OfferKind::UpSell) };
            assert_eq!(reason_text(&Evidence::BetterFeatures, &up_sell), expected);
        }
    }
}
