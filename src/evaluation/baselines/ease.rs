//! Plain EASE: the ridge regression of every product on all others over ones and zeros (H. Steck, WWW 2019).

use super::sales::Row;
use super::similarity::Similarity;
use crate::model::ridge;

/// The regulariser that does best over the histories of customers, of those in the literature.
pub const CUSTOMER_LAMBDA: f64 = 500.0;
/// The same for baskets.
pub const BASKET_LAMBDA: f64 = 10.0;
/// Past this a dense inverse is not what a user would wait for.
const PRODUCTS_MAX: usize = 12_000;

/// Solves the regression; `None` when it is too large.
pub fn fit(products: usize, rows: &[Row], lambda: f64, threads: usize) -> Option<Similarity> {
    if products > PRODUCTS_MAX {
        return None;
    }
    let weighted =
        |row: &Row| row.iter().map(|&product| (u32::try_from(product).expect("few products"), 1.0)).collect();
    let rows: Vec<ridge::SparseRow> = rows.iter().map(weighted).collect();
    let weights = ridge::RidgeProblem::dense(products, products, &rows, threads).solve(lambda)?;
    let pairs = |row: Vec<ridge::Neighbour>| row.into_iter().map(|it| (it.item as usize, it.weight)).collect();
    Some(Similarity(weights.into_iter().map(pairs).collect()))
}
