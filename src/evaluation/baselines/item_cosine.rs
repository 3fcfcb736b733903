//! Item-to-item nearest neighbours by the cosine of the sets of buyers: `both / sqrt(buyers x buyers)`.

use std::collections::HashMap;

use super::purchase_matrix::ItemSet;
use super::similarity::Similarity;

/// Maximum number of neighbours of a product.
const NEIGHBOURS_MAX: usize = 200;
/// Maximum size of a row that is counted: longer ones carry no co-purchase signal and would take most of the time.
const ROW_MAX: usize = 1000;

/// Fits the similarities on rows of customers or of baskets.
pub fn fit(products: usize, rows: &[ItemSet]) -> Similarity {
    let mut counts = vec![0.0_f32; products];
    let mut rows_of: Vec<Vec<usize>> = vec![Vec::new(); products];
    for (number, row) in rows.iter().enumerate() {
        for &product in row {
            counts[product] += 1.0;
            rows_of[product].push(number);
        }
    }
    let neighbours = |product: usize| {
        let mut together: HashMap<usize, f32> = HashMap::new();
        for &row in rows_of[product].iter().filter(|&&row| rows[row].len() <= ROW_MAX) {
            for &other in rows[row].iter().filter(|&&other| other != product) {
                *together.entry(other).or_default() += 1.0;
            }
        }
        let cosine = |(other, both): (usize, f32)| (other, both / (counts[product] * counts[other]).sqrt());
        let mut neighbours: Vec<(usize, f32)> = together.into_iter().map(cosine).collect();
        neighbours.sort_unstable_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
        neighbours.truncate(NEIGHBOURS_MAX);
        neighbours
    };
    Similarity((0..products).map(neighbours).collect())
}
