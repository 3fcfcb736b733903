//! Synthetic shop of realistic size, the same in every run.

use std::sync::Arc;

use tactful::domain::event::{Event, EventKind, OrderLine};
use tactful::domain::ids::{CustomerId, EventId, OrderId, ProductId};
use tactful::domain::product::Product;
use tactful::domain::time::{DAY, Timestamp};
use tactful::use_cases::app::App;
use tactful::use_cases::catalog::{publish_catalog, upsert_products};
use tactful::use_cases::record_events::record_events;
use tactful::use_cases::train_model::train_model;

use super::support::generated_catalog::{self, CATEGORY_LEN, generated_product, mix, money};

/// Number of events recorded in one call.
const BATCH_LEN: usize = 10_000;
/// Number of lines of one order.
const ORDER_LINES: u64 = 12;
/// Length of the history in days.
const HISTORY_DAYS: u64 = 540;

/// Size of the shop.
#[derive(Debug, Clone, Copy)]
pub struct ShopSize {
    pub customers: u64,
    pub products: u64,
    /// Mean number of order lines of a customer.
    pub lines_mean: u64,
    /// Number of order lines of the largest customer, near that of Online Retail II.
    pub lines_max: u64,
}

impl ShopSize {
    pub const FULL: Self = Self { customers: 10_000, products: 5_000, lines_mean: 100, lines_max: 13_000 };
    pub const QUICK: Self = Self { customers: 2_000, products: 300, lines_mean: 20, lines_max: 500 };

    /// Returns the number of lines of each customer, the largest first: a power law of the rank, scaled to the mean.
    fn lines(&self) -> impl Iterator<Item = u64> {
        let weight = |rank: u64| 1.0 / (rank as f64).powf(0.6);
        let total: f64 = (1..self.customers).map(weight).sum();
        let rest = (self.lines_mean * self.customers - self.lines_max) as f64;
        let others = (1..self.customers).map(move |rank| ((rest * weight(rank) / total) as u64).max(1));
        std::iter::once(self.lines_max).chain(others)
    }
}

/// Makes the id of a customer.
pub fn customer(number: u64) -> String {
    format!("customer-{number:05}")
}

/// Makes the id of a product.
pub fn product(number: u64) -> String {
    format!("product-{number:04}")
}

/// Fills the store and trains a model.
pub async fn fill(tactful: &Arc<App>, size: ShopSize) {
    let products: Vec<Product> = (0..size.products).map(shop_product).collect();
    upsert_products(tactful, &products).await.expect("upserts");
    publish_catalog(tactful).await.expect("publishes");
    let mut batch = Vec::with_capacity(BATCH_LEN);
    for (rank, lines) in (0..).zip(size.lines()) {
        for line in 0..lines {
            batch.push(purchase(rank, line, size, tactful.now()));
            if batch.len() == BATCH_LEN {
                record_events(tactful, &batch).await.expect("records");
                batch.clear();
            }
        }
    }
    record_events(tactful, &batch).await.expect("records");
    let model = train_model(tactful).await.expect("there is a history");
    for note in model.notes {
        eprintln!("{note}");
    }
}

fn shop_product(number: u64) -> Product {
    let id = ProductId::new(product(number)).expect("a valid id");
    let is_repeatable = number % CATEGORY_LEN % 4 == 3;
    Product { repeatable: is_repeatable, ..generated_product(number, id, money(pence(number))) }
}

/// Price of a product in pence.
fn pence(product: u64) -> u64 {
    generated_catalog::pence(product, 1)
}

/// Makes an order line of a customer: orders are spread over the history, stay within a few preferred categories, and near the
/// customer's preferred price, which the tree ensemble finds and the blend does not.
fn purchase(rank: u64, line: u64, size: ShopSize, now: Timestamp) -> Event {
    let order = line / ORDER_LINES;
    let categories = size.products / CATEGORY_LEN;
    let liked = mix(rank, 7) + mix(rank * 31 + order, 8) % 4;
    let price_liked = pence(mix(rank, 11));
    let draw = |number: u64| {
        // Small numbers are likelier, so that some products are popular.
        let draw = mix(rank * 100_003 + line, 20 + number);
        liked % categories * CATEGORY_LEN + (draw % CATEGORY_LEN).min((draw >> 32) % CATEGORY_LEN)
    };
    let bought = (0..3).map(draw).min_by_key(|&product| pence(product).abs_diff(price_liked)).expect("three draws");
    let days_ago = mix(rank * 7 + order, 10) % HISTORY_DAYS;
    Event {
        id: EventId::new(format!("{rank}-{line}")).expect("a valid id"),
        customer: Some(CustomerId::new(customer(rank)).expect("a valid id")),
        at: now - DAY * days_ago as u32,
        kind: EventKind::Purchase(OrderLine {
            product: ProductId::new(product(bought)).expect("a valid id"),
            order: Some(OrderId::new(format!("{rank}-{order}")).expect("a valid id")),
            quantity: 1,
            unit_price: None,
        }),
    }
}
