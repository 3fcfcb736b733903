//! Purchases as binary rows of catalogue indices, which is what the baselines are fitted on.

use crate::domain::catalog::Catalog;
use crate::domain::time::Timestamp;
use crate::model::history::{OrderedHistory, TrainingHistory, UNKNOWN_ID};

/// Sorted, distinct catalogue indices of the products of one customer or basket.
pub type ItemSet = Vec<usize>;

/// Purchases of all customers and baskets up to a time.
pub struct PurchaseMatrix {
    history: OrderedHistory,
    /// Catalogue index of each product of the history; `None` for products that were only ever returned.
    catalog_indices: Vec<Option<usize>>,
    products: usize,
    /// End of the history, in seconds after 1970.
    end: i64,
}

impl PurchaseMatrix {
    /// Collects the purchases up to `now`; products that are not in the catalogue are left out.
    pub fn new(history: &TrainingHistory, catalog: &Catalog, now: Timestamp) -> Self {
        let history = history.until(now);
        let catalog_indices = history.products.iter().map(|id| catalog.index_of(id)).collect();
        Self { history, catalog_indices, products: catalog.products().len(), end: now.unix_ms().div_euclid(1000) }
    }

    /// Number of products of the catalogue.
    pub fn products(&self) -> usize {
        self.products
    }

    /// Returns the products of each identified customer.
    pub fn by_customer(&self) -> Vec<ItemSet> {
        let row = |bought: &[crate::model::history::Purchase]| {
            let mut row: ItemSet =
                bought.iter().filter_map(|purchase| self.catalog_indices[purchase.item as usize]).collect();
            row.sort_unstable();
            row.dedup();
            row
        };
        self.history.by_customer().map(row).collect()
    }

    /// Returns the products of each basket.
    pub fn by_basket(&self) -> Vec<ItemSet> {
        let place = |product: &u32| self.catalog_indices[*product as usize];
        let baskets = self.history.by_basket().into_iter();
        baskets.map(|(_, products)| products.iter().filter_map(place).collect()).collect()
    }

    /// Counts the distinct buyers of each product in the last `days` of the history; an anonymous basket counts as a buyer.
    pub fn buyers(&self, days: i64) -> Vec<u32> {
        let from = self.end.saturating_sub(days.saturating_mul(86_400));
        let mut seen: Vec<(usize, bool, u32)> = Vec::new();
        for purchase in self.history.purchases.iter().filter(|purchase| purchase.second >= from) {
            let is_named = purchase.customer != UNKNOWN_ID;
            let buyer = if is_named { purchase.customer } else { purchase.basket };
            seen.extend(self.catalog_indices[purchase.item as usize].map(|place| (place, is_named, buyer)));
        }
        seen.sort_unstable();
        seen.dedup();
        let mut buyers = vec![0; self.products];
        for (place, _, _) in seen {
            buyers[place] += 1;
        }
        buyers
    }
}
