//! Training data of a shop: the events and the catalogue of a data set as of the cutoff.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use super::data_set::{self, DataSetError};
use super::description::DataSetDescription;
use super::task::RankedItems;
use crate::domain::catalog::Catalog;
use crate::domain::event::{Event, EventKind, OrderLine};
use crate::domain::ids::{CustomerId, OrderId, ProductId};
use crate::domain::money::Money;
use crate::domain::product::Product;
use crate::domain::time::Timestamp;

/// Events and catalogue of a shop as of the cutoff.
pub struct ShopAtCutoff {
    /// The cutoff; just after the last event for a data set without a cutoff.
    pub now: Timestamp,
    /// Products sold before the cutoff, at the granularity that is ranked.
    pub catalog: Arc<Catalog>,
    /// Events before the cutoff.
    pub events: Vec<Event>,
    /// All products that each customer ever bought.
    pub bought: HashMap<CustomerId, HashSet<ProductId>>,
    /// Time of the last sale of each product.
    pub last_sold: HashMap<ProductId, Timestamp>,
}

/// Contents of the files, shared by the evaluations of products and of categories.
pub struct SalesFiles {
    cutoff: Option<Timestamp>,
    events: Vec<Event>,
    products: Option<Vec<Product>>,
    prices: HashMap<ProductId, Money>,
}

impl SalesFiles {
    /// Reads the files of a description.
    pub fn read(description: &DataSetDescription) -> Result<Self, DataSetError> {
        let DataSetDescription { cutoff, events, catalog, prices, .. } = description;
        // Without a cutoff, `days_ago` counts back from the end of time: only the distances between events matter.
        let now = cutoff.unwrap_or(Timestamp::MAX);
        let files =
            events.as_ref().ok_or_else(|| DataSetError::InsufficientData("the task needs events".to_owned()))?;
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

    /// Builds the training data at a granularity, without the baskets of the queries.
    pub fn at_cutoff(&self, items: RankedItems, held_out: &HashSet<OrderId>) -> Result<ShopAtCutoff, DataSetError> {
        let known: Option<HashMap<&ProductId, &Product>> =
            self.products.as_ref().map(|products| products.iter().map(|product| (&product.id, product)).collect());
        let mut events = Vec::with_capacity(self.events.len());
        for event in &self.events {
            if line(event).and_then(|line| line.order.as_ref()).is_some_and(|order| held_out.contains(order)) {
                continue;
            }
            let mut event = event.clone();
            if let (Some(known), Some(sold)) = (&known, product_mut(&mut event)) {
                let Some(&product) = known.get(sold) else { continue };
                match items {
                    RankedItems::Products => {}
                    RankedItems::Categories => match category(product) {
                        Some(category) => *sold = category,
                        None => continue,
                    },
                }
            }
            events.push(event);
        }
        let Some(latest) = events.iter().map(|event| event.at).max() else {
            let problem = "there is no training data: no event before the cutoff is of a product (or category) in \
                           [catalog], or all are in baskets of the queries";
            return Err(DataSetError::InsufficientData(problem.to_owned()));
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
        Ok(ShopAtCutoff { now, catalog, events, bought, last_sold })
    }

    /// Builds the catalogue of all products sold, with their descriptions and prices.
    fn catalog(&self, items: RankedItems, events: &[Event], sold: &HashMap<ProductId, Timestamp>) -> Catalog {
        let described: HashMap<ProductId, Product> = match (items, &self.products) {
            (_, None) => HashMap::new(),
            (RankedItems::Products, Some(products)) => products.iter().map(|it| (it.id.clone(), it.clone())).collect(),
            (RankedItems::Categories, Some(products)) => products.iter().filter_map(category_product).collect(),
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

/// Returns the category of a product as the id of an item.
fn category(product: &Product) -> Option<ProductId> {
    ProductId::new(product.category.join(" | ")).ok()
}

/// Makes an item of a product's category; the item's own category is the level above.
fn category_product(product: &Product) -> Option<(ProductId, Product)> {
    let id = category(product)?;
    let above = product.category.split_last().map_or(&[][..], |(_, above)| above).to_vec();
    let item = Product { category: above, ..Product::new(id.clone(), id.as_str().to_owned()) };
    Some((id, item))
}

/// Returns the lower median of the prices paid for each product, which is a price that was really paid.
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
    if let EventKind::Purchase(line) | EventKind::Return { line, reason: _ } = &event.kind { Some(line) } else { None }
}

/// Returns the product that an event sells or returns.
fn product_mut(event: &mut Event) -> Option<&mut ProductId> {
    if let EventKind::Purchase(OrderLine { product, .. })
    | EventKind::Return { line: OrderLine { product, .. }, reason: _ }
    | EventKind::SubscriptionStart { product } = &mut event.kind
    {
        Some(product)
    } else {
        None
    }
}
