//! Simple rules that rank upgrades.

use super::purchase_matrix::{ItemSet, PurchaseMatrix};
use crate::domain::catalog::Catalog;

/// Scores by the smallest price step from the anchor; products with an unknown step come last.
pub fn smallest_step(anchor: Option<usize>, catalog: &Catalog) -> Vec<f32> {
    let price = |place: usize| catalog.products()[place].price.map(|price| price.approximate() as f32);
    let from = anchor.and_then(price);
    let step = |place: usize| from.zip(price(place)).map_or(f32::MIN, |(from, to)| -(to - from).abs());
    (0..catalog.products().len()).map(step).collect()
}

/// Index of the buyers of each product.
pub struct CoBuyers {
    rows: Vec<ItemSet>,
    rows_of: Vec<Vec<usize>>,
    products: usize,
}

impl CoBuyers {
    /// Builds the index from the identified customers.
    pub fn new(purchases: &PurchaseMatrix) -> Self {
        let rows = purchases.by_customer();
        let mut rows_of = vec![Vec::new(); purchases.products()];
        for (number, row) in rows.iter().enumerate() {
            for &product in row {
                rows_of[product].push(number);
            }
        }
        Self { rows, rows_of, products: purchases.products() }
    }

    /// Counts the customers who bought each product as well as the anchor.
    pub fn shared_with(&self, anchor: Option<usize>) -> Vec<f32> {
        let mut counts = vec![0.0; self.products];
        let rows = anchor.map_or(&[][..], |anchor| &self.rows_of[anchor]);
        for &product in rows.iter().flat_map(|&row| &self.rows[row]) {
            counts[product] += 1.0;
        }
        counts
    }
}
