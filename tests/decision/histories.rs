//! Histories as real systems send them, each with the exact state that it must leave, whatever the order of its events.

use std::collections::BTreeSet;

use tactful::domain::event::{EventKind, OrderLine};
use tactful::domain::offer::OfferKind;
use tactful::domain::state_bounds::StateBounds;
use tactful::domain::time::{DAY, Timestamp};

use crate::generators::event_at;
use crate::scenario::{Scenario, candidate};
use crate::support::shop::{now, order_line, product_id};

/// Days before the decision, and the event.
type Dated = (u32, EventKind);

fn line(product: &str, quantity: u32) -> OrderLine {
    OrderLine { quantity, ..order_line(product_id(product)) }
}

fn bought(product: &str, quantity: u32) -> EventKind {
    EventKind::Purchase(line(product, quantity))
}

fn returned(product: &str, quantity: u32) -> EventKind {
    EventKind::Return(line(product, quantity))
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
    let events = [(9, bought("b", 2)), (5, returned("b", 1)), (7, EventKind::Cancellation { product: Some(product_id("b")) })];
    in_every_order(&events, |scenario| {
        let holding = &scenario.customer.holdings.latest[&product_id("b")];
        assert_eq!(holding.last_at(), now() - DAY * 9);
        assert!(!holding.is_owned());
    });
}

/// Fewer items returned than bought stay owned; all of them do not.
#[test]
fn a_partial_return_stays_owned() {
    let partial = [(9, bought("b", 3)), (5, returned("b", 1)), (4, returned("b", 1))];
    in_every_order(&partial, |scenario| assert_eq!(quantity(&scenario, "b"), 1));
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
    let since: BTreeSet<Timestamp> = scenario.customer.holdings.running_since().collect();
    assert_eq!(since, (0..200).map(|number| now() - DAY * (1000 + number)).collect());
    assert!((0..200).all(|number| scenario.customer.holdings.owns(&product_id(format!("plan{number}")))));
    let product = product_id("plan199");
    scenario.apply_dated(&event_at(0, now(), EventKind::SubscriptionEnd { product: product.clone() }));
    assert_eq!(scenario.customer.holdings.running_since().count(), 199);
    assert!(!scenario.customer.holdings.owns(&product));
}
