//! What people read: the reasons of an offer and the one sentence of an answer.

use crate::domain::candidate::{Candidate, CountBasis, Evidence, Support, Upgrade};
use crate::domain::catalog::Catalog;
use crate::domain::customer::{Hold, HoldReason};
use crate::domain::decision::{Cap, CapKind};
use crate::domain::ids::ProductId;
use crate::domain::offer::{FeatureGain, OfferKind, Reason};
use crate::domain::product::{FeatureValue, Product};
use crate::domain::relationship::{Band, RelationshipHealth};
use crate::domain::time::{DAY, Timestamp};

/// The most reasons of one offer.
pub const REASONS_MAX: usize = 4;

/// Why a candidate is offered, strongest first.
pub fn reasons(candidate: &Candidate, support: &Support, product: &Product, catalog: &Catalog) -> Vec<Reason> {
    let gains = candidate.upgrade.as_ref().and_then(|upgrade| better_features(upgrade, product, catalog));
    let evidence = support.evidence.iter().map(|evidence| evidence_reason(evidence, candidate, catalog));
    gains.into_iter().chain(evidence).take(REASONS_MAX).collect()
}

fn reason(code: &str, parameters: &[(&str, String)], text: String) -> Reason {
    let parameters = parameters.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
    Reason { code: code.to_owned(), parameters, text }
}

/// A product's title, or its id when the catalogue does not have it.
pub(super) fn title(product: &ProductId, catalog: &Catalog) -> String {
    catalog.get(product).map_or_else(|| product.to_string(), |known| known.title.clone())
}

fn evidence_reason(evidence: &Evidence, candidate: &Candidate, catalog: &Catalog) -> Reason {
    match evidence {
        Evidence::BoughtTogether { with, together, with_total, counted } => {
            let with_title = title(with, catalog);
            let (whom, verb) = match counted {
                CountBasis::Customers => ("customers", "bought by"),
                CountBasis::Baskets => ("baskets", "in"),
            };
            reason(
                "BOUGHT_TOGETHER",
                &[
                    ("with_product_id", with.to_string()),
                    ("together", together.to_string()),
                    ("with_total", with_total.to_string()),
                    ("counted", whom.to_owned()),
                ],
                format!("{verb} {together} of {with_total} {whom} with {with_title}"),
            )
        }
        Evidence::Popular { buyers, days } => reason(
            "POPULAR",
            &[("buyers", buyers.to_string()), ("days", days.to_string())],
            format!("bought by {buyers} in the last {days} days"),
        ),
        Evidence::NewInCategory { like, buyers, days } => reason(
            "NEW_IN_CATEGORY",
            &[("with_product_id", like.to_string()), ("buyers", buyers.to_string()), ("days", days.to_string())],
            format!("new; of the same kind as {}, bought by {buyers} in the last {days} days", title(like, catalog)),
        ),
        Evidence::Compatible { with } => reason(
            "COMPATIBLE",
            &[("with_product_id", with.to_string())],
            format!("made to go with {}", title(with, catalog)),
        ),
        Evidence::HigherTier { from, to } => reason(
            "HIGHER_TIER",
            &[("from_tier", from.to_string()), ("to_tier", to.to_string())],
            match &candidate.upgrade {
                Some(upgrade) => format!("a step up from {}", title(&upgrade.replaces, catalog)),
                None => "a higher version".to_owned(),
            },
        ),
        Evidence::MovedUp { customers } => reason(
            "MOVED_UP",
            &[("customers", customers.to_string())],
            format!("{customers} customers made the same move"),
        ),
        Evidence::Accepted { accepted, offered, days } => reason(
            "WELL_RECEIVED",
            &[("accepted", accepted.to_string()), ("offered", offered.to_string()), ("days", days.to_string())],
            format!("{accepted} of {offered} offers of it were accepted in the last {days} days"),
        ),
        Evidence::UsageNearAllowance { share } => {
            let percent = format!("{:.0}", share * 100.0);
            let text = format!("{percent} % of the present allowance is used");
            reason("USAGE_NEAR_ALLOWANCE", &[("percent_used", percent)], text)
        }
    }
}

/// What gets better, in one sentence: "4 slots instead of 2, bagel, for 30.00 USD more".
fn better_features(upgrade: &Upgrade, product: &Product, catalog: &Catalog) -> Option<Reason> {
    if upgrade.gains.is_empty() {
        return None;
    }
    let mut text = upgrade.gains.iter().map(gain_text).collect::<Vec<_>>().join(", ");
    let mut parameters = vec![("replaces_product_id", upgrade.replaces.to_string())];
    let owned_price = catalog.get(&upgrade.replaces).and_then(|owned| owned.price);
    if let Some(step) = product.price.zip(owned_price).and_then(|(price, owned)| price.minus(owned)) {
        parameters.push(("price_step", step.to_string()));
        if step.total_nanos() > 0 {
            text = format!("{text}, for {step} more");
        } else {
            text = format!("{text}, for no more money");
        }
    }
    Some(reason("BETTER_FEATURES", &parameters, text))
}

fn gain_text(gain: &FeatureGain) -> String {
    let feature = gain.feature.replace(['_', '-'], " ");
    match (&gain.from, &gain.to) {
        (_, FeatureValue::Flag(_)) => feature,
        (Some(from), to) => format!("{to} {feature} instead of {from}"),
        (None, to) => format!("{to} {feature}"),
    }
}

/// The sentence of an answer with offers.
pub fn offers_message(offers: usize, kind: OfferKind, left: u32) -> String {
    let what = match (kind, offers) {
        (OfferKind::CrossSell, 1) => "1 cross-sell offer",
        (OfferKind::UpSell, 1) => "1 up-sell offer",
        (OfferKind::CrossSell, _) => "cross-sell offers",
        (OfferKind::UpSell, _) => "up-sell offers",
    };
    let count = if offers == 1 { String::new() } else { format!("{offers} ") };
    match left {
        0 => format!("{count}{what}; no more can be made now."),
        1 => format!("{count}{what}; 1 more can be made now."),
        left => format!("{count}{what}; {left} more can be made now."),
    }
}

/// The sentence of an answer without offers that a cap kept back.
pub fn capped_message(cap: &Cap, hold: Option<&Hold>, now: Timestamp) -> String {
    let until = match cap.next_eligible_at {
        Some(at) => format!("No offers before {}", moment(at, now)),
        None => "No offers".to_owned(),
    };
    format!("{until}: {}.", cap_reason(cap, hold))
}

/// A moment as people say it: the time for today, else the day.
pub(super) fn moment(at: Timestamp, now: Timestamp) -> String {
    if at.since(now) < DAY && at >= now { at.to_string() } else { at.day().to_string() }
}

fn cap_reason(cap: &Cap, hold: Option<&Hold>) -> String {
    let since = |what: &str| match hold {
        Some(hold) => format!("{what} since {}", hold.created_at.day()),
        None => what.to_owned(),
    };
    match cap.kind {
        CapKind::Hold(HoldReason::OptOut) => "the customer opted out of offers".to_owned(),
        CapKind::Hold(HoldReason::OpenComplaint) => {
            hold.map_or_else(|| "complaint".to_owned(), |hold| format!("complaint {}", hold.note))
        }
        CapKind::Hold(HoldReason::AgentHold) => since("on hold"),
        CapKind::Hold(HoldReason::CancellationNotice) => since("notice of cancellation"),
        CapKind::Hold(HoldReason::Collections) => since("in collections"),
        CapKind::Hold(HoldReason::Bereavement) => since("bereavement"),
        CapKind::Hold(HoldReason::Vulnerability) => since("particular care"),
        CapKind::Hold(HoldReason::ProfilingObjection) => "the customer objects to profiling".to_owned(),
        CapKind::ChannelOptOut => "the customer opted out of this channel".to_owned(),
        CapKind::ControlGroup => {
            "the customer is in the control group, which is offered nothing so that the effect of offers can be measured"
                .to_owned()
        }
        CapKind::BackOff => "the customer rejected an offer".to_owned(),
        CapKind::QuietPeriod => "a quiet period is on".to_owned(),
        CapKind::UpSell if cap.limit == 0 => "relationship health allows no up-sell".to_owned(),
        CapKind::RelationshipHealth | CapKind::SlowRise if cap.limit == 0 => {
            "relationship health allows none".to_owned()
        }
        CapKind::UpSell => spent(cap, "up-sell offers"),
        CapKind::Channel => spent(cap, "offers on this channel"),
        CapKind::RelationshipHealth => spent(cap, "offers"),
        CapKind::SlowRise => format!("{} while trust is rebuilt", spent(cap, "offers")),
    }
}

fn spent(cap: &Cap, what: &str) -> String {
    let days = cap.window.as_secs() / DAY.as_secs();
    format!("{} of {} {what} in {days} days are made", cap.used, cap.limit)
}

/// The sentence of an answer without offers that no cap kept back.
pub fn nothing_suitable_message(kind: OfferKind) -> String {
    match kind {
        OfferKind::CrossSell => {
            "No offers: nothing goes with what the customer has that is worth a pitch now.".to_owned()
        }
        OfferKind::UpSell => "No offers: nothing is enough of an improvement on what the customer has.".to_owned(),
    }
}

/// The sentence of a replay whose offers were all given back.
pub fn released_message() -> String {
    "No offers: this decision was released.".to_owned()
}

/// The sentence about a relationship.
pub fn relationship_message(health: &RelationshipHealth, offers_left: u32, capped: Option<String>) -> String {
    let standing = match health.band {
        Band::Strained => "The relationship is strained",
        Band::Guarded => "The relationship is guarded",
        Band::Steady => "The relationship is steady",
        Band::Strong => "The relationship is strong",
        Band::NewCustomer => "The customer is new",
    };
    match capped {
        Some(capped) => format!("{standing}. {capped}"),
        None if offers_left == 1 => format!("{standing}; 1 offer can be made now."),
        None => format!("{standing}; {offers_left} offers can be made now."),
    }
}
