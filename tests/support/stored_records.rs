//! Records for the tests of the store: small ones, and ones in which every field is set.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use tactful::domain::cached_ranking::{CacheKey, CachedRanking, RankedProduct};
use tactful::domain::channel::{ChannelScope, ConsentKind};
use tactful::domain::customer::{ChannelConsent, Consents, Customer, Hold, HoldReason};
use tactful::domain::decision::{Cap, CapKind, Decision, DecisionMessage, QuietPeriodCause};
use tactful::domain::event::{
    CaseReport, Event, EventKind, OrderLine, Outcome, OutcomeKind, PlanDirection, ReturnReason, Severity, SurveyAnswer,
};
use tactful::domain::evidence::{CountBasis, Evidence};
use tactful::domain::experiment::{Arm, Assignment, ExperimentId};
use tactful::domain::explicit_offer::{ExplicitOffer, Volume, VolumeToken};
use tactful::domain::holdings::{Acquisitions, EvictedSubscription, Holding, Holdings, StartKind, SubscriptionStart};
use tactful::domain::ids::{DecisionId, GrantId, HoldId, Meter, OfferId, RequestId};
use tactful::domain::item_balance::{FoldedMovements, ItemBalance, Movement};
use tactful::domain::ledger::{
    AllowanceLevel, CustomerResponse, Grant, GrantLease, GrantServing, Ledger, ProductCooldown, Rejection, RequestKey,
};
use tactful::domain::merge::{MergeState, MergeStep};
use tactful::domain::offer::{Factors, FeatureGain, MentionedProduct, Offer, OfferKind, PropensityBasis};
use tactful::domain::product::{FeatureValue, Product};
use tactful::domain::rejected_candidate::{DecisionStep, Ineligibility, RejectedCandidate};
use tactful::domain::relationship::{
    AcceptedOffer, Band, Case, Component, ComponentKind, FoldedOpenCases, LastEventTimes, Parting, PartingKind,
    ProductReturn, RelationshipHealth, RelationshipState,
};
use tactful::domain::time::{DAY, Day, Timestamp};
use tactful::domain::usage::{Period, UsageHistory};
use tactful::domain::withheld_reason::WithheldReason;
use tactful::store::backup::record::{BackupRecord, RecordKind};
use tactful::store::codec::explicit_offer::encode_volume;
use tactful::store::contract::change::{Change, VolumeUnit};

use super::shop::{
    case_id, channel, customer_id, event_id, gbp, item_group, ladder_position, offer_id, order_id, placement,
    product_id,
};

/// Seconds after 14 November 2023; with milliseconds, so that formats are seen to store them.
pub fn at(seconds: u64) -> Timestamp {
    Timestamp::from_unix_ms(1_700_000_000_123).expect("in range") + Duration::from_secs(seconds)
}

pub fn visit(customer: &str, id: &str) -> Event {
    Event { customer: Some(customer_id(customer)), ..anonymous_visit(id) }
}

pub fn anonymous_visit(id: &str) -> Event {
    Event { id: event_id(id), customer: None, at: at(0), kind: EventKind::Visit { product: None } }
}

/// Pseudo-random bytes.
pub fn artifact(len: usize) -> Vec<u8> {
    let mut state = 1_u32;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        state.to_be_bytes()[0]
    };
    (0..len).map(|_| next()).collect()
}

pub fn full_cached_ranking(model_version: u64) -> CachedRanking {
    let ranked = |(catalog_index, propensity)| RankedProduct { catalog_index, propensity };
    CachedRanking {
        cache_key: CacheKey { model_version, catalog: 17, customer: u64::MAX },
        ranked_at: at(7),
        ranked: [(300, 0.75), (0, 0.5), (70_000, f32::MIN_POSITIVE)].map(ranked).to_vec(),
    }
}

pub fn decision(customer: &str, id: u128) -> Decision {
    Decision {
        id: DecisionId::from_bits(id),
        customer: customer_id(customer),
        kind: OfferKind::CrossSell,
        at: at(1),
        channel: None,
        placement: None,
        slate: Vec::new(),
        would_be_slate: Vec::new(),
        message: DecisionMessage::NothingSuitable,
        relationship_health: RelationshipHealth {
            score: 0.5,
            band: Band::Steady,
            is_new: false,
            coverage: 0.0,
            components: Vec::new(),
        },
        caps: Vec::new(),
        binding_cap: None,
        next_eligible_at: None,
        withheld: BTreeMap::new(),
        rejected_candidates: Vec::new(),
        policy_version: "default-1".to_owned(),
        model_version: 0,
        ranked_at: at(1),
    }
}

pub fn full_decision(customer: &str, id: u128) -> Decision {
    let cap = |kind, next_eligible_at| Cap {
        kind,
        limit: 4,
        used: 3,
        remaining: 1,
        window: DAY * 28,
        next_eligible_at,
        since: None,
        resolved_at: None,
    };
    Decision {
        id: DecisionId::from_bits(id),
        customer: customer_id(customer),
        kind: OfferKind::UpSell,
        at: at(86_400),
        channel: Some(channel("web")),
        placement: Some(placement("basket-page")),
        slate: vec![full_offer(1), explicit_offer(2)],
        would_be_slate: vec![full_offer(1)],
        message: DecisionMessage::Offers { made: 2, left: 3 },
        relationship_health: RelationshipHealth {
            score: 0.75,
            band: Band::Strong,
            is_new: true,
            coverage: 0.6,
            components: ComponentKind::ALL.map(component).to_vec(),
        },
        caps: vec![
            cap(CapKind::RelationshipHealth, None),
            cap(CapKind::UpSell, Some(at(90_000))),
            cap(CapKind::SlowRise, None),
            cap(CapKind::Hold(HoldReason::Bereavement), None),
            cap(CapKind::BackOff, None),
            Cap { since: Some(at(2)), ..cap(CapKind::QuietPeriod(QuietPeriodCause::PaymentTrouble), None) },
            cap(CapKind::QuietPeriod(QuietPeriodCause::DetractorSurvey), None),
            cap(CapKind::QuietPeriod(QuietPeriodCause::PaymentFailures), None),
            Cap { since: Some(at(3)), resolved_at: Some(at(4)), ..cap(CapKind::Hold(HoldReason::OpenComplaint), None) },
            cap(CapKind::ChannelOptOut(ChannelScope::Queried), None),
            cap(CapKind::ChannelOptOut(ChannelScope::Unset), None),
            cap(CapKind::ConsentMissing(ChannelScope::Unresolved), None),
            cap(CapKind::GrantsKept, Some(at(90_000))),
        ],
        binding_cap: Some(1),
        next_eligible_at: Some(at(100_000)),
        withheld: WITHHELD.into_iter().zip(1..).collect(),
        rejected_candidates: full_rejected_candidates(),
        policy_version: "default-1".to_owned(),
        model_version: 12,
        ranked_at: at(80_000),
    }
}

/// One rejection at each step, with every field set and with none.
fn full_rejected_candidates() -> Vec<RejectedCandidate> {
    let steps = [
        DecisionStep::Proposal,
        DecisionStep::Eligibility,
        DecisionStep::Arbitration,
        DecisionStep::Diversity,
        DecisionStep::ContactPolicy,
        DecisionStep::Cut,
    ];
    let full = Ineligibility {
        reason: WithheldReason::SlateFull,
        other_product: Some(product_id("voice-mail")),
        observed: Some(0.25),
        threshold: Some(0.5),
        until: Some(at(90_000)),
    };
    let rejected = |(number, step): (u32, DecisionStep)| RejectedCandidate {
        product: product_id(format!("p{number}")),
        offer: (number == 1).then(|| offer_id("spring-sale")),
        propensity: 0.125,
        step,
        ineligibility: if number == 0 { WithheldReason::NotProposed.into() } else { full.clone() },
        factors: (number > 2).then(|| full_offer(1).factors),
    };
    (0..).zip(steps).map(rejected).collect()
}

const WITHHELD: [WithheldReason; 22] = [
    WithheldReason::Owned,
    WithheldReason::RequirementMissing,
    WithheldReason::ExcludedByHolding,
    WithheldReason::Unavailable,
    WithheldReason::OutsideDates,
    WithheldReason::OtherCurrency,
    WithheldReason::SameLadder,
    WithheldReason::NotBetter,
    WithheldReason::InContext,
    WithheldReason::ExcludedByCaller,
    WithheldReason::NotInCatalog,
    WithheldReason::OfferedRecently,
    WithheldReason::Declined,
    WithheldReason::NotWorthAttention,
    WithheldReason::TooSimilar,
    WithheldReason::CapReached,
    WithheldReason::UpSellCapReached,
    WithheldReason::OnHold,
    WithheldReason::BackOff,
    WithheldReason::QuietPeriod,
    WithheldReason::OptedOut,
    WithheldReason::ConsentMissing,
];

fn component(kind: ComponentKind) -> Component {
    let is_known = kind != ComponentKind::Sentiment;
    Component { kind, value: 0.7, weight: 1.0 / 7.0, input: -0.25, half_life_days: is_known.then_some(30.0), is_known }
}

fn full_offer(rank: u32) -> Offer {
    Offer {
        id: OfferId::implicit(&product_id("toaster-4")),
        kind: OfferKind::UpSell,
        product: product_id("toaster-4"),
        title: "Toaster, four slots".to_owned(),
        rank,
        price: Some(gbp("39.99")),
        valid_until: None,
        price_step: Some(gbp("-0.000000001")),
        factors: Factors {
            propensity: 0.12,
            propensity_basis: PropensityBasis::Outcomes,
            acceptance_lift: 1.25,
            value: 1.1,
            seller_value: 0.9,
            margin_is_assumed: true,
            customer_gain: 1.3,
            need: 1.5,
            keep_probability: 0.87,
            seller_share: 0.4,
            context: 1.0,
            lever: 2.0,
            attention_price: 0.001,
        },
        reasons: vec![
            Evidence::BetterFeatures,
            Evidence::BoughtTogether {
                with: product_id("bread"),
                together: 3,
                with_total: 4,
                counted: CountBasis::Baskets,
            },
            Evidence::Popular { buyers: 5, days: 90 },
            Evidence::NewInCategory { like: product_id("butter"), buyers: 6, days: 90 },
            Evidence::Compatible { with: product_id("bread") },
            Evidence::HigherTier { from: 1, to: 2 },
            Evidence::MovedUp { customers: 7 },
            Evidence::Accepted { accepted: 8, offered: 9, days: 180 },
            Evidence::InRange { category: vec!["kitchen".to_owned(), "toasters".to_owned()] },
            Evidence::UsageNearAllowance { share: 0.925 },
        ],
        goes_with: vec![product_id("bread"), product_id("butter")],
        replaces: Some(product_id("toaster-2")),
        gains: vec![
            FeatureGain {
                feature: "slots".to_owned(),
                from: Some(FeatureValue::Number(2.0)),
                to: FeatureValue::Number(4.0),
            },
            FeatureGain { feature: "defrost".to_owned(), from: None, to: FeatureValue::Flag(true) },
        ],
        mentioned: BTreeMap::from([
            (product_id("bread"), MentionedProduct { title: "Sourdough".to_owned(), is_owned: true }),
            (product_id("butter"), MentionedProduct { title: String::new(), is_owned: false }),
        ]),
        grant: GrantId::from_bits(0x0123_4567_89ab_cdef),
        is_already_granted: true,
    }
}

fn explicit_offer(rank: u32) -> Offer {
    let mut offer = full_offer(rank);
    offer.id = offer_id("spring-sale");
    offer.kind = OfferKind::CrossSell;
    offer.factors.propensity_basis = PropensityBasis::Catalog;
    offer.price = None;
    offer.valid_until = Some(at(500_000));
    offer.price_step = None;
    offer.replaces = None;
    offer.gains = Vec::new();
    offer.is_already_granted = false;
    offer
}

pub fn full_product(id: &str) -> Product {
    Product {
        id: product_id(id),
        title: "Toaster, four slots".to_owned(),
        category: vec!["kitchen".to_owned(), "toasters".to_owned()],
        price: Some(gbp("39.99")),
        margin: Some(gbp("-1.50")),
        ladder_position: Some(ladder_position("toasters", 2)),
        item_group: Some(item_group("four-slots")),
        features: BTreeMap::from([
            ("slots".to_owned(), FeatureValue::Number(4.0)),
            ("defrost".to_owned(), FeatureValue::Flag(true)),
            ("colour".to_owned(), FeatureValue::Text("red".to_owned())),
        ]),
        requires: BTreeSet::from([product_id("socket")]),
        excludes: BTreeSet::from([product_id("gas")]),
        compatible_with: BTreeSet::from([product_id("bread"), product_id("crumpets")]),
        repeatable: true,
        available: false,
        available_from: Some(at(0)),
        available_until: Some(at(1_000_000)),
        attributes: BTreeMap::from([("brand".to_owned(), "Röst & Söhne".to_owned())]),
    }
}

/// Usage with and without a meter.
fn usage() -> UsageHistory {
    let mut usage = UsageHistory::default();
    let period = |number: u64| Period::new(at(number * 1000), at((number + 1) * 1000)).expect("ends later");
    usage.record(None, period(0), 0.925);
    usage.record(None, period(1), 0.0);
    usage.record(Some(meter("minutes")), period(0), 1.5);
    usage
}

fn meter(name: &str) -> Meter {
    Meter::new(name).expect("a valid name")
}

/// A customer with one further id, and the alias of that id.
pub fn merged_pair() -> (Customer, Customer) {
    let [mut ada, mut guest] = ["ada", "guest"].map(|id| Customer::unknown(customer_id(id)));
    ada.merge.members.insert(guest.id.clone());
    guest.merge.step = MergeStep::Alias { into: ada.id.clone() };
    (ada, guest)
}

/// A customer with every field set and every variant of an enum.
pub fn full_customer(id: &str) -> Customer {
    Customer {
        id: customer_id(id),
        merge: MergeState {
            members: BTreeSet::from([customer_id("guest-1"), customer_id("guest-2")]),
            step: MergeStep::Absorbing { from: customer_id("guest-3") },
            was_merged: true,
        },
        attributes: BTreeMap::from([("segment".to_owned(), "small business".to_owned())]),
        consents: Consents {
            is_opted_out: true,
            channel_opt_outs: BTreeSet::from([channel("email"), channel("call-centre")]),
            channel_consents: [("sms", ConsentKind::OptIn), ("E-Mail", ConsentKind::SoftOptIn)]
                .map(|(name, kind)| {
                    (channel(name), ChannelConsent { kind, granted_at: at(5), source: "web form 3".to_owned() })
                })
                .into(),
            objects_to_profiling: true,
        },
        holds: HOLDS
            .into_iter()
            .zip(0..)
            .map(|(reason, number)| Hold {
                id: HoldId::new(format!("hold-{number}")).expect("a valid id"),
                reason,
                note: "asked for quiet".to_owned(),
                created_at: at(number),
                expires_at: (number % 2 == 0).then(|| at(number + 1000)),
            })
            .collect(),
        holdings: Holdings {
            latest: BTreeMap::from([
                (product_id("toaster-2"), Holding::bought_at(at(0), 3)),
                (product_id("line"), full_holding()),
            ]),
            fingerprints: BTreeSet::from([0, 7, 0x00ff_ffff, u32::MAX]),
            evicted_subscriptions: BTreeMap::from([(
                8,
                EvictedSubscription {
                    acquired: Acquisitions { first_at: at(40), last_at: at(4_500_000) },
                    subscribed_at: at(4_000_000),
                    is_start: true,
                },
            )]),
            evicted_end_at: Some(at(5_000_000)),
        },
        relationship: full_relationship(),
        ledger: full_ledger(),
    }
}

const HOLDS: [HoldReason; 9] = [
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

fn full_holding() -> Holding {
    Holding {
        first_event_at: at(10),
        acquired: Some(Acquisitions { first_at: at(11), last_at: at(5_000_000) }),
        items: ItemBalance {
            folded: Some(FoldedMovements { through: at(11), items: u64::MAX }),
            movements: vec![Movement { at: at(12), items: i64::MIN }, Movement { at: at(13), items: i64::MAX }],
        },
        starts: [(10, StartKind::Start), (15, StartKind::PlanChange), (20, StartKind::Renewal)]
            .map(|(seconds, kind)| SubscriptionStart { at: at(seconds), kind })
            .to_vec(),
        starts_dropped_through: Some(at(14)),
        folded_end_at: Some(at(9)),
        // Events come in any order, so any moment may lie before the first.
        ended_at: Some(Timestamp::MIN),
        possibly_ended_at: Some(at(17)),
        returned_at: Some(Timestamp::MAX),
        unwanted_at: Some(at(7_000_000)),
        wrong_variant_at: Some(at(6_000_000)),
        usage: usage(),
    }
}

fn parting(seconds: u64, kind: PartingKind) -> Parting {
    Parting { at: at(seconds), product: product_id("line"), kind, follows_acceptance: seconds.is_multiple_of(2) }
}

fn full_relationship() -> RelationshipState {
    let mut state = RelationshipState {
        cases: vec![
            Case {
                id: case_id("case-1"),
                is_complaint: true,
                severity: Severity::new(4),
                reported_at: Some(at(1)),
                resolved_at: None,
            },
            Case {
                id: case_id("case-2"),
                is_complaint: false,
                severity: None,
                reported_at: None,
                resolved_at: Some(at(2)),
            },
        ],
        accepted_offers: vec![AcceptedOffer { at: at(3), product: product_id("voice-mail"), since: at(2) }],
        acceptances_dropped_through: Some(at(1)),
        returns: vec![ProductReturn { at: at(4), product: product_id("voice-mail"), follows_acceptance: true }],
        returns_dropped_through: Some(at(2)),
        partings: vec![
            parting(5, PartingKind::Cancellation),
            parting(6, PartingKind::SubscriptionEnd),
            parting(7, PartingKind::Downgrade { to: None }),
            parting(8, PartingKind::Downgrade { to: Some(product_id("toaster-2")) }),
            parting(9, PartingKind::PlanChange { to: product_id("line-2"), direction: None }),
            parting(
                10,
                PartingKind::PlanChange { to: product_id("line-2"), direction: Some(PlanDirection::RightSized) },
            ),
        ],
        partings_dropped_through: Some(at(3)),
        folded_open_cases: Some(FoldedOpenCases { friction: 0.7, until: at(70) }),
        folded_complaints_hold_until: Some(at(71)),
        first_purchase_day: Some(Day::from_number(-2)),
        purchase_days: BTreeSet::from([i32::MIN, -1, 0, 19_675, 19_676, i32::MAX].map(Day::from_number)),
        last: LastEventTimes {
            purchase: Some(at(1)),
            return_: Some(at(2)),
            ticket: Some(at(3)),
            payment_trouble: Some(at(4)),
            cancellation: Some(at(5)),
            commitment: Some(at(6)),
            subscription_start: Some(at(7)),
            detractor_survey: Some(at(7)),
            payment_failures: BTreeSet::from([at(8), at(9)]),
        },
        ..RelationshipState::default()
    };
    state.folded_friction.add(at(1), 0.1);
    state.payment_trouble.add(at(2), 0.2);
    state.offer_pressure.add(at(3), 0.3);
    state.sentiment.add(at(4), -0.4);
    state.folded_value.add(at(5), -0.5);
    state.engagement.add(at(6), 0.6);
    state.spent.add(at(7), 12.5);
    state.returned.add(at(8), 1.0);
    state
}

fn full_ledger() -> Ledger {
    let grant = |offer: Option<&str>, kind, response: Option<CustomerResponse>| Grant {
        id: GrantId::from_bits(u64::MAX - 2),
        offer: offer.map_or_else(|| OfferId::implicit(&product_id("voice-mail")), offer_id),
        product: product_id("voice-mail"),
        kind,
        channel: offer.map(channel),
        granted_at: at(100),
        lease: (response != Some(CustomerResponse::Rejected)).then(|| GrantLease {
            ends_at: at(1000),
            servings: vec![
                GrantServing { decision: DecisionId::from_bits(u128::MAX), is_released: true },
                GrantServing { decision: DecisionId::from_bits(1), is_released: false },
            ],
            is_irrevocable: offer.is_some(),
        }),
        response,
    };
    Ledger {
        clock: Some(at(200)),
        grants: vec![
            grant(None, OfferKind::CrossSell, None),
            grant(Some("sale"), OfferKind::UpSell, Some(CustomerResponse::Accepted)),
            grant(Some("sale-2"), OfferKind::UpSell, Some(CustomerResponse::Rejected)),
            grant(Some("sale-3"), OfferKind::UpSell, Some(CustomerResponse::Dismissed)),
        ],
        request_keys: vec![RequestKey {
            kind: OfferKind::UpSell,
            request: RequestId::from_bits(0x0123_4567_89ab_cdef_0123_4567_89ab_cdef),
            digest: u64::MAX,
            decision: DecisionId::from_bits(42),
            at: at(100),
        }],
        level: Some(AllowanceLevel { offers: 4, since: at(50) }),
        rejections: vec![
            Rejection { at: at(55), decision: DecisionId::from_bits(40) },
            Rejection { at: at(60), decision: DecisionId::from_bits(41) },
        ],
        accepted_at: Some(at(54)),
        product_cooldowns: vec![ProductCooldown { product: product_id("toaster-4"), until: at(9000) }],
        would_be_grants: vec![grant(None, OfferKind::CrossSell, None)],
        assignment: Some(Assignment {
            experiment: ExperimentId::from_bits(u64::MAX - 1),
            arm: Arm::Control,
            at: at(150),
            band: Band::Guarded,
        }),
    }
}

/// One event of every kind, with and without optional fields.
pub fn events_of_every_kind(customer: &str) -> Vec<Event> {
    let line = |order: Option<&str>, unit_price| OrderLine {
        product: product_id("toaster-2"),
        order: order.map(order_id),
        quantity: 2,
        unit_price,
    };
    let report = |case: Option<&str>, level| CaseReport {
        case: case.map(case_id),
        severity: Severity::new(level).expect("1 to 4"),
    };
    let mut kinds = vec![
        EventKind::Purchase(line(Some("order-1"), Some(gbp("19.99")))),
        EventKind::Return { line: line(None, None), reason: ReturnReason::WrongVariant },
        EventKind::Cancellation { product: Some(product_id("line")) },
        EventKind::Cancellation { product: None },
        EventKind::Downgrade { from: product_id("toaster-4"), to: Some(product_id("toaster-2")) },
        EventKind::Downgrade { from: product_id("toaster-4"), to: None },
        EventKind::SubscriptionStart { product: product_id("line") },
        EventKind::SubscriptionEnd { product: product_id("line") },
        EventKind::SubscriptionRenewal { product: product_id("line") },
        EventKind::Usage {
            product: product_id("line"),
            amount: 1.5,
            allowance: Some(2.0),
            meter: Some(meter("minutes")),
            period: Period::new(at(0), at(1000)),
        },
        EventKind::Usage { product: product_id("line"), amount: 0.0, allowance: None, meter: None, period: None },
        EventKind::SupportTicket(report(None, 1)),
        EventKind::Complaint(report(Some("case-1"), 4)),
        EventKind::CaseResolved { case: case_id("case-1") },
        EventKind::PaymentLate,
        EventKind::PaymentFailed,
        EventKind::PaymentDisputed,
        EventKind::Survey(SurveyAnswer::new(9.0, 10.0).expect("on its scale")),
        EventKind::Visit { product: Some(product_id("line")) },
        EventKind::Visit { product: None },
    ];
    kinds.extend(OutcomeKind::ALL.map(|kind| {
        EventKind::Outcome(Outcome {
            decision: DecisionId::from_bits(7),
            offer: OfferId::implicit(&product_id("toaster-4")),
            grant: GrantId::from_bits(u64::MAX - 2),
            product: product_id("toaster-4"),
            kind,
            case: (kind == OutcomeKind::Complained).then(|| case_id("case-2")),
        })
    }));
    let directions = [None, Some(PlanDirection::Sideways), Some(PlanDirection::RightSized)];
    kinds.extend(directions.map(|direction| EventKind::PlanChange {
        from: product_id("toaster-4"),
        to: product_id("toaster-2"),
        direction,
    }));
    let event = |(kind, number): (EventKind, u64)| Event {
        id: event_id(format!("{}-{number}", kind.as_str())),
        customer: Some(customer_id(customer)),
        at: at(number),
        kind,
    };
    kinds.into_iter().zip(0..).map(event).collect()
}

pub fn full_explicit_offer(id: &str) -> ExplicitOffer {
    ExplicitOffer {
        id: offer_id(id),
        product: product_id("toaster-4"),
        kind: Some(OfferKind::UpSell),
        price: Some(gbp("29.99")),
        valid_from: Some(at(0)),
        valid_until: Some(at(500_000)),
        channels: vec![channel("web"), channel("email")],
        placements: vec![placement("basket-page")],
        lever: 1.5,
        volume_cap: Some(100),
        condition: Some("segment == 'gold'".to_owned()),
    }
}

/// An explicit offer of a product of its own.
pub fn sale(offer: &str, volume_cap: Option<u64>) -> ExplicitOffer {
    ExplicitOffer { volume_cap, ..ExplicitOffer::new(offer_id(offer), product_id(offer)) }
}

/// A decision that grants these offers.
pub fn grant(customer: &str, id: u128, offers: &[&str]) -> Decision {
    let granted = |offer: &&str| Offer { id: offer_id(*offer), ..full_decision(customer, id).slate[0].clone() };
    Decision { slate: offers.iter().map(granted).collect(), ..decision(customer, id) }
}

/// The unit of an offer's volume that a decision took.
pub fn volume_unit(offer: &str, decision: u128) -> VolumeUnit {
    VolumeUnit { offer: offer_id(offer), decision: DecisionId::from_bits(decision) }
}

/// A reservation of ada's, left behind by a commit that was interrupted, whose lease expires at 60 seconds.
pub fn reservation(offer: &str, decision: u128) -> VolumeToken {
    VolumeToken {
        offer: offer_id(offer),
        decision: DecisionId::from_bits(decision),
        customer: customer_id("ada"),
        lease_ends_at: at(60),
    }
}

/// A volume of `settled` units with one reservation. The contract has no other way to leave a reservation behind.
pub fn volume_record(settled: u64, pending: VolumeToken) -> BackupRecord {
    let key = pending.offer.as_str().as_bytes().to_vec();
    let volume = Volume { settled, pending: vec![pending] };
    BackupRecord { kind: RecordKind::Volume, key, value: encode_volume(&volume).expect("encodes") }
}

/// Records that a commit appends.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Appended {
    pub events: Vec<Event>,
    pub decision: Option<Decision>,
}

impl Appended {
    /// The change that appends them.
    pub fn change<'a>(&'a self, expected: u64, customer: &'a Customer) -> Change<'a> {
        Change { events: &self.events, decision: self.decision.as_ref(), ..Change::new(expected, customer, at(0)) }
    }
}
