//! Small shop, its history, and ways to distort it.

use std::time::Duration;

use tactful::domain::catalog::Catalog;
use tactful::domain::event::{Event, EventKind, OrderLine};
use tactful::domain::ids::CustomerId;
use tactful::domain::money::Money;
use tactful::domain::product::Product;
use tactful::domain::time::{DAY, Timestamp};

use crate::support::shop::{
    currency, customer_id, event, ladder_position, now, numbered_product_id, order_id, product, purchase,
};

/// Number of products; the last is never sold.
pub const PRODUCTS: usize = 121;
pub const SOLD: usize = PRODUCTS - 1;

pub fn at(second: i64) -> Timestamp {
    Timestamp::from_unix_ms(second * 1000).expect("in range")
}

pub fn days(number: usize) -> Duration {
    DAY * u32::try_from(number).expect("few days")
}

pub fn customer(number: usize) -> CustomerId {
    customer_id(format!("c{number}"))
}

pub fn price(units: i64) -> Money {
    Money::new(currency("EUR"), units, 0).expect("an amount")
}

/// All of one category, half of them on a ladder; the first is free.
pub fn catalog() -> Catalog {
    let sold = |number: u32| Product {
        category: vec!["all".into()],
        price: Some(price(i64::from(number))),
        ladder_position: number.is_multiple_of(2).then(|| ladder_position("ladder", number)),
        ..product(format!("p{number}"), format!("thing {number}"))
    };
    Catalog::new((0..u32::try_from(PRODUCTS).expect("few")).map(sold).collect())
}

/// Purchase whose order is all that the customer bought at the same time.
pub fn bought(customer: usize, product: usize, at: Timestamp) -> Event {
    let id = format!("{customer}-{product}-{at}");
    let mut event = purchase(id, format!("c{customer}"), format!("p{product}"), at);
    line(&mut event).order = Some(order_id(format!("{at}")));
    event
}

/// Customers who buy two things that go together every four weeks for ten months.
pub fn shop(customers: usize) -> Vec<Event> {
    let each = (0..customers * 10).flat_map(|number| {
        let (who, round) = (number / 10, number % 10);
        let (habit, whim) = (who % 3 * 40 + (who * 5 + round * 3) % 39, number * number * 7919 % 113);
        let what = if whim % 2 == 0 { habit } else { whim };
        let at = now() - days(253 - 28 * round + who % 28);
        [bought(who, what, at), bought(who, (what + 1) % SOLD, at)]
    });
    each.collect()
}

pub fn change_each(mut events: Vec<Event>, change: impl Fn(usize, &mut Event)) -> Vec<Event> {
    events.iter_mut().enumerate().for_each(|(number, event)| change(number, event));
    events
}

pub fn line(event: &mut Event) -> &mut OrderLine {
    let EventKind::Purchase(line) = &mut event.kind else { panic!("only purchases are changed") };
    line
}

/// Ten months of customers who buy, and who are under contract: a third of them leaves.
pub fn contracts() -> Vec<Event> {
    let of = |who: usize, days_ago: usize, kind| {
        event(format!("{who} {days_ago}"), format!("c{who}"), now() - days(days_ago), kind)
    };
    let starts = (0..300).map(|who| of(who, 250, EventKind::SubscriptionStart { product: numbered_product_id(0) }));
    let leaving = (0..300).filter(|who| who % 3 == 0);
    let ends = leaving.map(|who| of(who, who % 90, EventKind::SubscriptionEnd { product: numbered_product_id(0) }));
    shop(300).into_iter().chain(starts).chain(ends).collect()
}
