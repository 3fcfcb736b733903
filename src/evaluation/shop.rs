//! What the files of a data set say was sold, as a model may see it: nothing from the cutoff on.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use super::data_set::{self, DataSetError};
use super::description::Description;
use super::task::Items;
use crate::domain::catalog::Catalog;
use crate::domain::event::{Event, EventKind, OrderLine};
use crate::domain::ids::{CustomerId, OrderId, ProductId};
use crate::domain::money::Money;
use crate::domain::product::Product;
use crate::domain::time::Timestamp;

/// A shop as of the cutoff.
pub struct Shop {
    /// The cutoff; where there is none, just after the last event.
    pub now: Timestamp,
    /// What was sold, in the items that are ranked.
    pub catalog: Arc<Catalog>,
    /// What happened before.
    pub events: Vec<Event>,
    /// What each customer ever bought.
    pub bought: HashMap<CustomerId, HashSet<ProductId>>,
    /// When each product was last sold.
    pub last_sold: HashMap<ProductId, Timestamp>,
}

/// Files as they were read, for shops of products and of categories alike.
pub struct SalesFiles {
    cutoff: Option<Timestamp>,
    events: Vec<Event>,
    products: Option<Vec<Product>>,
    prices: HashMap<ProductId, Money>,
}

impl SalesFiles {
    /// Reads what a description names.
    ///
    /// # Errors
    /// When files cannot be read.
    pub fn read(description: &Description) -> Result<Self, DataSetError> {
        let Description { cutoff, events, catalog, prices, .. } = description;
        // Days ago are counted from the end of time where nothing says when they were: how far apart they are is told.
        let now = cutoff.unwrap_or(Timestamp::MAX);
        let files = events.as_ref().ok_or_else(|| DataSetError::NotEnough("the task needs events".to_owned()))?;
        let mut events = data_set::events(files, now)?;
        if let Some(cutoff) = cutoff {
            data_set::check_cutoff(*cutoff, &events)?;
            events.retain(|event| event.at < *cutoff);
        }
        let products = catalog.as_ref().map(|files| data_set::products(files, now)).transpose()?;
        let prices = prices.as_ref().map(|files| data_set::products(files, now)).transpose()?.unwrap_or_default();
        let prices = prices.into_iter().filter_map(|product| Some((product.id, product.price?))).collect();
        Ok(Self { cutoff: *cutoff, events, products, prices })
    }

    /// The shop in these items, without the baskets that are asked about.
    ///
    /// # Errors
    /// When nothing is left.
    pub fn shop(&self, items: Items, asked: &HashSet<OrderId>) -> Result<Shop, DataSetError> {
        let known: Option<HashMap<&ProductId, &Product>> =
            self.products.as_ref().map(|products| products.iter().map(|product| (&product.id, product)).collect());
        let mut events = Vec::with_capacity(self.events.len());
        for event in &self.events {
            if line(event).and_then(|line| line.order.as_ref()).is_some_and(|order| asked.contains(order)) {
                continue;
            }
            let mut event = event.clone();
            if let (Some(known), Some(sold)) = (&known, product_mut(&mut event)) {
                let Some(&product) = known.get(sold) else { continue };
                match items {
                    Items::Products => {}
                    Items::Categories => match category(product) {
                        Some(category) => *sold = category,
                        None => continue,
                    },
                }
            }
            events.push(event);
        }
        let Some(latest) = events.iter().map(|event| event.at).max() else {
            let problem = "nothing is left to learn from: no event before the cutoff is of a product (or category) that \
                           [catalog] knows, or all are in baskets that are asked about";
            return Err(DataSetError::NotEnough(problem.to_owned()));
        };
        let mut bought: HashMap<CustomerId, HashSet<ProductId>> = HashMap::new();
        let mut last_sold: HashMap<ProductId, Timestamp> = HashMap::new();
        for event in &events {
            let (EventKind::Purchase(OrderLine { product, .. }) | EventKind::SubscriptionStart { product }) =
                &event.kind
            else {
                continue;
            };
            if let Some(customer) = &event.customer {
                bought.entry(customer.clone()).or_default().insert(product.clone());
            }
            let sold = last_sold.entry(product.clone()).or_insert(event.at);
            *sold = (*sold).max(event.at);
        }
        let catalog = Arc::new(self.catalog(items, &events, &last_sold));
        let now = self.cutoff.unwrap_or(latest + std::time::Duration::from_secs(1));
        Ok(Shop { now, catalog, events, bought, last_sold })
    }

    /// Every product that was sold, with what the files say of it.
    fn catalog(&self, items: Items, events: &[Event], sold: &HashMap<ProductId, Timestamp>) -> Catalog {
        let described: HashMap<ProductId, Product> = match (items, &self.products) {
            (_, None) => HashMap::new(),
            (Items::Products, Some(products)) => products.iter().map(|it| (it.id.clone(), it.clone())).collect(),
            (Items::Categories, Some(products)) => products.iter().filter_map(category_product).collect(),
        };
        let paid = median_prices(events);
        let product = |id: &ProductId| {
            let mut product =
                described.get(id).cloned().unwrap_or_else(|| Product::new(id.clone(), id.as_str().to_owned()));
            let known = product.price.or_else(|| self.prices.get(id).copied());
            product.price = known.or_else(|| paid.get(id).copied());
            product
        };
        Catalog::new(sold.keys().map(product).collect())
    }
}

/// The category of a product as an item of its own.
fn category(product: &Product) -> Option<ProductId> {
    ProductId::new(product.category.join(" | ")).ok()
}

/// Its category is that of the level above.
fn category_product(product: &Product) -> Option<(ProductId, Product)> {
    let id = category(product)?;
    let above = product.category.split_last().map_or(&[][..], |(_, above)| above).to_vec();
    let item = Product { category: above, ..Product::new(id.clone(), id.as_str().to_owned()) };
    Some((id, item))
}

/// What each product was usually sold for: the lower median, so that it is a price that was paid.
fn median_prices(events: &[Event]) -> HashMap<ProductId, Money> {
    let mut paid: BTreeMap<&ProductId, Vec<Money>> = BTreeMap::new();
    for event in events {
        if let EventKind::Purchase(line) = &event.kind
            && let Some(price) = line.unit_price
        {
            paid.entry(&line.product).or_default().push(price);
        }
    }
    let median = |(id, mut prices): (&ProductId, Vec<Money>)| {
        prices.sort_unstable_by(|a, b| a.approximate().total_cmp(&b.approximate()));
        prices.get((prices.len() - 1) / 2).map(|&price| (id.clone(), price))
    };
    paid.into_iter().filter_map(median).collect()
}

fn line(event: &Event) -> Option<&OrderLine> {
    if let EventKind::Purchase(line) | EventKind::Return(line) = &event.kind { Some(line) } else { None }
}

/// The product that is sold, or brought back.
fn product_mut(event: &mut Event) -> Option<&mut ProductId> {
    if let EventKind::Purchase(OrderLine { product, .. })
    | EventKind::Return(OrderLine { product, .. })
    | EventKind::SubscriptionStart { product } = &mut event.kind
    {
        Some(product)
    } else {
        None
    }
}
