//! Training history: compact, and the same whatever the order in which events are pushed.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use crate::domain::catalog::Catalog;
use crate::domain::event::{Event, EventKind, OrderLine};
use crate::domain::ids::{CustomerId, OrderId, ProductId};
use crate::domain::time::Timestamp;

use super::learned_product::VariantSales;
use super::profile::ProfileEncoder;

/// Single purchase of an item: by a customer, in a basket, or both.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Purchase {
    /// Index of the customer; [`UNKNOWN_ID`] when anonymous.
    pub customer: u32,
    /// Index of the product.
    pub item: u32,
    /// Time, in seconds after 1970.
    pub second: i64,
    /// Index of the basket; [`UNKNOWN_ID`] without one.
    pub basket: u32,
}

/// Index of an unknown customer or basket.
pub const UNKNOWN_ID: u32 = u32::MAX;

/// Purchases, reversals and profiles, collected event by event.
#[derive(Debug, Default)]
pub struct TrainingHistory {
    customers: HashMap<CustomerId, u32>,
    products: HashMap<ProductId, u32>,
    baskets: HashMap<(u32, OrderId), u32>,
    purchases: Vec<Purchase>,
    /// Returns, cancellations and downgrades: product and second.
    reversals: Vec<(u32, i64)>,
    /// Sum of the prices paid for each product, in millionths of a unit, and their number. Integers, so that the order of
    /// the events does not matter.
    paid: HashMap<u32, (i128, u64)>,
    profiles: HashMap<u32, BTreeMap<String, String>>,
}

impl TrainingHistory {
    /// Empty history.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds one event. Kinds that training does not learn from are ignored.
    pub fn push(&mut self, event: &Event) {
        let customer = event.customer.as_ref().map_or(UNKNOWN_ID, |customer| index_of(&mut self.customers, customer));
        if let EventKind::Purchase(line) = &event.kind {
            self.buy(customer, line, event.at);
        } else if let EventKind::SubscriptionStart { product } = &event.kind {
            self.acquire(customer, product, UNKNOWN_ID, event.at);
        } else if let Some(product) = event.kind.reversed_product() {
            let product = index_of(&mut self.products, product);
            self.reversals.push((product, event.at.unix_ms().div_euclid(1000)));
        }
    }

    /// Sets the attributes of a customer, with or without purchases. All of them are learned from: the caller leaves out
    /// sensitive ones.
    pub fn set_profile(&mut self, customer: &CustomerId, attributes: BTreeMap<String, String>) {
        let customer = index_of(&mut self.customers, customer);
        self.profiles.insert(customer, attributes);
    }

    fn buy(&mut self, customer: u32, line: &OrderLine, at: Timestamp) {
        let basket = match &line.order {
            // Order numbers of different customers may coincide.
            Some(order) => index_of(&mut self.baskets, &(customer, order.clone())),
            None => UNKNOWN_ID,
        };
        self.acquire(customer, &line.product, basket, at);
        if let Some(price) = line.unit_price.filter(|price| !price.is_negative()) {
            let product = index_of(&mut self.products, &line.product);
            let (sum, count) = self.paid.entry(product).or_default();
            *sum += (price.approximate() * 1e6) as i128;
            *count += 1;
        }
    }

    fn acquire(&mut self, customer: u32, product: &ProductId, basket: u32, at: Timestamp) {
        let item = index_of(&mut self.products, product);
        self.purchases.push(Purchase { customer, item, second: at.unix_ms().div_euclid(1000), basket });
    }

    /// History up to `now` in an order of its own: products, customers and baskets are indexed in the order of their ids,
    /// whatever the order of the events.
    pub fn until(&self, now: Timestamp) -> OrderedHistory {
        self.ordered(now, |id| id)
    }

    /// The same with all variants of an item group of the catalogue as one product, the representative of the group.
    pub fn until_by_item_group(&self, now: Timestamp, catalog: &Catalog) -> OrderedHistory {
        self.ordered(now, |id| catalog.representative_of(id))
    }

    fn ordered<'a>(
        &'a self,
        now: Timestamp,
        representative_of: impl Fn(&'a ProductId) -> &'a ProductId,
    ) -> OrderedHistory {
        let (products, product_indices) = represented(&self.products, representative_of);
        let (customers, customer_indices) = in_order(&self.customers);
        let mut basket_keys: Vec<(u32, &OrderId, u32)> = self
            .baskets
            .iter()
            .map(|((customer, order), &basket)| (renumbered(&customer_indices, *customer), order, basket))
            .collect();
        basket_keys.sort_unstable();
        let mut basket_indices = vec![0; basket_keys.len()];
        for (index, (_, _, basket)) in basket_keys.iter().enumerate() {
            basket_indices[*basket as usize] = index as u32;
        }
        let last_second = now.unix_ms().div_euclid(1000);
        let mut purchases: Vec<Purchase> = self
            .purchases
            .iter()
            .filter(|purchase| purchase.second <= last_second)
            .map(|purchase| Purchase {
                customer: renumbered(&customer_indices, purchase.customer),
                item: product_indices[purchase.item as usize],
                second: purchase.second,
                basket: renumbered(&basket_indices, purchase.basket),
            })
            .collect();
        purchases.sort_unstable();
        let variants = self.variant_sales(&products, &product_indices, last_second);
        let mut reversals: Vec<(u32, i64)> =
            self.reversals.iter().map(|&(product, second)| (product_indices[product as usize], second)).collect();
        reversals.sort_unstable();
        let mut paid = vec![(0_i128, 0_u64); products.len()];
        for (&product, &(sum, count)) in &self.paid {
            let total = &mut paid[product_indices[product as usize] as usize];
            *total = (total.0 + sum, total.1 + count);
        }
        let mean = |(sum, count): (i128, u64)| (count > 0).then(|| (sum as f64 / 1e6 / count as f64) as f32);
        let mean_prices = paid.into_iter().map(mean).collect();
        let profile_encoder = ProfileEncoder::fit(self.profiles.values());
        let mut profiles = vec![Vec::new(); customers.len()];
        for (&customer, profile) in &self.profiles {
            profiles[customer_indices[customer as usize] as usize] = profile_encoder.encode(profile);
        }
        let (customers, baskets) = (customers.len(), basket_keys.len());
        let products = products.into_iter().cloned().collect();
        OrderedHistory {
            products,
            variants,
            customers,
            baskets,
            purchases,
            reversals,
            mean_prices,
            profile_encoder,
            profiles,
        }
    }

    /// Number of purchases of each variant, for the products that represent others.
    fn variant_sales(&self, products: &[&ProductId], indices: &[u32], last_second: i64) -> Vec<Vec<VariantSales>> {
        let mut represented = vec![0_u32; products.len()];
        let mut is_group = vec![false; products.len()];
        for (id, &old) in &self.products {
            let index = indices[old as usize] as usize;
            represented[index] += 1;
            is_group[index] |= represented[index] > 1 || id != products[index];
        }
        let mut bought: BTreeMap<(u32, u32), u32> = BTreeMap::new();
        for purchase in self.purchases.iter().filter(|purchase| purchase.second <= last_second) {
            let index = indices[purchase.item as usize];
            if is_group[index as usize] {
                *bought.entry((index, purchase.item)).or_default() += 1;
            }
        }
        let mut ids = vec![None; indices.len()];
        self.products.iter().for_each(|(id, &old)| ids[old as usize] = Some(id));
        let mut sales: Vec<Vec<VariantSales>> = vec![Vec::new(); products.len()];
        for ((index, old), bought) in bought {
            let id = ids[old as usize].expect("every index is that of a product");
            sales[index as usize].push(VariantSales { id: id.clone(), bought });
        }
        for sales in &mut sales {
            sales.sort_unstable_by(|a, b| (b.bought, &a.id).cmp(&(a.bought, &b.id)));
        }
        sales
    }
}

/// History up to a moment, in an order that does not depend on that of the events.
#[derive(Debug, Clone)]
pub struct OrderedHistory {
    /// Products by index, in order of id.
    pub products: Vec<ProductId>,
    /// Purchases of the variants of each product, the most first; empty for a product without variants.
    pub variants: Vec<Vec<VariantSales>>,
    /// Number of customers.
    pub customers: usize,
    /// Number of baskets.
    pub baskets: usize,
    /// Purchases by customer, then product, then time.
    pub purchases: Vec<Purchase>,
    /// Returns, cancellations and downgrades: product and second, in order.
    pub reversals: Vec<(u32, i64)>,
    /// Mean price paid for each product, in units of its currency; `None` when no price is known.
    pub mean_prices: Vec<Option<f32>>,
    /// Encoding of customer attributes as columns.
    pub profile_encoder: ProfileEncoder,
    /// Encoded profile of each customer, as of the end: when an attribute was set is not known.
    pub profiles: Vec<Vec<u32>>,
}

impl OrderedHistory {
    /// Purchases of each customer; anonymous ones are left out.
    pub fn by_customer(&self) -> impl Iterator<Item = &[Purchase]> {
        let customers = self.purchases.chunk_by(|a, b| a.customer == b.customer);
        customers.filter(|purchases| purchases[0].customer != UNKNOWN_ID)
    }

    /// Items of each basket, every item once, in order, with the time of the last line.
    pub fn by_basket(&self) -> Vec<(i64, Vec<u32>)> {
        let mut lines: Vec<(u32, u32, i64)> = self
            .purchases
            .iter()
            .filter(|purchase| purchase.basket != UNKNOWN_ID)
            .map(|purchase| (purchase.basket, purchase.item, purchase.second))
            .collect();
        lines.sort_unstable();
        lines
            .chunk_by(|a, b| a.0 == b.0)
            .map(|lines| {
                let mut items: Vec<u32> = lines.iter().map(|line| line.1).collect();
                items.dedup();
                (lines.iter().map(|line| line.2).max().unwrap_or_default(), items)
            })
            .collect()
    }
}

/// Index of a key, in order of first appearance.
fn index_of<K: Clone + Eq + std::hash::Hash>(indices: &mut HashMap<K, u32>, key: &K) -> u32 {
    if let Some(&index) = indices.get(key) {
        return index;
    }
    let next = indices.len() as u32;
    indices.insert(key.clone(), next);
    next
}

/// Representatives of the products in order, with the new index of each old one.
fn represented<'a>(
    indices: &'a HashMap<ProductId, u32>,
    representative_of: impl Fn(&'a ProductId) -> &'a ProductId,
) -> (Vec<&'a ProductId>, Vec<u32>) {
    let representatives: BTreeSet<&ProductId> = indices.keys().map(&representative_of).collect();
    let representatives: Vec<&ProductId> = representatives.into_iter().collect();
    let mut new_indices = vec![0; indices.len()];
    for (id, &old) in indices {
        let new = representatives.binary_search(&representative_of(id)).expect("every representative is listed");
        new_indices[old as usize] = new as u32;
    }
    (representatives, new_indices)
}

/// Keys in order, with the new index of each old one.
fn in_order<K: Ord>(indices: &HashMap<K, u32>) -> (Vec<&K>, Vec<u32>) {
    let mut keys: Vec<(&K, u32)> = indices.iter().map(|(key, &index)| (key, index)).collect();
    keys.sort_unstable();
    let mut new_indices = vec![0; keys.len()];
    for (new, (_, old)) in keys.iter().enumerate() {
        new_indices[*old as usize] = new as u32;
    }
    (keys.into_iter().map(|(key, _)| key).collect(), new_indices)
}

fn renumbered(new_indices: &[u32], index: u32) -> u32 {
    new_indices.get(index as usize).copied().unwrap_or(UNKNOWN_ID)
}
