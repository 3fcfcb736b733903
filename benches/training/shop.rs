//! A generated shop of any size: the same in each run, and never in memory as a whole.

use tactful::domain::catalog::Catalog;
use tactful::domain::event::{Event, EventKind, OrderLine};
use tactful::domain::ids::{CustomerId, EventId, OrderId, ProductId};
use tactful::domain::money::Money;
use tactful::domain::product::Product;
use tactful::domain::time::{DAY, Timestamp};

use super::support::generated_catalog::{CATEGORY_LEN, generated_product, mix, money, pence};

/// Length of the history: 18 months.
const HISTORY_DAYS: f64 = 548.0;
/// Number of days within which customers join; they stay.
const JOINING_DAYS: f64 = 450.0;
/// Order lines of the smallest customer; the average one has twice as many.
const LINES_MIN: f64 = 25.0;
/// Order lines of the largest customer, close to that of Online Retail II.
const LINES_MAX: f64 = 13_000.0;
/// Maximum number of lines of an order; all orders of a customer have equally many.
const ORDER_LINES_MAX: u64 = 7;
/// Categories that a customer likes.
const LIKED: u64 = 4;
/// Products that a customer buys again and again.
const STAPLES: u64 = 6;
/// Share of lines that are staples, and share of the others that go with the first line of their order.
const STAPLE_PERCENT: u64 = 40;
const PARTNER_PERCENT: u64 = 50;
/// Steepness of popularity: `n * u^k` for a uniform `u` falls with the rank by the power `1/k - 1`.
const CATEGORY_STEEPNESS: i32 = 3;
const RANK_STEEPNESS: i32 = 2;

/// Number of products and of purchases.
#[derive(Debug, Clone, Copy)]
pub struct ShopSize {
    /// A multiple of two categories: each has a partner.
    pub products: u64,
    pub purchases: u64,
}

impl ShopSize {
    /// End of the history.
    pub fn end() -> Timestamp {
        Timestamp::from_unix_ms(1_700_000_000_000).expect("in 2023")
    }

    /// Builds the catalogue.
    pub fn catalog(self) -> Catalog {
        Catalog::new((0..self.products).map(shop_product).collect())
    }

    /// Generates purchases customer by customer, in the order of a store.
    pub fn history(self) -> impl Iterator<Item = Event> {
        let all = (0..).flat_map(move |customer| self.bought_by(customer));
        all.take(usize::try_from(self.purchases).expect("64 bits"))
    }

    fn bought_by(self, customer: u64) -> impl Iterator<Item = Event> {
        let lines = (LINES_MIN / uniform(customer, 1).sqrt()).min(LINES_MAX) as u64;
        let lines_of_order = 1 + mix(customer, 2) % ORDER_LINES_MAX;
        let orders = lines.div_ceil(lines_of_order) as f64;
        let span = HISTORY_DAYS - JOINING_DAYS * uniform(customer, 3);
        (0..lines).map(move |line| {
            let (order, place) = (line / lines_of_order, line % lines_of_order);
            // At about the same distances.
            let days_ago = span * (order as f64 + uniform(customer, 100 + order)) / orders;
            let product = self.product(customer, order, place);
            Event {
                // Training does not use it.
                id: EventId::new("purchase").expect("a valid id"),
                customer: Some(CustomerId::new(format!("customer-{customer}")).expect("a valid id")),
                at: Self::end() - DAY.mul_f64(days_ago),
                kind: EventKind::Purchase(OrderLine {
                    product: product_id(product),
                    order: Some(OrderId::new(format!("order-{customer}-{order}")).expect("a valid id")),
                    quantity: 1,
                    unit_price: Some(price(product)),
                }),
            }
        })
    }

    /// The product on a line: one of the customer's staples, what goes with the order's first line, or something else of a
    /// category that the customer likes.
    fn product(self, customer: u64, order: u64, place: u64) -> u64 {
        let line = mix(order * ORDER_LINES_MAX + place, customer);
        if line % 100 < STAPLE_PERCENT {
            return self.liked_by(customer, mix(line, 4) % STAPLES);
        }
        if place > 0 && mix(line, 5) % 100 < PARTNER_PERCENT {
            let first = self.product(customer, order, 0);
            let (category, place) = (first / CATEGORY_LEN, first % CATEGORY_LEN);
            return (category ^ 1) * CATEGORY_LEN + place;
        }
        self.liked_by(customer, line)
    }

    /// A product by a draw: popular ones of a popular category are likelier.
    fn liked_by(self, customer: u64, draw: u64) -> u64 {
        let liked = mix(customer, 6 + mix(draw, customer) % LIKED);
        let category = drawn(self.products / CATEGORY_LEN, liked, CATEGORY_STEEPNESS);
        category * CATEGORY_LEN + drawn(CATEGORY_LEN, mix(draw, liked), RANK_STEEPNESS)
    }
}

fn shop_product(number: u64) -> Product {
    generated_product(number, product_id(number), price(number))
}

fn product_id(number: u64) -> ProductId {
    ProductId::new(format!("product-{number}")).expect("a valid id")
}

fn price(product: u64) -> Money {
    money(pence(product, 20))
}

/// A number below `count`, small ones likelier.
fn drawn(count: u64, random: u64, steepness: i32) -> u64 {
    ((count as f64 * uniform(random, 21).powi(steepness)) as u64).min(count - 1)
}

/// Above 0, up to 1.
fn uniform(number: u64, salt: u64) -> f64 {
    ((mix(number, salt) >> 11) + 1) as f64 / (1_u64 << 53) as f64
}
