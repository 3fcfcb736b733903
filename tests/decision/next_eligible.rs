//! Until when no offer is possible: the first instant at which one is, over all caps, holds and pauses at once.
//!
//! Tested by moving the clock: a millisecond before that instant the allowance is zero, at it an offer is made.

use std::time::Duration;

use proptest::prelude::*;
use tactful::decision::customer_assessment::CustomerAssessment;
use tactful::decision::decide::decide;
use tactful::decision::look_ahead::LOOK_AHEAD_MAX;
use tactful::decision::offer_query::OfferQuery;
use tactful::decision::relationship::assess;
use tactful::domain::catalog::Catalog;
use tactful::domain::channel::QueryChannel;
use tactful::domain::customer::{Customer, Hold, HoldReason};
use tactful::domain::decision::{CapKind, Decision};
use tactful::domain::event::{CaseReport, EventKind, OutcomeKind, Severity};
use tactful::domain::ids::{Channel, HoldId};
use tactful::domain::ledger::AllowanceLevel;
use tactful::domain::offer::OfferKind;
use tactful::domain::outlook::{BuyingFeature, BuyingOutlook, FeatureWeight, MbgNbd, Outlook, RecencyFrequency};
use tactful::domain::policy::Policy;
use tactful::domain::relationship::Band;
use tactful::domain::time::{DAY, Timestamp};

use crate::generators::{
    History, any_channel, any_history, any_kind, candidates, catalog, config, event_at, moment_after,
};
use crate::scenario::{Scenario, candidate, decision_context, offer_query};
use crate::support::shop::{MS, case_id, channel, customer, now, numbered_product_id, order_line, product, product_id};

const HOUR: Duration = Duration::from_secs(3600);
/// Product that no history touches.
const ALWAYS_ELIGIBLE: &str = "always-eligible";

/// A question for offers to a customer, which can be asked at any time.
struct Ask<'a> {
    customer: &'a Customer,
    policy: &'a Policy,
    outlook: &'a Outlook,
    catalog: &'a Catalog,
    kind: OfferKind,
    channel: Option<&'a Channel>,
}

impl Ask<'_> {
    fn query_channel(&self) -> QueryChannel<'_> {
        self.policy.contact.query_channel(self.channel).expect("a channel of the policy")
    }

    /// Number of offers of the kind that could be made on the channel at this time.
    fn left(&self, at: Timestamp) -> u32 {
        let context = decision_context(self.policy, self.outlook, self.catalog, at, 1);
        let allowance = CustomerAssessment::of(self.customer, Some(self.query_channel()), &context).allowance;
        let left = match self.kind {
            OfferKind::CrossSell => allowance.offers_left,
            OfferKind::UpSell => allowance.up_sell_left,
        };
        allowance.channel_left.map_or(left, |on_channel| on_channel.min(left))
    }

    /// Number of offers of the always eligible product that are made at this time.
    fn made(&self, at: Timestamp) -> usize {
        let context = decision_context(self.policy, self.outlook, self.catalog, at, 2);
        let query = OfferQuery { channel: self.query_channel(), ..offer_query(self.kind, 1) };
        let candidates = vec![candidate(product_id(ALWAYS_ELIGIBLE))];
        decide(&query, self.customer, &candidates, &context).0.slate.len()
    }

    /// Every end of a grant or a hold, and every third hour, from `from` to just before `to`; each end with the millisecond
    /// before it.
    fn instants(&self, from: Timestamp, to: Timestamp) -> Vec<Timestamp> {
        let grants = self.customer.ledger.grants.iter();
        let ends = grants.map(|grant| grant.granted_at + self.policy.contact.cap_window);
        let ends = ends.chain(self.customer.holds.iter().filter_map(|hold| hold.expires_at));
        let near_ends = ends.flat_map(|end| [end - MS, end]);
        let hours = to.since(from).as_secs() / 3600;
        let grid = (0..=hours).step_by(3).map(|hours| from + HOUR * u32::try_from(hours).expect("180 days"));
        near_ends.chain(grid).filter(|&at| from < at && at < to).collect()
    }
}

/// A customer at the end of a history, with a last question for offers.
#[derive(Debug, Clone)]
struct Ending {
    history: History,
    /// Days since the history. After 100 days the holds of its complaints have ended, and caps and bands are left.
    days_since: u32,
    /// Events of the last weeks, with the hours since.
    recent: Vec<(u32, EventKind)>,
    /// Hours between further decisions, which make as many offers as they may.
    spending: Vec<u32>,
    /// Hours until holds end.
    holds: Vec<u32>,
    kind: OfferKind,
    channel: Option<Channel>,
}

fn any_ending() -> impl Strategy<Value = Ending> {
    let is_complaint = |kind: &EventKind| matches!(kind, EventKind::Complaint(_));
    let kind = any_kind(12).prop_filter("its hold would outlast everything else", move |kind| !is_complaint(kind));
    let recent = proptest::collection::vec((0..24 * 40u32, kind), 0..8);
    let days_since = prop_oneof![1 => Just(0u32), 3 => 100..150u32];
    let spending = proptest::collection::vec(0..24 * 15u32, 0..4);
    let holds = prop_oneof![3 => Just(Vec::new()), 1 => proptest::collection::vec(1..24 * 200u32, 1..3)];
    let kind = prop_oneof![Just(OfferKind::CrossSell), Just(OfferKind::UpSell)];
    (any_history(), days_since, recent, spending, holds, kind, any_channel()).prop_map(
        |(history, days_since, recent, spending, holds, kind, channel)| Ending {
            history,
            days_since,
            recent,
            spending,
            holds,
            kind,
            channel,
        },
    )
}

impl Ending {
    /// The customer when the last question is asked, and the time.
    fn reached(&self) -> (Customer, Timestamp) {
        let played = self.history.play();
        let mut customer = self.history.customer_after(&played.contacted, &played.events);
        let mut now = moment_after(&customer) + DAY * self.days_since;
        let recent = self.recent.iter().enumerate();
        let recent: Vec<_> =
            recent.map(|(number, (hours, kind))| event_at(1000 + number, now - HOUR * *hours, kind.clone())).collect();
        customer = self.history.customer_after(&customer, &recent);
        for (number, hours) in (1_000_000_u128..).zip(&self.spending) {
            let context = decision_context(&self.history.policy, &self.history.outlook, catalog(), now, number);
            customer.ledger = decide(&offer_query(self.kind, 20), &customer, &candidates(300), &context).1;
            now = now + HOUR * *hours;
        }
        customer.holds = (0..).zip(&self.holds).map(|(number, hours)| hold(number, now + HOUR * *hours)).collect();
        (customer, now)
    }
}

fn hold(number: u32, expires_at: Timestamp) -> Hold {
    Hold {
        id: HoldId::new(format!("hold-{number}")).expect("a short text"),
        reason: HoldReason::AgentHold,
        note: String::new(),
        created_at: now(),
        expires_at: Some(expires_at),
    }
}

fn with_always_eligible_product() -> Catalog {
    let numbered = (0..300).map(|number| catalog().get(&numbered_product_id(number)).expect("numbered").clone());
    Catalog::new(numbered.chain([product(ALWAYS_ELIGIBLE, "Always eligible")]).collect())
}

proptest! {
    #![proptest_config(config(300))]

    /// For any history, kind and channel: a millisecond before the instant there is no allowance, then there is, and an offer
    /// of a product that is always eligible is made; at no earlier instant. Without an instant there is none for 180 days.
    ///
    /// Broken by: the end of the binding cap; the ledger before the decision; relationship health as it is now; only the ends
    /// of what is dated; steps of days without a look at the hours within them.
    #[test]
    fn the_next_eligible_instant_is_the_first_with_an_offer(ending in any_ending()) {
        let (mut customer, now) = ending.reached();
        let History { policy, outlook, .. } = &ending.history;
        let catalog = with_always_eligible_product();
        let query_channel = policy.contact.query_channel(ending.channel.as_ref()).expect("a default channel");
        let query = OfferQuery { channel: query_channel, ..offer_query(ending.kind, 1) };
        let context = decision_context(policy, outlook, &catalog, now, 1);
        let (decision, ledger) = decide(&query, &customer, &Vec::new(), &context);
        customer.ledger = ledger;
        let channel = ending.channel.as_ref();
        let ask = Ask { customer: &customer, policy, outlook, catalog: &catalog, kind: ending.kind, channel };
        if ask.left(now) > 0 {
            prop_assert_eq!(decision.next_eligible_at, None);
            return Ok(());
        }
        match decision.next_eligible_at {
            Some(at) => {
                prop_assert!(now < at && at <= now + LOOK_AHEAD_MAX, "{at}");
                prop_assert_eq!((ask.left(at - MS), ask.left(at) > 0), (0, true), "{}", at);
                prop_assert_eq!((ask.made(at - MS), ask.made(at)), (0, 1), "{}", at);
                for earlier in ask.instants(now, at) {
                    prop_assert_eq!(ask.left(earlier), 0, "{} before {}", earlier, at);
                }
            }
            None => {
                for at in ask.instants(now, now + LOOK_AHEAD_MAX) {
                    prop_assert_eq!(ask.left(at), 0, "{}", at);
                }
            }
        }
    }
}

/// Checks by moving the clock that a decision's instant is the first with an offer.
fn assert_first(scenario: &Scenario, decision: &Decision, expected: Timestamp) {
    assert_eq!(decision.next_eligible_at, Some(expected));
    let Scenario { customer, policy, catalog, .. } = scenario;
    let (outlook, channel) = (&Outlook::default(), scenario.channel.as_ref());
    let ask = Ask { customer, policy, outlook, catalog, kind: decision.kind, channel };
    assert_eq!((ask.left(expected - MS), ask.made(expected - MS)), (0, 0));
    assert!(ask.left(expected) > 0 && ask.made(expected) == 1);
}

fn scenario() -> Scenario {
    let letters = ('a'..='l').map(|name| product(name, name.to_uppercase().to_string()));
    Scenario::new(letters.chain([product(ALWAYS_ELIGIBLE, "Always eligible")]).collect())
}

fn cross_sell(scenario: &mut Scenario, names: &[&str]) -> Decision {
    let candidates = names.iter().map(|name| candidate(product_id(*name))).collect();
    scenario.decide(OfferKind::CrossSell, candidates)
}

fn binding(decision: &Decision) -> (CapKind, Option<Timestamp>) {
    let cap = &decision.caps[decision.binding_cap.expect("a cap bound")];
    (cap.kind, cap.next_eligible_at)
}

/// Broken by: an instant only for decisions without offers.
#[test]
fn the_first_grant_that_leaves_its_window_makes_room_for_an_offer() {
    let mut scenario = scenario();
    let first = cross_sell(&mut scenario, &["a"]);
    assert_eq!(first.next_eligible_at, None, "two more are possible now");
    scenario.now = now() + DAY * 3;
    let last = cross_sell(&mut scenario, &["b", "c"]);
    assert_eq!(last.slate.len(), 2);
    assert_first(&scenario, &last, now() + DAY * 28);
}

#[test]
fn a_hold_ends_when_it_expires_and_one_without_an_end_never() {
    let mut scenario = scenario();
    scenario.customer.holds.push(hold(1, now() + DAY * 5 + MS * 7));
    let held = cross_sell(&mut scenario, &["a"]);
    assert_first(&scenario, &held, now() + DAY * 5 + MS * 7);
    for (expires_at, expected) in [
        (None, None),
        (Some(now() + LOOK_AHEAD_MAX), Some(now() + LOOK_AHEAD_MAX)),
        (Some(now() + LOOK_AHEAD_MAX + MS), None),
    ] {
        scenario.customer.holds[0].expires_at = expires_at;
        assert_eq!(cross_sell(&mut scenario, &["a"]).next_eligible_at, expected);
    }
}

#[test]
fn after_a_fall_the_next_step_of_the_slow_rise_allows_an_offer() {
    let mut scenario = scenario();
    scenario.customer.ledger.level = Some(AllowanceLevel { offers: 0, since: now() - DAY * 2 });
    let decision = cross_sell(&mut scenario, &["a"]);
    assert_eq!(binding(&decision).0, CapKind::SlowRise);
    assert_first(&scenario, &decision, now() + DAY * 5);
}

/// The caps of relationship health have no end of their own; health drifts back across the limit of a band.
///
/// Broken by: relationship health as it is now.
#[test]
fn an_offer_is_possible_when_relationship_health_has_recovered() {
    let mut scenario = scenario();
    for _ in 0..4 {
        scenario.apply(EventKind::PaymentDisputed);
        scenario
            .apply(EventKind::SupportTicket(CaseReport { case: None, severity: Severity::new(4).expect("1 to 4") }));
    }
    scenario.now = now() + DAY * 4;
    let decision = cross_sell(&mut scenario, &["a"]);
    assert_eq!(decision.relationship_health.band, Band::Strained);
    assert_eq!(binding(&decision), (CapKind::RelationshipHealth, None));
    let at = decision.next_eligible_at.expect("it recovers");
    assert_first(&scenario, &decision, at);
    let guarded = scenario.policy.relationship.band_limits.guarded;
    let health_at = |at| {
        let outlook = Outlook::default();
        let context = decision_context(&scenario.policy, &outlook, &scenario.catalog, at, 1);
        CustomerAssessment::of(&scenario.customer, None, &context).health.score
    };
    assert!(health_at(at - MS) < guarded && health_at(at) >= guarded, "{at}");
}

/// Relationship health may turn within a day: payment trouble fades while the outlook falls.
///
/// Broken by: steps of days without a look at the hours within them.
#[test]
fn a_rise_of_a_few_hours_is_found() {
    let mut scenario = scenario();
    scenario.apply(EventKind::Purchase(order_line(product_id("l"))));
    scenario.apply(EventKind::PaymentDisputed);
    scenario.now = now() + DAY * 4;
    // The grants count for the whole time, so that only relationship health can allow another offer.
    scenario.policy.contact.cap_window = DAY * 180;
    let (customer, outlook) = (scenario.customer.clone(), Outlook::default());
    let score_at = |policy: &Policy, at| assess(&customer, policy, &outlook, &scenario.catalog, at).score;
    let hours = (0..24 * 170).map(|hours| scenario.now + HOUR * hours);
    let peak = hours.max_by(|a, b| score_at(&scenario.policy, *a).total_cmp(&score_at(&scenario.policy, *b)));
    let peak = peak.expect("hours");
    assert!(peak > scenario.now + DAY * 8 && peak < scenario.now + DAY * 160, "{peak}");
    let limit = score_at(&scenario.policy, peak - HOUR * 4);
    scenario.policy.relationship.band_limits.steady = limit;

    let decision = cross_sell(&mut scenario, &["a", "b", "c"]);
    assert_eq!((decision.relationship_health.band, decision.slate.len()), (Band::Guarded, 2));
    let at = decision.next_eligible_at.expect("for a few hours");
    assert!(at > peak - HOUR * 5 && at <= peak, "{at} and {peak}");
    assert_first(&scenario, &decision, at);
}

/// The learned outlook of a customer who has never bought is that after a first purchase today: highest at midnight.
///
/// Broken by: samples at the time of day of the decision only.
#[test]
fn an_offer_that_is_possible_after_midnight_only_is_found() {
    let unused = FeatureWeight { mean: 0.0, deviation: 1.0, weight: 0.0 };
    let mut weights = [unused; BuyingFeature::ALL.len()];
    let recency = BuyingFeature::ALL.iter().position(|&it| it == BuyingFeature::Recency).expect("a feature");
    weights[recency].weight = -1.5;
    let buying = BuyingOutlook {
        rhythm: MbgNbd { r: 1.0, alpha: 1.0, a: 1.0, b: 1.0 },
        learned_days: 91.0,
        intercept: -0.5,
        slope: 0.0,
        typical: RecencyFrequency { repeat_purchases: 2.0, recency_weeks: 10.0, age_weeks: 20.0 },
        weights,
    };
    let outlook = Outlook { buying: Some(buying), staying: None };
    let Scenario { mut policy, catalog, mut customer, now, .. } = scenario();
    policy.contact.cap_window = DAY * 180;
    let midnight = now.day().start() + DAY;
    policy.relationship.band_limits.steady = assess(&customer, &policy, &outlook, &catalog, midnight + HOUR).score;

    let three = ["a", "b", "c"].map(|name| candidate(product_id(name))).to_vec();
    let context = decision_context(&policy, &outlook, &catalog, now, 1);
    let (decision, ledger) = decide(&offer_query(OfferKind::CrossSell, 3), &customer, &three, &context);
    assert_eq!((decision.relationship_health.band, decision.slate.len()), (Band::Guarded, 2));
    customer.ledger = ledger;
    let kind = OfferKind::CrossSell;
    let ask = Ask { customer: &customer, policy: &policy, outlook: &outlook, catalog: &catalog, kind, channel: None };
    // The slow rise allows a third offer after a week.
    let at = midnight + DAY * 7;
    assert_eq!(decision.next_eligible_at, Some(at));
    assert_eq!((ask.left(at - MS), ask.left(at), ask.left(at + HOUR * 2)), (0, 1, 0));
}

#[test]
fn a_quiet_period_ends_to_the_millisecond() {
    let mut scenario = scenario();
    scenario.apply(EventKind::PaymentLate);
    scenario.now = now() + HOUR;
    let decision = cross_sell(&mut scenario, &["a"]);
    assert_first(&scenario, &decision, now() + DAY * 3);
}

/// Settling a complaint gives 14 days from then, not the 90 days of an open one.
#[test]
fn a_settled_complaint_holds_offers_for_14_days_from_then() {
    let mut scenario = scenario();
    let (case, severity) = (case_id("complaint"), Severity::DEFAULT);
    scenario.apply(EventKind::Complaint(CaseReport { case: Some(case.clone()), severity }));
    let open = cross_sell(&mut scenario, &["a"]);
    assert_first(&scenario, &open, now() + DAY * 90);
    scenario.now = now() + DAY * 3;
    scenario.apply(EventKind::CaseResolved { case });
    let settled = cross_sell(&mut scenario, &["a"]);
    assert_first(&scenario, &settled, now() + DAY * 17);
}

/// Of two pauses the longer one counts, and after a short one the counted caps.
///
/// Broken by: the end of the binding cap.
#[test]
fn several_caps_at_once_end_with_the_last_of_them() {
    let mut scenario = scenario();
    let offered = cross_sell(&mut scenario, &["a", "b", "c"]);
    assert_eq!(offered.slate.len(), 3);
    scenario.customer.holds.push(hold(1, now() + DAY * 3));
    let held = cross_sell(&mut scenario, &["d"]);
    assert_eq!(binding(&held), (CapKind::Hold(HoldReason::AgentHold), Some(now() + DAY * 3)));
    assert_first(&scenario, &held, now() + DAY * 28);
    let rejected = held.rejected_candidates.first().expect("the candidate");
    assert_eq!(rejected.ineligibility.until, Some(now() + DAY * 28), "a request in three days is in vain");

    let mut scenario = self::scenario();
    let offered = cross_sell(&mut scenario, &["a"]);
    scenario.report(&offered, OutcomeKind::Rejected);
    scenario.customer.holds.push(hold(1, now() + DAY * 3));
    let paused = cross_sell(&mut scenario, &["d"]);
    assert_first(&scenario, &paused, now() + DAY * 14);
    scenario.customer.holds.push(hold(2, now() + DAY * 20));
    let paused = cross_sell(&mut scenario, &["d"]);
    assert_first(&scenario, &paused, now() + DAY * 20);
}

/// Broken by: an allowance without regard to the channel.
#[test]
fn the_cap_of_a_channel_counts_on_that_channel_only() {
    let mut scenario = scenario();
    scenario.policy.contact.channels.terms_mut(&channel("email")).expect("a default channel").cap = Some(1);
    scenario.channel = Some(channel("email"));
    let on_email = cross_sell(&mut scenario, &["a"]);
    assert_first(&scenario, &on_email, now() + DAY * 28);
    scenario.channel = Some(channel("web"));
    assert_eq!(cross_sell(&mut scenario, &[]).next_eligible_at, None, "possible now");
    scenario.channel = None;
    let on_any = cross_sell(&mut scenario, &["b"]);
    assert_first(&scenario, &on_any, now() + DAY * 28);
}

/// Broken by: one instant for both kinds.
#[test]
fn up_sell_may_be_possible_later_than_cross_sell() {
    let mut scenario = scenario();
    scenario.policy.contact.caps[4].up_sell = 1;
    let up_sell = scenario.decide(OfferKind::UpSell, vec![candidate(product_id("a"))]);
    assert_eq!(up_sell.slate.len(), 1);
    assert_first(&scenario, &up_sell, now() + DAY * 28);
    assert_eq!(cross_sell(&mut scenario, &[]).next_eligible_at, None, "possible now");
}

/// Nothing ends for a customer of the control group, not even with a hold: no offer follows.
///
/// Broken by: the end of a pause, or the instant that the customer would have in the treatment group.
#[test]
fn customers_of_the_control_group_have_no_instant() {
    let mut scenario = scenario();
    scenario.policy.control_group.share = 1.0;
    scenario.customer = customer("in-control");
    for _ in 0..2 {
        let decision = cross_sell(&mut scenario, &["a", "b", "c"]);
        assert_eq!((decision.slate.len(), decision.next_eligible_at), (0, None));
        scenario.customer.holds.push(hold(1, now() + DAY * 3));
    }
}
