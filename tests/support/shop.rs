//! Domain values of a small shop: identifiers, money, products, customers and events.

use std::time::Duration;

use tactful::domain::customer::Customer;
use tactful::domain::event::{Event, EventKind, OrderLine};
use tactful::domain::holdings::Holding;
use tactful::domain::ids::{
    CaseId, Channel, CustomerId, EventId, ItemGroupId, LadderId, OfferId, OrderId, Placement, ProductId,
};
use tactful::domain::money::{Currency, Money};
use tactful::domain::product::{FeatureValue, LadderPosition, Product};
use tactful::domain::time::Timestamp;

pub const MS: Duration = Duration::from_millis(1);

/// Time of tests that pass it in: 14 November 2023.
pub fn now() -> Timestamp {
    Timestamp::from_unix_ms(1_700_000_000_000).expect("in range")
}

pub fn customer_id(text: impl Into<String>) -> CustomerId {
    CustomerId::new(text).expect("a valid id")
}

pub fn product_id(text: impl Into<String>) -> ProductId {
    ProductId::new(text).expect("a valid id")
}

/// Id of a product in catalogues of numbered products: `p0`, `p1`, ...
pub fn numbered_product_id(number: usize) -> ProductId {
    product_id(format!("p{number}"))
}

pub fn event_id(text: impl Into<String>) -> EventId {
    EventId::new(text).expect("a valid id")
}

pub fn offer_id(text: impl Into<String>) -> OfferId {
    OfferId::new(text).expect("a valid id")
}

pub fn order_id(text: impl Into<String>) -> OrderId {
    OrderId::new(text).expect("a valid id")
}

pub fn case_id(text: impl Into<String>) -> CaseId {
    CaseId::new(text).expect("a valid id")
}

pub fn channel(text: impl Into<String>) -> Channel {
    Channel::new(text).expect("a valid id")
}

pub fn placement(text: impl Into<String>) -> Placement {
    Placement::new(text).expect("a valid id")
}

pub fn currency(code: &str) -> Currency {
    Currency::new(code).expect("a currency")
}

pub fn gbp(amount: &str) -> Money {
    Money::parse(amount, currency("GBP")).expect("an amount")
}

pub fn customer(id: &str) -> Customer {
    Customer::unknown(customer_id(id))
}

/// Holding of one bought unit.
pub fn holding(bought_at: Timestamp) -> Holding {
    Holding::bought_at(bought_at, 1)
}

pub fn product(id: impl Into<String>, title: impl Into<String>) -> Product {
    Product::new(product_id(id), title.into())
}

pub fn on_ladder(ladder: impl Into<String>, tier: u32, product: Product) -> Product {
    Product { ladder_position: Some(ladder_position(ladder, tier)), ..product }
}

pub fn ladder_position(ladder: impl Into<String>, tier: u32) -> LadderPosition {
    LadderPosition { ladder: LadderId::new(ladder).expect("a valid id"), tier }
}

pub fn item_group(id: &str) -> ItemGroupId {
    ItemGroupId::new(id).expect("a valid id")
}

pub fn with_feature(name: &str, value: FeatureValue, mut product: Product) -> Product {
    product.features.insert(name.to_owned(), value);
    product
}

pub fn order_line(product: ProductId) -> OrderLine {
    OrderLine { product, order: None, quantity: 1, unit_price: None }
}

pub fn event(id: impl Into<String>, customer: impl Into<String>, at: Timestamp, kind: EventKind) -> Event {
    Event { id: event_id(id), customer: Some(customer_id(customer)), at, kind }
}

pub fn purchase(
    id: impl Into<String>,
    customer: impl Into<String>,
    product: impl Into<String>,
    at: Timestamp,
) -> Event {
    event(id, customer, at, EventKind::Purchase(order_line(product_id(product))))
}
