//! Offers, caps and decisions for the tests of sentences.

use std::collections::BTreeMap;

use crate::domain::customer::HoldReason;
use crate::domain::decision::{Cap, CapKind, Decision, DecisionMessage};
use crate::domain::ids::{CustomerId, DecisionId, GrantId, OfferId, ProductId};
use crate::domain::money::{Currency, Money};
use crate::domain::offer::{Factors, FeatureGain, MentionedProduct, Offer, OfferKind, PropensityBasis};
use crate::domain::product::FeatureValue;
use crate::domain::relationship::{Band, RelationshipHealth};
use crate::domain::time::{DAY, Timestamp};

pub const HOLD_REASONS: [HoldReason; 9] = [
    HoldReason::OptOut,
    HoldReason::OpenComplaint,
    HoldReason::AgentHold,
    HoldReason::CancellationNotice,
    HoldReason::Collections,
    HoldReason::Bereavement,
    HoldReason::Vulnerability,
    HoldReason::ProfilingObjection,
    HoldReason::Merge,
];

/// 2 March 2026.
pub fn march_2() -> Timestamp {
    Timestamp::from_unix_ms(20_514 * 86_400_000).expect("in range")
}

/// 5 March 2026, 12:00.
pub fn now() -> Timestamp {
    march_2() + DAY * 3 + DAY / 2
}

pub fn id(text: &str) -> ProductId {
    ProductId::new(text).expect("a valid id")
}

pub fn dollars(text: &str) -> Money {
    Money::parse(text, Currency::new("USD").expect("a code")).expect("an amount")
}

pub fn number(feature: &str, from: Option<f64>, to: f64) -> FeatureGain {
    FeatureGain { feature: feature.to_owned(), from: from.map(FeatureValue::Number), to: FeatureValue::Number(to) }
}

/// An offer of the four-slot toaster to a customer who has the two-slot one and the local line, with a kettle in the
/// basket.
pub fn offer(kind: OfferKind) -> Offer {
    let mention =
        |product: &str, title: &str, is_owned| (id(product), MentionedProduct { title: title.to_owned(), is_owned });
    Offer {
        id: OfferId::implicit(&id("toaster-4")),
        kind,
        product: id("toaster-4"),
        title: "Four-slot toaster".to_owned(),
        rank: 1,
        price: Some(dollars("60.00")),
        valid_until: None,
        price_step: None,
        factors: Factors {
            propensity: 0.1,
            propensity_basis: PropensityBasis::Purchases,
            acceptance_lift: 1.0,
            value: 1.0,
            seller_value: 1.0,
            margin_is_assumed: false,
            customer_gain: 1.0,
            need: 1.0,
            keep_probability: 1.0,
            seller_share: 0.5,
            context: 1.0,
            lever: 1.0,
            attention_price: 0.001,
        },
        reasons: Vec::new(),
        goes_with: Vec::new(),
        replaces: (kind == OfferKind::UpSell).then(|| id("toaster-2")),
        gains: Vec::new(),
        mentioned: BTreeMap::from([
            mention("line", "Local line", true),
            mention("toaster-2", "Two-slot toaster", true),
            mention("kettle", "Kettle", false),
        ]),
        grant: GrantId::from_bits(1),
        is_already_granted: false,
    }
}

/// A cap that is used up.
pub fn cap(kind: CapKind, limit: u32, next_eligible_at: Option<Timestamp>) -> Cap {
    Cap { kind, limit, used: limit, remaining: 0, window: DAY * 30, next_eligible_at, since: None, resolved_at: None }
}

/// A hold since 2 March until 14 March.
pub fn hold(reason: HoldReason) -> Cap {
    Cap { since: Some(march_2()), ..cap(CapKind::Hold(reason), 0, Some(march_2() + DAY * 12)) }
}

/// A decision without offers because of a cap, and of nothing else.
pub fn capped(cap: Cap) -> Decision {
    Decision {
        id: DecisionId::from_bits(1),
        customer: CustomerId::new("ada").expect("a valid id"),
        kind: OfferKind::CrossSell,
        at: now(),
        channel: None,
        placement: None,
        slate: Vec::new(),
        would_be_slate: Vec::new(),
        message: DecisionMessage::Capped,
        relationship_health: RelationshipHealth {
            score: 0.5,
            band: Band::Steady,
            is_new: false,
            coverage: 1.0,
            components: Vec::new(),
        },
        next_eligible_at: cap.next_eligible_at,
        caps: vec![cap],
        binding_cap: Some(0),
        withheld: BTreeMap::new(),
        rejected_candidates: Vec::new(),
        policy_version: "default-1".to_owned(),
        model_version: 0,
        ranked_at: now(),
    }
}
