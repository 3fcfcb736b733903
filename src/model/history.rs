//! The history as training reads it: compact, and the same whatever the order in which events were pushed.

use std::collections::{BTreeMap, HashMap};

use crate::domain::event::{Event, EventKind, OrderLine};
use crate::domain::ids::{CustomerId, OrderId, ProductId};
use crate::domain::time::Timestamp;

use super::profile::ProfileColumns;

/// One product bought once: by a customer, in a basket, or both.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Purchase {
    /// The customer's number; [`NOBODY`] when unknown.
    pub customer: u32,
    /// The product's number.
    pub product: u32,
    /// When, in seconds after 1970.
    pub second: i64,
    /// The basket's number; [`NOBODY`] when unknown.
    pub basket: u32,
}

/// Stands for a customer or basket that is not known.
pub const NOBODY: u32 = u32::MAX;

/// Purchases and regrets, collected event by event.
#[derive(Debug, Default)]
pub struct TrainingHistory {
    customers: HashMap<CustomerId, u32>,
    products: HashMap<ProductId, u32>,
    baskets: HashMap<(u32, OrderId), u32>,
    purchases: Vec<Purchase>,
    /// Returns, cancellations and downgrades: product and second.
    given_up: Vec<(u32, i64)>,
    /// What was paid for each product, in millionths of a unit, and how often. Whole numbers, so that their order does
    /// not matter.
    paid: HashMap<u32, (i128, u64)>,
    profiles: HashMap<u32, BTreeMap<String, String>>,
}

impl TrainingHistory {
    /// A history of nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds one event. Kinds that say nothing about who buys what are passed over.
    pub fn push(&mut self, event: &Event) {
        let customer = event.customer.as_ref().map_or(NOBODY, |customer| number(&mut self.customers, customer));
        match &event.kind {
            EventKind::Purchase(line) => self.buy(customer, line, event.at),
            EventKind::SubscriptionStart { product } => self.acquire(customer, product, NOBODY, event.at),
            EventKind::Return(OrderLine { product, .. })
            | EventKind::Cancellation { product: Some(product) }
            | EventKind::Downgrade { from: product, .. } => {
                let product = number(&mut self.products, product);
                self.given_up.push((product, event.at.unix_ms().div_euclid(1000)));
            }
            EventKind::Cancellation { product: None }
            | EventKind::SubscriptionEnd { .. }
            | EventKind::SubscriptionRenewal { .. }
            | EventKind::Usage { .. }
            | EventKind::SupportTicket(_)
            | EventKind::Complaint(_)
            | EventKind::CaseResolved { .. }
            | EventKind::PaymentLate
            | EventKind::PaymentFailed
            | EventKind::PaymentDisputed
            | EventKind::Survey(_)
            | EventKind::Visit { .. }
            | EventKind::Outcome(_) => {}
        }
    }

    /// What is known of a customer, whether the customer ever bought anything or not. Learned are all attributes that are
    /// told: sensitive ones must not be.
    pub fn know(&mut self, customer: &CustomerId, attributes: BTreeMap<String, String>) {
        let customer = number(&mut self.customers, customer);
        self.profiles.insert(customer, attributes);
    }

    fn buy(&mut self, customer: u32, line: &OrderLine, at: Timestamp) {
        let basket = match &line.order {
            // Order numbers of different customers may coincide.
            Some(order) => number(&mut self.baskets, &(customer, order.clone())),
            None => NOBODY,
        };
        self.acquire(customer, &line.product, basket, at);
        if let Some(price) = line.unit_price.filter(|price| !price.is_negative()) {
            let product = number(&mut self.products, &line.product);
            let (sum, count) = self.paid.entry(product).or_default();
            *sum += (price.approximate() * 1e6) as i128;
            *count += 1;
        }
    }

    fn acquire(&mut self, customer: u32, product: &ProductId, basket: u32, at: Timestamp) {
        let product = number(&mut self.products, product);
        self.purchases.push(Purchase { customer, product, second: at.unix_ms().div_euclid(1000), basket });
    }

    /// The history up to `now` in a form that does not depend on the order of pushing: products are numbered by id,
    /// customers and baskets by theirs.
    pub fn until(&self, now: Timestamp) -> OrderedHistory {
        let (products, product_numbers) = in_order(&self.products);
        let (customers, customer_numbers) = in_order(&self.customers);
        let mut basket_keys: Vec<(u32, &OrderId, u32)> = self
            .baskets
            .iter()
            .map(|((customer, order), &basket)| (renumber(&customer_numbers, *customer), order, basket))
            .collect();
        basket_keys.sort_unstable();
        let mut basket_numbers = vec![0; basket_keys.len()];
        for (place, (_, _, basket)) in basket_keys.iter().enumerate() {
            basket_numbers[*basket as usize] = place as u32;
        }
        let last_second = now.unix_ms().div_euclid(1000);
        let mut purchases: Vec<Purchase> = self
            .purchases
            .iter()
            .filter(|purchase| purchase.second <= last_second)
            .map(|purchase| Purchase {
                customer: renumber(&customer_numbers, purchase.customer),
                product: product_numbers[purchase.product as usize],
                second: purchase.second,
                basket: renumber(&basket_numbers, purchase.basket),
            })
            .collect();
        purchases.sort_unstable();
        let mut given_up: Vec<(u32, i64)> =
            self.given_up.iter().map(|&(product, second)| (product_numbers[product as usize], second)).collect();
        given_up.sort_unstable();
        let mut paid = vec![None; products.len()];
        for (&product, &(sum, count)) in &self.paid {
            paid[product_numbers[product as usize] as usize] = Some((sum as f64 / 1e6 / count as f64) as f32);
        }
        let attributes = ProfileColumns::of(self.profiles.values());
        let mut profiles = vec![Vec::new(); customers.len()];
        for (&customer, profile) in &self.profiles {
            profiles[customer_numbers[customer as usize] as usize] = attributes.of_profile(profile);
        }
        let (customers, baskets) = (customers.len(), basket_keys.len());
        let products = products.into_iter().cloned().collect();
        OrderedHistory { products, customers, baskets, purchases, given_up, paid, attributes, profiles }
    }
}

/// A history in an order of its own.
#[derive(Debug, Clone)]
pub struct OrderedHistory {
    /// The products by number, in order of id.
    pub products: Vec<ProductId>,
    /// How many customers there are.
    pub customers: usize,
    /// How many baskets there are.
    pub baskets: usize,
    /// By customer, then product, then time.
    pub purchases: Vec<Purchase>,
    /// Returns, cancellations and downgrades: product and second, in order.
    pub given_up: Vec<(u32, i64)>,
    /// What each product was sold for on average, in units of its currency; `None` when no price is known.
    pub paid: Vec<Option<f32>>,
    /// Attributes of customers as columns.
    pub attributes: ProfileColumns,
    /// The columns that each customer falls into, as is known at the end; nothing is known of when it began.
    pub profiles: Vec<Vec<u32>>,
}

impl OrderedHistory {
    /// Each known customer's purchases.
    pub fn by_customer(&self) -> impl Iterator<Item = &[Purchase]> {
        let known = self.purchases.chunk_by(|a, b| a.customer == b.customer);
        known.filter(|purchases| purchases[0].customer != NOBODY)
    }

    /// The products of each basket, every product once, in order.
    pub fn by_basket(&self) -> Vec<(i64, Vec<u32>)> {
        let mut lines: Vec<(u32, u32, i64)> = self
            .purchases
            .iter()
            .filter(|purchase| purchase.basket != NOBODY)
            .map(|purchase| (purchase.basket, purchase.product, purchase.second))
            .collect();
        lines.sort_unstable();
        lines
            .chunk_by(|a, b| a.0 == b.0)
            .map(|lines| {
                let mut products: Vec<u32> = lines.iter().map(|line| line.1).collect();
                products.dedup();
                (lines.iter().map(|line| line.2).max().unwrap_or_default(), products)
            })
            .collect()
    }
}

fn number<K: Clone + Eq + std::hash::Hash>(numbers: &mut HashMap<K, u32>, key: &K) -> u32 {
    if let Some(&number) = numbers.get(key) {
        return number;
    }
    let next = numbers.len() as u32;
    numbers.insert(key.clone(), next);
    next
}

/// The keys in order, and for each old number the new one.
fn in_order<K: Ord>(numbers: &HashMap<K, u32>) -> (Vec<&K>, Vec<u32>) {
    let mut keys: Vec<(&K, u32)> = numbers.iter().map(|(key, &number)| (key, number)).collect();
    keys.sort_unstable();
    let mut renumbered = vec![0; keys.len()];
    for (place, (_, number)) in keys.iter().enumerate() {
        renumbered[*number as usize] = place as u32;
    }
    (keys.into_iter().map(|(key, _)| key).collect(), renumbered)
}

fn renumber(numbers: &[u32], number: u32) -> u32 {
    numbers.get(number as usize).copied().unwrap_or(NOBODY)
}
