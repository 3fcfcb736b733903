//! Who bought what, as the baselines read it: products by their place in the catalogue, nothing weighted.

use crate::domain::catalog::Catalog;
use crate::domain::time::Timestamp;
use crate::model::history::{OrderedHistory, TrainingHistory, UNKNOWN_ID};

/// The products of one customer or basket, each once, in order.
pub type Row = Vec<usize>;

/// The sales of a shop up to a moment.
pub struct Sales {
    history: OrderedHistory,
    /// For each product of the history its place in the catalogue; none for what was only ever brought back.
    places: Vec<Option<usize>>,
    products: usize,
    /// In seconds after 1970.
    end: i64,
}

impl Sales {
    /// What was sold up to `now`; what is not in the catalogue is left out.
    pub fn new(history: &TrainingHistory, catalog: &Catalog, now: Timestamp) -> Self {
        let history = history.until(now);
        let places = history.products.iter().map(|id| catalog.index_of(id)).collect();
        Self { history, places, products: catalog.products().len(), end: now.unix_ms().div_euclid(1000) }
    }

    /// How many products the catalogue has.
    pub fn products(&self) -> usize {
        self.products
    }

    /// What each known customer bought.
    pub fn by_customer(&self) -> Vec<Row> {
        let row = |bought: &[crate::model::history::Purchase]| {
            let mut row: Row = bought.iter().filter_map(|purchase| self.places[purchase.item as usize]).collect();
            row.sort_unstable();
            row.dedup();
            row
        };
        self.history.by_customer().map(row).collect()
    }

    /// What each basket held.
    pub fn by_basket(&self) -> Vec<Row> {
        let place = |product: &u32| self.places[*product as usize];
        let baskets = self.history.by_basket().into_iter();
        baskets.map(|(_, products)| products.iter().filter_map(place).collect()).collect()
    }

    /// How many buyers each product had within so many days before the end; whose name is unknown counts by basket.
    pub fn buyers(&self, days: i64) -> Vec<u32> {
        let from = self.end.saturating_sub(days.saturating_mul(86_400));
        let mut seen: Vec<(usize, bool, u32)> = Vec::new();
        for purchase in self.history.purchases.iter().filter(|purchase| purchase.second >= from) {
            let is_named = purchase.customer != UNKNOWN_ID;
            let buyer = if is_named { purchase.customer } else { purchase.basket };
            seen.extend(self.places[purchase.item as usize].map(|place| (place, is_named, buyer)));
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
