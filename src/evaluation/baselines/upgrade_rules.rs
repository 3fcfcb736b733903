//! Simple rules for what to move up to.

use super::sales::{Row, Sales};
use crate::domain::catalog::Catalog;

/// The least dearer product first; one whose step in price is unknown comes last.
pub fn smallest_step(anchor: Option<usize>, catalog: &Catalog) -> Vec<f32> {
    let price = |place: usize| catalog.products()[place].price.map(|price| price.approximate() as f32);
    let from = anchor.and_then(price);
    let step = |place: usize| from.zip(price(place)).map_or(f32::MIN, |(from, to)| -(to - from).abs());
    (0..catalog.products().len()).map(step).collect()
}

/// Who bought each product.
pub struct Buyers {
    rows: Vec<Row>,
    rows_of: Vec<Vec<usize>>,
    products: usize,
}

impl Buyers {
    /// Reads the known customers.
    pub fn of(sales: &Sales) -> Self {
        let rows = sales.by_customer();
        let mut rows_of = vec![Vec::new(); sales.products()];
        for (number, row) in rows.iter().enumerate() {
            for &product in row {
                rows_of[product].push(number);
            }
        }
        Self { rows, rows_of, products: sales.products() }
    }

    /// How many bought each product as well as the anchor.
    pub fn of_both(&self, anchor: Option<usize>) -> Vec<f32> {
        let mut counts = vec![0.0; self.products];
        let rows = anchor.map_or(&[][..], |anchor| &self.rows_of[anchor]);
        for &product in rows.iter().flat_map(|&row| &self.rows[row]) {
            counts[product] += 1.0;
        }
        counts
    }
}
