//! Sentences that agents read: the reasons for an offer and the message of a response.
//!
//! They can be read aloud, so figures are rounded and dates are dates; the exact values are in fields of their own.

use super::phrases::{all_allowed, coming, count, date, duration, list, product_name};
use crate::domain::candidate::{Candidate, CountBasis, Evidence, Support, Upgrade};
use crate::domain::catalog::Catalog;
use crate::domain::customer::{Hold, HoldReason};
use crate::domain::decision::{Cap, CapKind};
use crate::domain::money::Money;
use crate::domain::offer::{FeatureGain, OfferKind, Reason};
use crate::domain::product::{FeatureValue, Product};
use crate::domain::relationship::{Band, RelationshipHealth};
use crate::domain::time::Timestamp;

/// Maximum number of reasons for one offer.
pub(crate) const REASONS_MAX: usize = 4;

/// Reasons for offering a candidate, strongest first.
pub(crate) fn reasons(candidate: &Candidate, support: &Support, product: &Product, catalog: &Catalog) -> Vec<Reason> {
    let gains = candidate.upgrade.as_ref().and_then(|upgrade| better_features(upgrade, product, catalog));
    let evidence = support.evidence.iter().map(|evidence| evidence_reason(evidence, candidate, catalog));
    gains.into_iter().chain(evidence).take(REASONS_MAX).collect()
}

fn reason(code: &str, parameters: &[(&str, String)], text: String) -> Reason {
    let parameters = parameters.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
    Reason { code: code.to_owned(), parameters, text }
}

fn evidence_reason(evidence: &Evidence, candidate: &Candidate, catalog: &Catalog) -> Reason {
    match evidence {
        Evidence::BoughtTogether { with, together, with_total, counted } => {
            let with_name = product_name(with, catalog);
            let (unit, text) = match counted {
                CountBasis::Customers => {
                    let customers = count((*with_total).into(), "customer", "customers");
                    ("customers", format!("{together} of {customers} with the {with_name} also bought it"))
                }
                CountBasis::Baskets => {
                    let baskets = count((*with_total).into(), "basket", "baskets");
                    ("baskets", format!("{together} of {baskets} with the {with_name} also contained it"))
                }
            };
            reason(
                "BOUGHT_TOGETHER",
                &[
                    ("with_product_id", with.to_string()),
                    ("together", together.to_string()),
                    ("with_total", with_total.to_string()),
                    ("counted", unit.to_owned()),
                ],
                text,
            )
        }
        Evidence::Popular { buyers, days } => reason(
            "POPULAR",
            &[("buyers", buyers.to_string()), ("days", days.to_string())],
            format!("{} bought it in the last {}", customers(*buyers), last_days(*days)),
        ),
        Evidence::NewInCategory { like, buyers, days } => reason(
            "NEW_IN_CATEGORY",
            &[("with_product_id", like.to_string()), ("buyers", buyers.to_string()), ("days", days.to_string())],
            format!(
                "new and similar to the {}, which {} bought in the last {}",
                product_name(like, catalog),
                customers(*buyers),
                last_days(*days)
            ),
        ),
        Evidence::Compatible { with } => reason(
            "COMPATIBLE",
            &[("with_product_id", with.to_string())],
            format!("made to go with the {}", product_name(with, catalog)),
        ),
        Evidence::HigherTier { from, to } => reason(
            "HIGHER_TIER",
            &[("from_tier", from.to_string()), ("to_tier", to.to_string())],
            match &candidate.upgrade {
                Some(upgrade) => format!("a step up from the {}", product_name(&upgrade.replaces, catalog)),
                None => "a better version".to_owned(),
            },
        ),
        Evidence::MovedUp { customers: number } => reason(
            "MOVED_UP",
            &[("customers", number.to_string())],
            format!("{} made the same upgrade", customers(*number)),
        ),
        Evidence::Accepted { accepted, offered, days } => reason(
            "WELL_RECEIVED",
            &[("accepted", accepted.to_string()), ("offered", offered.to_string()), ("days", days.to_string())],
            format!(
                "accepted {accepted} of the {} it was offered in the last {}",
                count((*offered).into(), "time", "times"),
                last_days(*days)
            ),
        ),
        Evidence::UsageNearAllowance { share } => {
            let percent = format!("{:.0}", share * 100.0);
            let text = format!("the customer uses {percent}% of the current allowance");
            reason("USAGE_NEAR_ALLOWANCE", &[("percent_used", percent)], text)
        }
    }
}

fn customers(number: u32) -> String {
    count(number.into(), "customer", "customers")
}

fn last_days(days: u32) -> String {
    if days == 1 { "day".to_owned() } else { format!("{days} days") }
}

/// The improvements as one clause: "4 slots instead of 2 and bagel, for 30.00 USD more".
fn better_features(upgrade: &Upgrade, product: &Product, catalog: &Catalog) -> Option<Reason> {
    if upgrade.gains.is_empty() {
        return None;
    }
    let mut text = list(&upgrade.gains.iter().map(gain_text).collect::<Vec<_>>());
    let mut parameters = vec![("replaces_product_id", upgrade.replaces.to_string())];
    let owned_price = catalog.get(&upgrade.replaces).and_then(|owned| owned.price);
    if let Some(step) = product.price.zip(owned_price).and_then(|(price, owned)| price.minus(owned)) {
        parameters.push(("price_step", step.to_string()));
        text = format!("{text}, {}", price_step_text(step));
    }
    Some(reason("BETTER_FEATURES", &parameters, text))
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

/// Message of a response with offers.
pub(crate) fn offers_message(offers: usize, kind: OfferKind, left: u32) -> String {
    let (singular, plural) = match kind {
        OfferKind::CrossSell => ("cross-sell offer", "cross-sell offers"),
        OfferKind::UpSell => ("up-sell offer", "up-sell offers"),
    };
    let offers = count(u64::try_from(offers).unwrap_or(u64::MAX), singular, plural);
    match left {
        0 => format!("{offers}. No more are allowed for now."),
        1 => format!("{offers}. 1 more is allowed now."),
        left => format!("{offers}. {left} more are allowed now."),
    }
}

/// Message of a response without offers because of a cap.
pub(crate) fn capped_message(cap: &Cap, hold: Option<&Hold>, now: Timestamp) -> String {
    let until = match cap.next_eligible_at {
        Some(at) => format!("No offers before {}", coming(at, now)),
        None => "No offers".to_owned(),
    };
    format!("{until}: {}.", cap_reason(cap, hold, now))
}

fn cap_reason(cap: &Cap, hold: Option<&Hold>, now: Timestamp) -> String {
    let with_date = |what: &str, preposition: &str| match hold {
        Some(hold) => format!("{what} {preposition} {}", date(hold.created_at, now)),
        None => what.to_owned(),
    };
    let within = |scope: &str| format!("{scope} in {}", duration(cap.window));
    match cap.kind {
        CapKind::Hold(HoldReason::OptOut) => "the customer has opted out of offers".to_owned(),
        CapKind::Hold(HoldReason::OpenComplaint) => {
            hold.map_or_else(|| "complaint".to_owned(), |hold| format!("complaint {}", hold.note))
        }
        CapKind::Hold(HoldReason::AgentHold) => with_date("on hold", "since"),
        CapKind::Hold(HoldReason::CancellationNotice) => with_date("notice of cancellation given", "on"),
        CapKind::Hold(HoldReason::Collections) => with_date("in debt collection", "since"),
        CapKind::Hold(HoldReason::Bereavement) => with_date("bereavement reported", "on"),
        CapKind::Hold(HoldReason::Vulnerability) => with_date("the customer has needed particular care", "since"),
        CapKind::Hold(HoldReason::ProfilingObjection) => "the customer objects to profiling".to_owned(),
        CapKind::ChannelOptOut => "the customer has opted out of offers on this channel".to_owned(),
        CapKind::ControlGroup => {
            "the customer is in the control group, which gets no offers so that their effect can be measured".to_owned()
        }
        CapKind::BackOff => "the customer recently rejected an offer".to_owned(),
        CapKind::QuietPeriod => "quiet period after a recent event".to_owned(),
        CapKind::UpSell if cap.limit == 0 => "the relationship is not healthy enough for up-sell offers".to_owned(),
        CapKind::RelationshipHealth | CapKind::SlowRise if cap.limit == 0 => {
            "the relationship is not healthy enough for offers".to_owned()
        }
        CapKind::UpSell => all_allowed(cap.limit.into(), "up-sell offer", "up-sell offers", &within("")),
        CapKind::Channel => all_allowed(cap.limit.into(), "offer", "offers", &within(" on this channel")),
        CapKind::RelationshipHealth => all_allowed(cap.limit.into(), "offer", "offers", &within("")),
        CapKind::SlowRise => {
            let made = all_allowed(cap.limit.into(), "offer", "offers", &within(""));
            format!("{made}, and the relationship is still recovering")
        }
    }
}

/// Message of a response without offers that is not due to a cap.
pub(crate) fn nothing_suitable_message(kind: OfferKind) -> String {
    match kind {
        OfferKind::CrossSell => {
            "No offers: nothing that goes with the customer's products is worth offering now.".to_owned()
        }
        OfferKind::UpSell => "No offers: no upgrade of the customer's products is worth offering now.".to_owned(),
    }
}

/// Message of a repeated response whose offers were all released.
pub(crate) fn released_message() -> String {
    "No offers: the offers of this decision have been released.".to_owned()
}

/// Message about a relationship.
pub(crate) fn relationship_message(health: &RelationshipHealth, offers_left: u32, capped: Option<String>) -> String {
    let relationship = match health.band {
        Band::Strained => "The relationship is strained",
        Band::Guarded => "The relationship is guarded",
        Band::Steady => "The relationship is steady",
        Band::Strong => "The relationship is strong",
        Band::NewCustomer => "The customer is new",
    };
    match capped {
        Some(capped) => format!("{relationship}. {capped}"),
        None => format!("{relationship}. {} can be made now.", count(offers_left.into(), "offer", "offers")),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::domain::ids::{HoldId, ProductId};
    use crate::domain::money::Currency;
    use crate::domain::offer::PropensityBasis;
    use crate::domain::time::DAY;

    const MARCH_2: i64 = 20_514 * 86_400_000;

    fn now() -> Timestamp {
        Timestamp::from_unix_ms(MARCH_2 + 3 * 86_400_000 + 12 * 3_600_000).expect("in range")
    }

    fn id(text: &str) -> ProductId {
        ProductId::new(text).expect("a valid id")
    }

    fn catalog() -> Catalog {
        let price = |text| Money::parse(text, Currency::new("USD").expect("a code")).ok();
        Catalog::new(vec![
            Product { price: price("24.95"), ..Product::new(id("line"), "Local line") },
            Product { price: price("30.00"), ..Product::new(id("toaster-2"), "Two-slot toaster") },
            Product { price: price("60.00"), ..Product::new(id("toaster-4"), "Four-slot toaster") },
        ])
    }

    #[test]
    fn evidence_reads_as_a_plain_clause() {
        let with = || id("line");
        let candidate = Candidate {
            product: id("toaster-4"),
            propensity: 0.1,
            propensity_basis: PropensityBasis::Purchases,
            acceptance_lift: 1.0,
            need: 1.0,
            keep_probability: 1.0,
            upgrade: Some(Upgrade { replaces: id("toaster-2"), gains: Vec::new() }),
        };
        let customers = CountBasis::Customers;
        for (evidence, expected) in [
            (
                Evidence::BoughtTogether { with: with(), together: 104, with_total: 156, counted: customers },
                "104 of 156 customers with the local line also bought it",
            ),
            (
                Evidence::BoughtTogether { with: with(), together: 1, with_total: 1, counted: customers },
                "1 of 1 customer with the local line also bought it",
            ),
            (
                Evidence::BoughtTogether { with: with(), together: 5, with_total: 9, counted: CountBasis::Baskets },
                "5 of 9 baskets with the local line also contained it",
            ),
            (Evidence::Popular { buyers: 1, days: 90 }, "1 customer bought it in the last 90 days"),
            (Evidence::Popular { buyers: 13, days: 1 }, "13 customers bought it in the last day"),
            (
                Evidence::NewInCategory { like: with(), buyers: 13, days: 90 },
                "new and similar to the local line, which 13 customers bought in the last 90 days",
            ),
            (Evidence::Compatible { with: with() }, "made to go with the local line"),
            (Evidence::HigherTier { from: 1, to: 2 }, "a step up from the two-slot toaster"),
            (Evidence::MovedUp { customers: 1 }, "1 customer made the same upgrade"),
            (Evidence::MovedUp { customers: 15 }, "15 customers made the same upgrade"),
            (
                Evidence::Accepted { accepted: 5, offered: 12, days: 180 },
                "accepted 5 of the 12 times it was offered in the last 180 days",
            ),
            (Evidence::UsageNearAllowance { share: 0.921 }, "the customer uses 92% of the current allowance"),
        ] {
            assert_eq!(evidence_reason(&evidence, &candidate, &catalog()).text, expected);
        }
    }

    #[test]
    fn improvements_read_as_a_list_with_their_price() {
        let gain = |feature: &str, from: Option<f64>, to| FeatureGain {
            feature: feature.to_owned(),
            from: from.map(FeatureValue::Number),
            to,
        };
        let slots = || gain("slots", Some(2.0), FeatureValue::Number(4.0));
        let bagel = || gain("wide_bagel-slots", None, FeatureValue::Flag(true));
        let cups = || gain("cups", None, FeatureValue::Number(12.0));
        for (from, to, gains, expected) in [
            ("toaster-2", "toaster-4", vec![slots()], "4 slots instead of 2, for 30.00 USD more"),
            (
                "toaster-2",
                "toaster-4",
                vec![slots(), bagel(), cups()],
                "4 slots instead of 2, wide bagel slots and 12 cups, for 30.00 USD more",
            ),
            ("toaster-4", "toaster-2", vec![bagel()], "wide bagel slots, for 30.00 USD less"),
            ("toaster-4", "toaster-4", vec![bagel()], "wide bagel slots, at the same price"),
            ("unknown", "toaster-4", vec![bagel()], "wide bagel slots"),
        ] {
            let catalog = catalog();
            let upgrade = Upgrade { replaces: id(from), gains };
            let product = catalog.get(&id(to)).expect("in the catalogue");
            assert_eq!(
                better_features(&upgrade, product, &catalog).map(|reason| reason.text).as_deref(),
                Some(expected)
            );
        }
    }

    #[test]
    fn messages_with_offers_agree_in_number() {
        for (offers, kind, left, expected) in [
            (1, OfferKind::CrossSell, 0, "1 cross-sell offer. No more are allowed for now."),
            (3, OfferKind::CrossSell, 5, "3 cross-sell offers. 5 more are allowed now."),
            (1, OfferKind::UpSell, 1, "1 up-sell offer. 1 more is allowed now."),
            (2, OfferKind::UpSell, 0, "2 up-sell offers. No more are allowed for now."),
        ] {
            assert_eq!(offers_message(offers, kind, left), expected);
        }
    }

    #[test]
    fn messages_of_caps_name_the_cap_and_its_end() {
        let march_2 = Timestamp::from_unix_ms(MARCH_2).expect("in range");
        let cap = |kind, limit, next_eligible_at| Cap {
            kind,
            limit,
            used: limit,
            remaining: 0,
            window: DAY * 30,
            next_eligible_at,
        };
        let counted = |kind, limit| cap(kind, limit, Some(march_2 + DAY * 12));
        let hold = |reason, note: &str| Hold {
            id: HoldId::new("h").expect("a valid id"),
            reason,
            note: note.to_owned(),
            created_at: march_2,
            expires_at: None,
        };
        let on_hold = |reason, note: &str, expected: &'static str| {
            (cap(CapKind::Hold(reason), 0, Some(march_2 + DAY * 12)), Some(hold(reason, note)), expected)
        };
        for (cap, hold, expected) in [
            (
                counted(CapKind::RelationshipHealth, 4),
                None,
                "No offers before 14 March: all 4 offers allowed in 30 days have been made.",
            ),
            (
                counted(CapKind::RelationshipHealth, 1),
                None,
                "No offers before 14 March: the only offer allowed in 30 days has been made.",
            ),
            (
                counted(CapKind::UpSell, 2),
                None,
                "No offers before 14 March: both up-sell offers allowed in 30 days have been made.",
            ),
            (
                counted(CapKind::Channel, 3),
                None,
                "No offers before 14 March: all 3 offers allowed on this channel in 30 days have been made.",
            ),
            (
                counted(CapKind::SlowRise, 3),
                None,
                "No offers before 14 March: all 3 offers allowed in 30 days have been made, and the relationship is still \
                 recovering.",
            ),
            (
                cap(CapKind::RelationshipHealth, 0, None),
                None,
                "No offers: the relationship is not healthy enough for offers.",
            ),
            (
                cap(CapKind::UpSell, 0, None),
                None,
                "No offers: the relationship is not healthy enough for up-sell offers.",
            ),
            (
                cap(CapKind::QuietPeriod, 0, Some(now() + DAY / 4)),
                None,
                "No offers before 18:00 UTC today: quiet period after a recent event.",
            ),
            (
                cap(CapKind::BackOff, 0, Some(march_2 + DAY * 365)),
                None,
                "No offers before 2 March 2027: the customer recently rejected an offer.",
            ),
            (
                cap(CapKind::ChannelOptOut, 0, None),
                None,
                "No offers: the customer has opted out of offers on this channel.",
            ),
            on_hold(
                HoldReason::OpenComplaint,
                "open since 2 March",
                "No offers before 14 March: complaint open since 2 March.",
            ),
            on_hold(HoldReason::AgentHold, "", "No offers before 14 March: on hold since 2 March."),
            on_hold(
                HoldReason::CancellationNotice,
                "",
                "No offers before 14 March: notice of cancellation given on 2 March.",
            ),
            on_hold(HoldReason::Collections, "", "No offers before 14 March: in debt collection since 2 March."),
            on_hold(HoldReason::Bereavement, "", "No offers before 14 March: bereavement reported on 2 March."),
            on_hold(
                HoldReason::Vulnerability,
                "",
                "No offers before 14 March: the customer has needed particular care since 2 March.",
            ),
        ] {
            assert_eq!(capped_message(&cap, hold.as_ref(), now()), expected);
        }
    }

    #[test]
    fn messages_about_a_relationship_agree_in_number() {
        let health = |band| RelationshipHealth { score: 0.5, band, coverage: 1.0, components: Vec::new() };
        let capped = || Some("No offers: on hold.".to_owned());
        for (band, left, capped, expected) in [
            (Band::Steady, 1, None, "The relationship is steady. 1 offer can be made now."),
            (Band::NewCustomer, 3, None, "The customer is new. 3 offers can be made now."),
            (Band::Strained, 0, capped(), "The relationship is strained. No offers: on hold."),
        ] {
            assert_eq!(relationship_message(&health(band), left, capped), expected);
        }
    }

    #[test]
    fn exact_figures_stay_in_the_parameters() {
        let candidate = Candidate {
            product: id("toaster-4"),
            propensity: 0.1,
            propensity_basis: PropensityBasis::Purchases,
            acceptance_lift: 1.0,
            need: 1.0,
            keep_probability: 1.0,
            upgrade: None,
        };
        let evidence = Evidence::BoughtTogether {
            with: id("line"),
            together: 104,
            with_total: 156,
            counted: CountBasis::Customers,
        };
        let parameters: BTreeMap<String, String> =
            evidence_reason(&evidence, &candidate, &catalog()).parameters.into_iter().collect();
        let expected =
            [("with_product_id", "line"), ("together", "104"), ("with_total", "156"), ("counted", "customers")];
        assert_eq!(parameters, expected.map(|(name, value)| (name.to_owned(), value.to_owned())).into());
    }
}
