//! Generators of histories, policies and outlooks for property tests.
//!
//! A history is what one customer may live through: decisions that granted offers, then events of every kind, outcomes of
//! those offers included. Times are what real sources send: a grid of hours, the same millisecond again and again, the
//! borders of days, years long past, and a few minutes in the future. Catalogues have ladders and categories, histories
//! touch from 3 to 300 products and have up to 500 events, and policies differ from the default in every cap and window.
//!
//! [`any_history`] draws all of it. [`any_kind`], [`any_time`], [`any_policy`], [`any_channel`] and [`any_outlook`] are the
//! parts, for tests that need a shape of their own.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;
use std::time::Duration;

use proptest::prelude::*;
use tactful::decision::apply_event::apply_event_within;
use tactful::decision::decide::decide;
use tactful::decision::relationship::assess;
use tactful::domain::candidate::Candidate;
use tactful::domain::catalog::Catalog;
use tactful::domain::customer::Customer;
use tactful::domain::decayed_sum::HalfLife;
use tactful::domain::event::{
    CaseReport, Event, EventKind, OrderLine, Outcome, OutcomeKind, PlanDirection, Polarity, ReturnReason, Severity,
    SurveyAnswer,
};
use tactful::domain::ids::Channel;
use tactful::domain::ledger::GRANTS_MAX;
use tactful::domain::offer::OfferKind;
use tactful::domain::outlook::{
    BuyingFeature, BuyingOutlook, FeatureWeight, MbgNbd, Monotonicity, Outlook, RecencyFrequency, StayingFeature,
    StayingOutlook,
};
use tactful::domain::policy::{BandCaps, Policy};
use tactful::domain::product::Product;
use tactful::domain::relationship::RelationshipHealth;
use tactful::domain::state_bounds::StateBounds;
use tactful::domain::time::{DAY, Day, Timestamp};

use crate::scenario::{candidate, decision_context, offer_query};
use crate::support::shop::{
    MS, case_id, channel, customer, event, now as start, numbered_product_id, on_ladder, order_line, product,
};

/// Number of products in the catalogue of generated histories.
pub const PRODUCTS_MAX: usize = 300;
/// Days from [`start`] to [`end`].
const HISTORY_DAYS: u32 = 400;
/// Events may be dated this far after [`end`], as clocks of clients are ahead.
const AHEAD_MAX: Duration = Duration::from_secs(300);

/// Configuration of a property test: `PROPTEST_CASES` cases, or `cases` when it is not set. Filters and assumptions may reject as
/// large a share of many cases as of few.
pub fn config(cases: u32) -> ProptestConfig {
    let from_environment = std::env::var("PROPTEST_CASES").ok().and_then(|text| text.parse().ok());
    let cases = from_environment.unwrap_or(cases);
    ProptestConfig {
        failure_persistence: None,
        max_local_rejects: cases.saturating_mul(50).max(65_536),
        max_global_rejects: cases.max(1024),
        ..ProptestConfig::with_cases(cases)
    }
}

/// End of every generated history, apart from events that are dated slightly in the future.
pub fn end() -> Timestamp {
    start() + DAY * HISTORY_DAYS
}

/// Catalogue of [`PRODUCTS_MAX`] products: three ladders of four plans each, `p0` to `p11`; then twelve services without a
/// ladder in two categories, and products in twenty categories.
pub fn catalog() -> &'static Catalog {
    static CATALOG: LazyLock<Catalog> =
        LazyLock::new(|| Catalog::new((0..PRODUCTS_MAX).map(numbered_product).collect()));
    &CATALOG
}

fn numbered_product(number: usize) -> Product {
    let plain = product(format!("p{number}"), format!("Product {number}"));
    let category = match number {
        0..=11 => format!("Plans {}", number / 4),
        12..=23 => format!("Services {}", number % 2),
        _ => format!("Category {}", number % 20),
    };
    let plain = Product { category: vec![category], ..plain };
    match u32::try_from(number) {
        Ok(number @ 0..=11) => on_ladder(format!("ladder{}", number / 4), number % 4 + 1, plain),
        _ => plain,
    }
}

/// Candidates for the first `products` products.
pub fn candidates(products: usize) -> Vec<Candidate> {
    (0..products).map(|number| candidate(numbered_product_id(number))).collect()
}

/// Any channel of a request: the few that policies name, or none.
pub fn any_channel() -> impl Strategy<Value = Option<Channel>> {
    proptest::option::of(proptest::sample::select(vec!["web", "email", "phone"]).prop_map(channel))
}

/// Any kind of event about the first `products` products, except outcomes.
pub fn any_kind(products: usize) -> impl Strategy<Value = EventKind> {
    let report = (0..40usize, 1..=4u8, any::<bool>()).prop_map(|(number, level, has_case)| CaseReport {
        case: has_case.then(|| case_id(format!("case{number}"))),
        severity: Severity::new(level).expect("1 to 4"),
    });
    let id = move || (0..products).prop_map(numbered_product_id);
    let line = move || (id(), 1..5u32).prop_map(|(product, quantity)| OrderLine { quantity, ..order_line(product) });
    prop_oneof![
        4 => line().prop_map(EventKind::Purchase),
        2 => (line(), proptest::sample::select(ReturnReason::ALL.to_vec()))
            .prop_map(|(line, reason)| EventKind::Return { line, reason }),
        1 => proptest::option::of(id()).prop_map(|product| EventKind::Cancellation { product }),
        1 => (id(), id()).prop_map(|(from, to)| EventKind::Downgrade { to: (from != to).then_some(to), from }),
        1 => (id(), id(), proptest::option::of(proptest::sample::select(PlanDirection::ALL.to_vec())))
            .prop_filter("another plan", |(from, to, _)| from != to)
            .prop_map(|(from, to, direction)| EventKind::PlanChange { from, to, direction }),
        3 => id().prop_map(|product| EventKind::SubscriptionStart { product }),
        2 => id().prop_map(|product| EventKind::SubscriptionEnd { product }),
        1 => id().prop_map(|product| EventKind::SubscriptionRenewal { product }),
        1 => (id(), 0.0..200.0)
            .prop_map(|(product, amount)| EventKind::Usage {
                product,
                amount,
                allowance: Some(100.0),
                meter: None,
                period: None,
            }),
        2 => report.clone().prop_map(EventKind::SupportTicket),
        2 => report.prop_map(EventKind::Complaint),
        2 => (0..40usize).prop_map(|number| EventKind::CaseResolved { case: case_id(format!("case{number}")) }),
        1 => Just(EventKind::PaymentLate),
        1 => Just(EventKind::PaymentFailed),
        1 => Just(EventKind::PaymentDisputed),
        2 => (0.0..=10.0).prop_map(|score| EventKind::Survey(SurveyAnswer::new(score, 10.0).expect("in range"))),
        1 => Just(EventKind::Visit { product: None }),
    ]
}

/// Any bad kind of event about the first `products` products, except outcomes.
pub fn any_bad_kind(products: usize) -> impl Strategy<Value = EventKind> {
    any_kind(products).prop_filter("bad", |kind| kind.polarity() == Polarity::Bad)
}

/// Any time of an event.
pub fn any_time() -> impl Strategy<Value = Timestamp> {
    let day = Duration::from_secs(86_400);
    prop_oneof![
        // A grid of hours, as most sources export.
        8 => (0..HISTORY_DAYS * 24).prop_map(|hours| start() + DAY * hours / 24),
        // Few instants, so that many events share one.
        2 => (0..5u32).prop_map(move |number| start() + day * number * 60),
        // Midnight, and a millisecond before and after it.
        2 => (0..HISTORY_DAYS, 0..3u32)
            .prop_map(|(days, offset)| day_after_start(days) - MS + MS * offset),
        // Within seconds of each other.
        1 => (0..20_000u64).prop_map(|ms| start() + DAY * 200 + Duration::from_millis(ms)),
        // Long ago.
        1 => (1..120u32).prop_map(|years| start() - DAY * 365 * years),
        // Clocks that are ahead.
        1 => (0..=AHEAD_MAX.as_millis()).prop_map(|ms| {
            end() + Duration::from_millis(u64::try_from(ms).expect("minutes"))
        }),
    ]
}

/// Midnight at the start of a day.
fn day_after_start(days: u32) -> Timestamp {
    Day::from_number(start().day().number() + i32::try_from(days).expect("few days")).start()
}

/// Any policy that would be accepted: caps, windows, pauses, half-lives and weights other than the default's.
pub fn any_policy() -> impl Strategy<Value = Policy> {
    let steps = proptest::collection::vec(0..4u32, 4);
    let caps = (steps, 0..6u32, 1..=3u32, proptest::option::of(0..4u32), proptest::option::of(0..4u32));
    let windows = (7..60u32, 1..=7u32, 1..48u32, 1..20u32);
    let pauses = (1..30u32, 1..6u32, 0..90u32, 0..5u32, 0..5u32, 0..3u32);
    let half_life = proptest::sample::select(vec![30.0, 90.0]);
    let relationship = (1..120u32, 0.0..2.0_f64, 0.0..3.0_f64, 0.0..0.5_f64, half_life, 0..72u32);
    let other = (caps, windows, pauses, relationship).prop_map(
        |((steps, new_customer, per_offer, on_email, on_web), windows, pauses, relationship)| {
            let mut policy = Policy { version: "generated".to_owned(), ..Policy::default() };
            let contact = &mut policy.contact;
            let (cap_days, visit_days, lease_hours, rise_days) = windows;
            // A policy that could grant more than a record holds is refused.
            let offers_max = u32::try_from(GRANTS_MAX).expect("small") / 180_u32.div_ceil(cap_days);
            let mut offers = 0;
            for (caps, step) in contact.caps.iter_mut().zip(&steps) {
                offers = (offers + step).min(offers_max);
                *caps = BandCaps { offers, up_sell: offers / 2 };
            }
            contact.caps[4] = BandCaps { offers: new_customer, up_sell: new_customer / 2 };
            contact.per_offer = per_offer;
            for (name, cap) in [("email", on_email), ("web", on_web)] {
                contact.channels.terms_mut(&channel(name)).expect("a default channel").cap = cap;
            }

            contact.cap_window = DAY * cap_days;
            contact.visit_window = DAY * visit_days.min(cap_days);
            contact.lease = (DAY * lease_hours / 24).min(contact.visit_window);
            let lease = Some(contact.visit_window);
            contact.channels.terms_mut(&channel("email")).expect("a default channel").lease = lease;
            contact.rise_step = DAY * rise_days;

            let (back_off_days, growth, cooldown_days, quiet_purchase, quiet_return, quiet_ticket) = pauses;
            contact.back_off = DAY * back_off_days;
            contact.back_off_max = contact.back_off * (1 << growth);
            contact.rejected_product_cooldown = DAY * cooldown_days;
            contact.dismissed_product_cooldown = DAY * (cooldown_days / 2);
            contact.quiet_after_purchase = DAY * quiet_purchase;
            contact.quiet_after_return = DAY * quiet_return;
            contact.quiet_after_ticket = DAY * quiet_ticket;

            let (regret_days, accepted, regretted, returned, half_life_days, change_hours) = relationship;
            let relationship = &mut policy.relationship;
            relationship.regret_window = DAY * regret_days;
            relationship.accepted_weight = accepted;
            relationship.regretted_weight = regretted;
            relationship.return_weight = returned;
            relationship.plan_change_window = DAY * change_hours / 24;
            for component in &mut relationship.components[..4] {
                component.half_life = HalfLife::of_days(half_life_days).expect("supported");
            }
            policy
        },
    );
    prop_oneof![1 => Just(Policy::default()), 1 => other]
}

/// Any outlook that training may return: weights of the declared directions, or none.
pub fn any_outlook() -> impl Strategy<Value = Outlook> {
    let parameter = || 0.01..20.0_f64;
    let weights = |directions: Vec<Monotonicity>| {
        let weight = |direction| {
            (-3.0..3.0_f64, 0.05..3.0_f64, 0.0..1.5_f64).prop_map(move |(mean, deviation, size)| {
                let weight = if direction == Monotonicity::Increasing { size } else { -size };
                FeatureWeight { mean, deviation, weight }
            })
        };
        directions.into_iter().map(weight).collect::<Vec<_>>()
    };
    let rhythm =
        (parameter(), parameter(), parameter(), parameter()).prop_map(|(r, alpha, a, b)| MbgNbd { r, alpha, a, b });
    let of_buying = weights(BuyingFeature::ALL.map(BuyingFeature::monotonicity).to_vec());
    let buying = (rhythm, 7.0..200.0_f64, -3.0..3.0_f64, 0.0..=1.0_f64, of_buying).prop_map(
        |(rhythm, learned_days, intercept, slope, weights)| BuyingOutlook {
            rhythm,
            learned_days,
            intercept,
            slope,
            typical: RecencyFrequency { repeat_purchases: 2.0, recency_weeks: 10.0, age_weeks: 20.0 },
            weights: weights.try_into().expect("one for each feature"),
        },
    );
    let of_staying = weights(StayingFeature::ALL.map(StayingFeature::monotonicity).to_vec());
    let staying = (7.0..200.0_f64, -3.0..3.0_f64, of_staying).prop_map(|(learned_days, intercept, weights)| {
        let weights = weights.try_into().expect("one for each feature");
        StayingOutlook { learned_days, intercept, weights, attributes: BTreeMap::new() }
    });
    (proptest::option::of(buying), proptest::option::of(staying))
        .prop_map(|(buying, staying)| Outlook { buying, staying })
}

/// One decision of a history.
#[derive(Debug, Clone)]
pub struct Contact {
    kind: OfferKind,
    channel: Option<Channel>,
    /// Number of the first candidate; the others follow it.
    first: usize,
    offers_max: usize,
    at: Timestamp,
}

/// One entry of a history.
#[derive(Debug, Clone)]
enum Entry {
    Event(EventKind),
    /// Outcome of an offer: numbers of the contact and of the offer in its slate, modulo their counts.
    Outcome {
        contact: usize,
        offer: usize,
        kind: OutcomeKind,
    },
}

/// What one customer lives through: decisions first, then events in the order of their arrival.
#[derive(Debug, Clone)]
pub struct History {
    /// The policy under which everything happens.
    pub policy: Policy,
    /// The outlook of the model.
    pub outlook: Outlook,
    /// Number of products that the history touches.
    pub products: usize,
    contacts: Vec<Contact>,
    entries: Vec<(Timestamp, Entry)>,
}

/// A history whose outcomes are those of offers that were granted.
#[derive(Debug, Clone)]
pub struct PlayedHistory {
    /// The customer after the decisions, before the events.
    pub contacted: Customer,
    /// The events.
    pub events: Vec<Event>,
}

/// Bounds beyond every generated history.
pub const UNBOUNDED: StateBounds = StateBounds {
    holdings: 10_000,
    fingerprints: 10_000,
    evicted_subscriptions: 10_000,
    starts: 10_000,
    starts_near_partings: 10_000,
    movements: 10_000,
    cases: 10_000,
    accepted_offers: 10_000,
    returns: 10_000,
    partings: 10_000,
    purchase_days: 10_000,
};

/// Bounds that short histories reach.
pub const TIGHT: StateBounds = StateBounds {
    holdings: 8,
    fingerprints: 300,
    evicted_subscriptions: 3,
    starts: 2,
    starts_near_partings: 6,
    movements: 2,
    cases: 3,
    accepted_offers: 3,
    returns: 2,
    partings: 4,
    // The second purchase of a day that was dropped cannot be told from the first.
    purchase_days: StateBounds::STORED.purchase_days,
};

/// Whether a state without bounds would also fit into these.
pub fn fits(customer: &Customer, bounds: &StateBounds) -> bool {
    let Customer { holdings, relationship, .. } = customer;
    holdings.latest.len() <= bounds.holdings
        && holdings
            .latest
            .values()
            .all(|holding| holding.items.movements.len() <= bounds.movements && holding.starts.len() <= bounds.starts)
        && relationship.cases.len() <= bounds.cases
        && relationship.accepted_offers.len() <= bounds.accepted_offers
        && relationship.returns.len() <= bounds.returns
        && relationship.partings.len() <= bounds.partings
        && relationship.purchase_days.len() <= bounds.purchase_days
}

/// Any history of the given number of events under any policy.
pub fn any_history() -> impl Strategy<Value = History> {
    let products = prop_oneof![Just(3usize), Just(12), Just(30), Just(PRODUCTS_MAX)];
    let length = prop_oneof![12 => 0..60usize, 3 => 60..200usize, 1 => 200..=500usize];
    (products, length, any_policy(), any_outlook()).prop_flat_map(|(products, length, policy, outlook)| {
        let contacts = proptest::collection::vec(any_contact(products), 0..12);
        let entries = proptest::collection::vec((any_time(), any_entry(products)), length);
        (contacts, entries).prop_map(move |(mut contacts, entries)| {
            contacts.sort_by_key(|contact| contact.at);
            History { policy: policy.clone(), outlook: outlook.clone(), products, contacts, entries }
        })
    })
}

fn any_contact(products: usize) -> impl Strategy<Value = Contact> {
    let kind = prop_oneof![Just(OfferKind::CrossSell), Just(OfferKind::UpSell)];
    let at = (0..HISTORY_DAYS * 24).prop_map(|hours| start() + DAY * hours / 24);
    (kind, any_channel(), 0..products, 1..=8usize, at).prop_map(|(kind, channel, first, offers_max, at)| Contact {
        kind,
        channel,
        first,
        offers_max,
        at,
    })
}

fn any_entry(products: usize) -> impl Strategy<Value = Entry> {
    let outcome_kind = proptest::sample::select(OutcomeKind::ALL.to_vec())
        .prop_filter("an opt-out ends all offers", |kind| *kind != OutcomeKind::OptedOut);
    prop_oneof![
        3 => any_kind(products).prop_map(Entry::Event),
        1 => (0..12usize, 0..8usize, outcome_kind)
            .prop_map(|(contact, offer, kind)| Entry::Outcome { contact, offer, kind }),
    ]
}

impl History {
    /// The history without further reports of cases that were reported before.
    pub fn with_cases_reported_once(mut self) -> Self {
        let mut reported = BTreeSet::new();
        self.entries.retain(|(_, entry)| match entry {
            Entry::Event(EventKind::SupportTicket(report) | EventKind::Complaint(report)) => {
                report.case.clone().is_none_or(|case| reported.insert(case))
            }
            Entry::Event(_) | Entry::Outcome { .. } => true,
        });
        self
    }

    /// Makes the decisions and dates the events. Outcomes are reported of offers that were granted, at or after the grant.
    pub fn play(&self) -> PlayedHistory {
        let mut contacted = customer("c");
        let mut granted = Vec::new();
        for (number, contact) in self.contacts.iter().enumerate() {
            let context = decision_context(&self.policy, &self.outlook, catalog(), contact.at, number as u128 + 1);
            let query = tactful::decision::offer_query::OfferQuery {
                channel: self.policy.contact.query_channel(contact.channel.as_ref()).expect("a default channel"),
                ..offer_query(contact.kind, contact.offers_max)
            };
            let in_turn = candidates(self.products).into_iter().cycle().skip(contact.first).take(self.products);
            let (decision, ledger) = decide(&query, &contacted, &in_turn.collect::<Vec<_>>(), &context);
            contacted.ledger = ledger;
            let offers: Vec<_> =
                decision.slate.into_iter().map(|offer| (offer.id, offer.grant, offer.product)).collect();
            if !offers.is_empty() {
                granted.push((decision.id, decision.at, offers));
            }
        }
        let events = self.entries.iter().enumerate().filter_map(|(number, (at, entry))| {
            let (at, kind) = match entry {
                Entry::Event(kind) => (*at, kind.clone()),
                Entry::Outcome { contact, offer, kind } => {
                    let (decision, decided_at, offers) = granted.get(contact % granted.len().max(1))?;
                    let (offer, grant, product) = offers[offer % offers.len()].clone();
                    let outcome = Outcome { decision: *decision, offer, grant, product, kind: *kind, case: None };
                    ((*at).max(*decided_at), EventKind::Outcome(outcome))
                }
            };
            Some(event_at(number, at, kind))
        });
        PlayedHistory { events: events.collect(), contacted }
    }

    /// The customer after the decisions and these events.
    pub fn customer_after(&self, contacted: &Customer, events: &[Event]) -> Customer {
        self.customer_within(contacted, events, &StateBounds::STORED)
    }

    /// The customer after the decisions and these events, if its state had these bounds.
    pub fn customer_within(&self, contacted: &Customer, events: &[Event], bounds: &StateBounds) -> Customer {
        let mut customer = contacted.clone();
        for event in events {
            apply_event_within(&mut customer, event, &self.policy, &self.outlook, catalog(), bounds);
        }
        customer
    }

    /// Relationship health of the customer at `now`.
    pub fn health(&self, customer: &Customer, now: Timestamp) -> RelationshipHealth {
        assess(customer, &self.policy, &self.outlook, catalog(), now)
    }
}

/// An event of customer `c`.
pub fn event_at(number: usize, at: Timestamp, kind: EventKind) -> Event {
    event(format!("e{number}"), "c", at, kind)
}

/// The events in another order, which depends on the seed.
pub fn shuffled(events: &[Event], seed: u64) -> Vec<Event> {
    let mut shuffled = events.to_vec();
    shuffled.sort_by_key(|event| {
        event.id.as_str().bytes().fold(seed, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
    });
    shuffled
}

/// The first moment at which nothing that is known of the customer lies in the future.
pub fn moment_after(customer: &Customer) -> Timestamp {
    customer.ledger.time(end())
}
