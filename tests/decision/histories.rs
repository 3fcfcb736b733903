//! Histories as real systems send them, each with the exact state that it must leave, whatever the order of its events.

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};

use tactful::decision::apply_event::apply_event_within;
use tactful::decision::customer_assessment::CustomerAssessment;
use tactful::decision::relationship::assess;
use tactful::domain::decision::CapKind;
use tactful::domain::event::{EventKind, OrderLine, Outcome, OutcomeKind, PlanDirection, ReturnReason, SurveyAnswer};
use tactful::domain::holdings::Holding;
use tactful::domain::ids::{DecisionId, GrantId, OfferId};
use tactful::domain::offer::OfferKind;
use tactful::domain::outlook::{FeatureWeight, Outlook, StayingFeature, StayingOutlook};
use tactful::domain::policy::BandCaps;
use tactful::domain::relationship::Band;
use tactful::domain::state_bounds::StateBounds;
use tactful::domain::time::{DAY, Timestamp};

use crate::generators::event_at;
use crate::scenario::{Scenario, candidate};
use crate::support::shop::{now, on_ladder, order_line, product, product_id};

/// Days before the decision, and the event.
type Dated = (u32, EventKind);

fn line(product: &str, quantity: u32) -> OrderLine {
    OrderLine { quantity, ..order_line(product_id(product)) }
}

fn bought(product: &str, quantity: u32) -> EventKind {
    EventKind::Purchase(line(product, quantity))
}

fn returned(product: &str, quantity: u32) -> EventKind {
    EventKind::Return { line: line(product, quantity), reason: ReturnReason::Unspecified }
}

/// The scenario after the events in the given order, and in every other order.
fn in_every_order(events: &[Dated], check: impl Fn(Scenario)) {
    assert!(events.len() <= 5, "there would be too many orders");
    let numbered: Vec<(usize, &Dated)> = events.iter().enumerate().collect();
    for order in permutations(&numbered) {
        let mut scenario = Scenario::plain();
        for (number, (days, kind)) in order {
            scenario.apply_dated(&event_at(number, now() - DAY * *days, kind.clone()));
        }
        check(scenario);
    }
}

fn permutations<T: Copy>(items: &[T]) -> Vec<Vec<T>> {
    if items.is_empty() {
        return vec![Vec::new()];
    }
    let mut all = Vec::new();
    for index in 0..items.len() {
        let mut rest = items.to_vec();
        let first = rest.remove(index);
        all.extend(permutations(&rest).into_iter().map(|tail| [vec![first], tail].concat()));
    }
    all
}

/// First times of the running subscriptions.
fn running_since(scenario: &Scenario) -> BTreeSet<Timestamp> {
    let holdings = &scenario.customer.holdings;
    let stored = holdings.latest.values().filter(|holding| holding.is_subscribed()).map(Holding::first_at);
    stored.chain(holdings.evicted_subscriptions.values().map(|subscription| subscription.acquired.first_at)).collect()
}

fn quantity(scenario: &Scenario, product: &str) -> u64 {
    scenario.customer.holdings.latest.get(&product_id(product)).map_or(0, |holding| holding.items.quantity())
}

fn is_offered(scenario: &mut Scenario, product: &str) -> bool {
    let decision = scenario.decide(OfferKind::CrossSell, vec![candidate(product_id(product))]);
    !decision.slate.is_empty()
}

/// A return of items bought before the data begins must not cancel a purchase made afterwards.
///
/// Broken by: lifetime sums of bought and returned items, which leave 6 - 12 = none and offer `b` again.
#[test]
fn a_return_of_an_older_purchase_leaves_a_later_one() {
    let events = [(70, returned("b", 12)), (19, bought("b", 6)), (19, bought("a", 1))];
    in_every_order(&events, |mut scenario| {
        assert_eq!(quantity(&scenario, "b"), 6);
        assert!(scenario.customer.holdings.owns(&product_id("b")));
        assert!(!is_offered(&mut scenario, "b"));
    });
}

/// The latest purchase is that of a purchase, not of whichever event arrived first.
///
/// Broken by: a holding that takes the time of its first event as that of an acquisition.
#[test]
fn a_return_is_no_acquisition() {
    let events =
        [(9, bought("b", 2)), (5, returned("b", 1)), (7, EventKind::Cancellation { product: Some(product_id("b")) })];
    in_every_order(&events, |scenario| {
        let holding = &scenario.customer.holdings.latest[&product_id("b")];
        assert_eq!(holding.last_at(), now() - DAY * 9);
        assert!(!holding.is_owned());
    });
}

/// Fewer items returned than bought stay owned; all of them do not.
///
/// Broken by: any return after the latest purchase taken for the end of the holding.
#[test]
fn a_partial_return_stays_owned() {
    let partial = [(9, bought("b", 3)), (5, returned("b", 1)), (4, returned("b", 1))];
    in_every_order(&partial, |scenario| {
        assert_eq!(quantity(&scenario, "b"), 1);
        assert!(scenario.customer.holdings.owns(&product_id("b")));
    });
    let whole = [(9, bought("b", 3)), (5, returned("b", 2)), (4, returned("b", 1))];
    in_every_order(&whole, |scenario| assert!(!scenario.customer.holdings.owns(&product_id("b"))));
}

/// A customer who once subscribed, and then bought 400 different products.
fn subscriber_who_bought_much(subscriptions: u32) -> Scenario {
    let mut scenario = Scenario::plain();
    for number in 0..subscriptions {
        let product = product_id(format!("plan{number}"));
        let at = now() - DAY * 1000 - DAY * number;
        scenario.apply_dated(&event_at(0, at, EventKind::SubscriptionStart { product }));
    }
    for number in 0..400 {
        scenario.apply_dated(&event_at(0, now() - DAY * (400 - number), bought(&format!("p{number}"), 1)));
    }
    scenario
}

/// Running subscriptions are not evicted by purchases, and what was bought still counts as owned.
///
/// Broken by: evicting the holding that changed longest ago, which forgets the subscriptions first.
#[test]
fn running_subscriptions_outlast_any_number_of_purchases() {
    let scenario = subscriber_who_bought_much(5);
    let holdings = &scenario.customer.holdings;
    assert_eq!(holdings.latest.len(), StateBounds::STORED.holdings);
    for number in 0..5 {
        let holding = &holdings.latest[&product_id(format!("plan{number}"))];
        assert!(holding.is_subscribed());
        assert_eq!(holding.first_at(), now() - DAY * (1000 + number));
    }
    assert!((0..400).all(|number| holdings.owns(&product_id(format!("p{number}")))));
}

/// Even beyond what is stored in full, running subscriptions keep tenure, evidence, ownership and their end.
///
/// Broken by: a fingerprint as all that is left of a running subscription.
#[test]
fn more_running_subscriptions_than_holdings_keep_their_tenure() {
    let mut scenario = subscriber_who_bought_much(200);
    let since: BTreeSet<Timestamp> = running_since(&scenario);
    assert_eq!(since, (0..200).map(|number| now() - DAY * (1000 + number)).collect());
    assert!((0..200).all(|number| scenario.customer.holdings.owns(&product_id(format!("plan{number}")))));
    let product = product_id("plan199");
    scenario.apply_dated(&event_at(0, now(), EventKind::SubscriptionEnd { product: product.clone() }));
    assert_eq!(running_since(&scenario).len(), 199);
    assert!(!scenario.customer.holdings.owns(&product));
}

fn start(product: &str) -> EventKind {
    EventKind::SubscriptionStart { product: product_id(product) }
}

fn end(product: &str) -> EventKind {
    EventKind::SubscriptionEnd { product: product_id(product) }
}

fn renewal(product: &str) -> EventKind {
    EventKind::SubscriptionRenewal { product: product_id(product) }
}

fn assessed(scenario: &Scenario) -> CustomerAssessment {
    CustomerAssessment::of(&scenario.customer, None, &scenario.decision_context())
}

/// An end and a start, renewal or purchase of one product at one instant are a renewal, whatever the order of the rows.
///
/// Broken by: an end that wins over a start of the same instant, or that wins over a renewal later on the same day; the
/// customer then holds nothing, has an outlook of .01, is guarded, and is offered `a`.
#[test]
fn a_renewal_at_one_instant_keeps_the_subscription() {
    let histories = [
        vec![(424, start("a")), (59, end("a")), (59, start("a"))],
        vec![(424, start("a")), (59, renewal("a")), (59, end("a"))],
        vec![(424, start("a")), (59, end("a")), (59, bought("a", 1))],
    ];
    for history in histories {
        in_every_order(&history, |mut scenario| {
            let holding = &scenario.customer.holdings.latest[&product_id("a")];
            assert!(holding.is_owned() && holding.is_subscribed(), "{history:?}");
            let CustomerAssessment { health, holds, .. } = assessed(&scenario);
            assert!(health.band != Band::Guarded && health.band != Band::Strained, "{health:?}");
            let outlook = &health.components[6];
            // 364 days of tenure and more: the yearly risk of leaving is near 14 %.
            assert!(outlook.value > 0.8, "{outlook:?}");
            assert!(health.components[0].value > 0.999_999, "no friction");
            assert!(holds.is_empty(), "{holds:?}");
            assert!(!is_offered(&mut scenario, "a"));
        });
    }
}

/// Scenario with a ladder of three plans.
fn with_ladder() -> Scenario {
    let plans = [("m2", 1), ("m5", 2), ("m9", 3)];
    let plans = plans.map(|(name, tier)| on_ladder("mobile", tier, product(name, name.to_uppercase())));
    let other = product("tv", "TV");
    Scenario::new(plans.into_iter().chain([other]).collect())
}

/// Hours before now, and the event.
fn after(events: &[(u32, EventKind)]) -> Scenario {
    let mut scenario = with_ladder();
    for (number, (hours, kind)) in events.iter().enumerate() {
        scenario.apply_dated(&event_at(number, now() - DAY * *hours / 24, kind.clone()));
    }
    scenario
}

fn value(scenario: &Scenario, component: usize) -> f64 {
    assessed(scenario).health.components[component].value
}

/// An end and a purchase of one product at one instant are a renewal, though no start was ever reported.
///
/// Broken by: a purchase that renews only what was reported as a subscription before.
#[test]
fn a_purchase_at_the_instant_of_an_end_renews_what_never_started() {
    let history = [(59, end("a")), (59, bought("a", 1))];
    in_every_order(&history, |scenario| assert!(scenario.customer.holdings.owns(&product_id("a"))));
}

/// Use without an allowance, as of an unlimited plan, says nothing about the need for a larger one.
///
/// Broken by: a missing allowance taken for one of which nothing was used.
#[test]
fn use_of_an_unlimited_plan_is_no_low_use() {
    let used = |days, allowance| {
        let (product, amount) = (product_id("a"), 5.0);
        (days, EventKind::Usage { product, amount, allowance, meter: None, period: None })
    };
    for (allowance, meters) in [(None, 0), (Some(20.0), 1)] {
        let history = [(400, start("a")), (70, used(70, allowance).1), (40, used(40, allowance).1)];
        in_every_order(&history, |scenario| {
            assert_eq!(scenario.customer.holdings.latest[&product_id("a")].usage.meters.len(), meters);
        });
    }
}

/// The nearest end and start within one ladder are a change of plans: no friction, no hold, and the tenure goes on.
///
/// Broken by: counting the friction of every end, and holding offers after it; an upgrade then looks like a loss.
#[test]
fn an_end_and_a_start_on_one_ladder_are_a_change_of_plans() {
    let old = 24 * 800;
    let stayed = value(&after(&[(old, start("m2"))]), 6);
    for (end_hours, start_hours) in [(10, 10), (20, 5), (5, 20), (24, 0)] {
        let changed = after(&[(old, start("m2")), (end_hours, end("m2")), (start_hours, start("m5"))]);
        assert!(value(&changed, 0) > 0.999_999, "friction of {end_hours} and {start_hours}");
        assert!((value(&changed, 6) - stayed).abs() < 1e-12, "the tenure goes on");
        assert!(assessed(&changed).holds.is_empty());
        assert!(
            !changed.customer.holdings.owns(&product_id("m2")) && changed.customer.holdings.owns(&product_id("m5"))
        );
    }
    // Too far apart, or not of one kind: a loss, with its friction.
    for lost in [
        after(&[(old, start("m2")), (30, end("m2")), (2, start("m5"))]),
        after(&[(old, start("m2")), (4, end("m2")), (2, start("tv"))]),
    ] {
        assert!(value(&lost, 0) < 0.9, "{:?}", assessed(&lost).health);
    }
}

/// A downgrade is no notice of cancellation, and one to a higher tier is a move up.
///
/// Broken by: a downgrade that ends the subscription.
#[test]
fn a_downgrade_is_no_notice_of_cancellation() {
    let old = 24 * 800;
    let downgrade = |from: &str, to: &str| EventKind::Downgrade { from: product_id(from), to: Some(product_id(to)) };
    let stayed = value(&after(&[(old, start("m5"))]), 6);
    let down = after(&[(old, start("m5")), (5, downgrade("m5", "m2"))]);
    assert!(assessed(&down).holds.is_empty());
    assert!((value(&down, 6) - stayed).abs() < 1e-12, "the tenure goes on");
    assert!((value(&down, 0) - (-0.2_f64 * (-5.0_f64 / 24.0 / 30.0).exp2()).exp()).abs() < 1e-12);
    let up = after(&[(old, start("m5")), (5, downgrade("m5", "m9"))]);
    assert!(value(&up, 0) > 0.999_999, "a downgrade to a higher tier is none");
}

/// A move to a plan that ended shortly before does not lift the hold of its end; a new start does.
///
/// Broken by: a hold of ended plans that the customer does not have now only, so that a downgrade yields offers.
#[test]
fn a_move_to_a_plan_that_ended_keeps_the_hold() {
    let (from, to) = (product_id("m5"), product_id("m2"));
    let change = |direction| EventKind::PlanChange { from: from.clone(), to: to.clone(), direction };
    let downgrade = EventKind::Downgrade { from: from.clone(), to: Some(to.clone()) };
    let history_with = |last: Option<EventKind>| {
        let ended = [(24 * 800, start("m5")), (24 * 700, start("m2")), (24 * 5, end("m2"))];
        ended.into_iter().chain(last.map(|kind| (0, kind))).collect::<Vec<_>>()
    };
    let hold_ends = |last: Option<EventKind>| {
        let holds = assessed(&after(&history_with(last))).holds;
        holds.into_iter().map(|active| active.hold.expires_at).collect::<Vec<_>>()
    };
    let held = vec![Some(now() + DAY * 25)];
    for last in [None, Some(downgrade), Some(change(None)), Some(change(Some(PlanDirection::Down)))] {
        assert_eq!(hold_ends(last.clone()), held, "{last:?}");
    }
    for last in [start("m2"), renewal("m2"), change(Some(PlanDirection::Up))] {
        assert!(hold_ends(Some(last.clone())).is_empty(), "{last:?}");
    }
}

/// A plan change moves the subscription with its tenure: down with the friction of a downgrade, else without any.
///
/// Broken by: reading the direction from the event alone; ending the subscription that moved.
#[test]
fn a_plan_change_keeps_the_tenure() {
    let old = 24 * 800;
    let change = |from: &str, to: &str, direction| EventKind::PlanChange {
        from: product_id(from),
        to: product_id(to),
        direction,
    };
    let cases = [
        (change("m5", "m9", None), false),
        (change("m5", "m2", None), true),
        (change("m5", "tv", None), false),
        (change("m5", "m9", Some(PlanDirection::Down)), true),
        (change("m5", "m2", Some(PlanDirection::RightSized)), false),
        (change("m5", "m2", Some(PlanDirection::Up)), false),
    ];
    let stayed = value(&after(&[(old, start("m5"))]), 6);
    for (kind, has_friction) in cases {
        let changed = after(&[(old, start("m5")), (5, kind.clone())]);
        assert!((value(&changed, 6) - stayed).abs() < 1e-12, "{kind:?}");
        assert_eq!(value(&changed, 0) < 0.999_999, has_friction, "{kind:?}");
        assert!(assessed(&changed).holds.is_empty(), "{kind:?}");
    }
}

/// A start or renewal of the plan moved to, beside the change itself, is not a second subscription.
///
/// Broken by: counting the subscription that moved and the start of the other plan.
#[test]
fn a_plan_change_and_the_start_of_the_new_plan_are_one_subscription() {
    let old = 24 * 800;
    let change = |direction| EventKind::PlanChange { from: product_id("m5"), to: product_id("m2"), direction };
    let downgrade = || EventKind::Downgrade { from: product_id("m5"), to: Some(product_id("m2")) };
    let histories = [
        vec![(old, start("m5")), (50, downgrade()), (50, start("m2"))],
        vec![(old, start("m5")), (50, downgrade()), (60, start("m2"))],
        vec![(old, start("m5")), (50, change(Some(PlanDirection::RightSized))), (10, renewal("m2"))],
        // Back to a plan that ran once before.
        vec![(old + 9, start("m2")), (old, end("m2")), (old, start("m5")), (50, downgrade()), (50, start("m2"))],
    ];
    for history in histories {
        let running = running_subscriptions(&after(&history));
        assert!((running - 1.0).abs() < 1e-12, "{running} after {history:?}");
    }
    // Both plans ran before the change: two subscriptions, now of one plan.
    let both = after(&[(old, start("m5")), (old, start("m2")), (50, change(None))]);
    assert!((running_subscriptions(&both) - 2.0).abs() < 1e-12);
}

/// A start that turns an end into a renewal leaves the change of plans before it a change: a good event never adds friction.
///
/// Broken by: taking every start near a renewal, also one that did not renew; the cancellation of `m2` then counts as a loss.
#[test]
fn a_renewal_soon_after_a_change_leaves_it_a_change() {
    let old = 24 * 800;
    let cancelled = EventKind::Cancellation { product: Some(product_id("m2")) };
    let stayed = value(&after(&[(old, start("m2"))]), 6);
    let changed = after(&[(old, start("m2")), (4, cancelled), (3, start("m5")), (2, end("m5")), (1, start("m5"))]);
    assert!(value(&changed, 0) > 0.999_999, "{:?}", assessed(&changed).health);
    assert!((value(&changed, 6) - stayed).abs() < 1e-12, "the tenure goes on");
    assert!((running_subscriptions(&changed) - 1.0).abs() < 1e-12);
}

/// An evicted product that the customer moved back to has no tenure of its own: the subscription that moved has it.
///
/// Broken by: evicting it as a subscription that runs since its first start, of 800 days instead of at most 600.
#[test]
fn an_evicted_product_that_was_moved_to_has_no_tenure_of_its_own() {
    let back = EventKind::PlanChange {
        from: product_id("m9"),
        to: product_id("m5"),
        direction: Some(PlanDirection::RightSized),
    };
    let history =
        [(800, start("m5")), (700, end("m5")), (600, start("m9")), (500, back), (400, start("tv")), (300, start("m2"))];
    for (holdings, tenure_days) in [(StateBounds::STORED.holdings, 600.0_f64), (2, 400.0)] {
        let scenario = within_holdings(holdings, &history);
        let expected = 1.0 - (0.05 + 0.25 * (-tenure_days / 365.0).exp());
        assert!((value(&scenario, 6) - expected).abs() < 1e-12, "{:?}", assessed(&scenario).health);
        assert!(scenario.customer.holdings.owns(&product_id("m5")));
    }
}

/// The end of a subscription holds offers also when its holding was evicted, and so does another end of it.
///
/// Broken by: an evicted holding that leaves no more than that there was a subscription.
#[test]
fn an_evicted_subscription_leaves_its_end() {
    let cancelled = EventKind::Cancellation { product: Some(product_id("m2")) };
    let history = [(100, start("m2")), (50, start("tv")), (10, end("m2")), (5, cancelled)];
    let stored = StateBounds::STORED.holdings;
    for (events, holdings, days_left) in [(3, stored, 20), (3, 1, 20), (4, stored, 25), (4, 1, 25)] {
        let scenario = within_holdings(holdings, &history[..events]);
        let ends: Vec<_> = assessed(&scenario).holds.into_iter().map(|active| active.hold.expires_at).collect();
        assert_eq!(ends, vec![Some(now() + DAY * days_left)], "{events} events, {holdings} holdings");
    }
}

/// The scenario after events that many days before now, with room for so many holdings in full.
fn within_holdings(holdings: usize, history: &[Dated]) -> Scenario {
    let mut scenario = with_ladder();
    let bounds = StateBounds { holdings, ..StateBounds::STORED };
    for (number, (days, kind)) in history.iter().enumerate() {
        let event = event_at(number, now() - DAY * *days, kind.clone());
        let Scenario { policy, catalog, customer, .. } = &mut scenario;
        apply_event_within(customer, &event, policy, &Outlook::default(), catalog, &bounds);
    }
    scenario
}

/// Number of running subscriptions, read off the outlook of a model that looks at nothing else.
fn running_subscriptions(scenario: &Scenario) -> f64 {
    let mut weights = [FeatureWeight { mean: 0.0, deviation: 1.0, weight: 0.0 }; StayingFeature::ALL.len()];
    weights[1].weight = 1.0;
    let staying = StayingOutlook { learned_days: 91.0, intercept: 0.0, weights, attributes: BTreeMap::new() };
    let outlook = Outlook { buying: None, staying: Some(staying) };
    let health = assess(&scenario.customer, &scenario.policy, &outlook, &scenario.catalog, now());
    // P = 1 / (1 + exp(-ln(running))), so P / (1 - P) is the number.
    let probability = health.components[6].value;
    probability / (1.0 - probability)
}

/// A subscription that starts is as good a reason for a quiet period as a purchase.
///
/// Broken by: a quiet period after purchases only.
#[test]
fn a_start_of_a_subscription_begins_the_quiet_period() {
    let mut scenario = with_ladder();
    scenario.policy.contact.quiet_after_purchase = DAY * 3;
    scenario.apply_dated(&event_at(1, now() - DAY * 2, start("m2")));
    assert_eq!(scenario.offers_left(), 0);
    scenario.now = now() + DAY;
    assert!(scenario.offers_left() > 0);
}

/// A new customer who becomes guarded keeps the caps of a new customer; one with evidence gets those of the band.
///
/// Broken by: caps of a new customer that apply only in the band new customer, so that bad surveys raise them from 1 to 4.
#[test]
fn a_new_customer_who_becomes_guarded_gets_no_more_offers() {
    let state_after = |history: &[Dated]| {
        let mut scenario = Scenario::plain();
        let many = BandCaps { offers: 4, up_sell: 2 };
        let [strained, ..] = scenario.policy.contact.caps;
        scenario.policy.contact.caps = [strained, many, many, many, BandCaps { offers: 1, up_sell: 0 }];
        for (number, (days, kind)) in history.iter().enumerate() {
            scenario.apply_dated(&event_at(number, now() - DAY * *days, kind.clone()));
        }
        let CustomerAssessment { health, allowance, .. } = assessed(&scenario);
        let limit = |kind| allowance.caps.iter().find(|cap| cap.kind == kind).map(|cap| cap.limit);
        (health.band, limit(CapKind::RelationshipHealth), limit(CapKind::UpSell))
    };
    let surveys = vec![(0, EventKind::Survey(SurveyAnswer::new(0.0, 10.0).expect("in range"))); 5];
    let purchases = vec![(201, bought("a", 1)), (200, bought("b", 1))];
    assert_eq!(state_after(&[]), (Band::NewCustomer, Some(1), Some(0)));
    assert_eq!(state_after(&surveys), (Band::Guarded, Some(1), Some(0)));
    assert_eq!(state_after(&[purchases, surveys].concat()), (Band::Guarded, Some(4), Some(2)));
}

fn outcome_of(decision: u128, product: &str, kind: OutcomeKind) -> EventKind {
    let (decision, offer) = (DecisionId::from_bits(decision), OfferId::implicit(&product_id(product)));
    EventKind::Outcome(Outcome {
        decision,
        grant: GrantId::of(decision, &offer),
        offer,
        product: product_id(product),
        kind,
        case: None,
    })
}

fn back_off_days(scenario: &Scenario) -> Option<f64> {
    let caps = assessed(scenario).allowance.caps;
    let pause = caps.into_iter().find(|cap| cap.kind == CapKind::BackOff)?;
    Some(pause.next_eligible_at.expect("an end").days_since(now()))
}

/// Rejections count once for each decision, and an acceptance ends the pause of earlier rejections only, in any order.
///
/// Broken by: comparing a rejection with the latest decision only, so that D1, D2, D1 counts three; an acceptance that lifts
/// the pause whenever it was.
#[test]
fn the_pause_after_rejections_does_not_depend_on_the_order() {
    let rejected = |days: u32, decision: u128| (days, outcome_of(decision, "a", OutcomeKind::Rejected));
    let accepted = |days: u32| (days, outcome_of(9, "b", OutcomeKind::Accepted));
    let days = |pause: u32, ago: u32| Some(f64::from(pause - ago));
    let cases = [
        (vec![rejected(6, 1), rejected(4, 2), rejected(2, 1)], days(28, 2)),
        (vec![rejected(6, 1), rejected(4, 1), rejected(2, 2)], days(28, 2)),
        (vec![rejected(6, 1), rejected(4, 2), rejected(2, 3)], days(56, 2)),
        (vec![accepted(8), rejected(3, 1)], days(14, 3)),
        (vec![rejected(8, 1), accepted(5), rejected(3, 2)], days(14, 3)),
        (vec![rejected(8, 1), accepted(5)], None),
    ];
    for (history, expected) in cases {
        in_every_order(&history, |scenario| assert_eq!(back_off_days(&scenario), expected, "{history:?}"));
    }
}

/// Giving up an accepted plan for one of the right size is no regret of the offer; giving it up for a lesser one is.
///
/// Broken by: any change to a lower tier that counts as a regret.
#[test]
fn an_accepted_plan_that_is_right_sized_is_not_regretted() {
    let changed = |direction| {
        let mut scenario = with_ladder();
        let change = EventKind::PlanChange { from: product_id("m5"), to: product_id("m2"), direction: Some(direction) };
        let history = [(20, outcome_of(1, "m5", OutcomeKind::Accepted)), (20, start("m5")), (10, change)];
        for (number, (days, kind)) in history.into_iter().enumerate() {
            scenario.apply_dated(&event_at(number, now() - DAY * days, kind));
        }
        value(&scenario, 4)
    };
    assert!((changed(PlanDirection::RightSized) - changed(PlanDirection::Sideways)).abs() < 1e-12);
    assert!(changed(PlanDirection::Down) < changed(PlanDirection::RightSized));
}

/// Acceptances of one product within the regret window count once, and a late one sees every return.
///
/// Broken by: merging each acceptance with the first that is near; comparing it with the latest return only.
#[test]
fn acceptances_and_regrets_do_not_depend_on_the_order() {
    let accepted = |days: u32| (days, outcome_of(1, "a", OutcomeKind::Accepted));
    let histories = [
        vec![accepted(100), accepted(50), accepted(1)],
        vec![accepted(120), accepted(70), accepted(20)],
        vec![accepted(100), (90, returned("a", 1)), (10, returned("a", 1))],
        vec![accepted(100), accepted(80), (30, returned("a", 1)), (25, end("a"))],
    ];
    for history in histories {
        let expected = Cell::new(None);
        in_every_order(&history, |scenario| {
            let value = assessed(&scenario).health.components[4].value;
            let expected: f64 = expected.get().unwrap_or_else(|| {
                expected.set(Some(value));
                value
            });
            assert!((value - expected).abs() < 1e-12, "{history:?}: {value} and {expected}");
        });
    }
}
