//! Plain EASE: the ridge regression of every product on all others over ones and zeros (H. Steck, WWW 2019).

use super::purchase_matrix::ItemSet;
use super::similarity::Similarity;
use crate::model::ridge;

/// Regularization for customer histories: the best of the values in the literature.
pub const CUSTOMER_LAMBDA: f64 = 500.0;
pub const BASKET_LAMBDA: f64 = 10.0;
/// Maximum catalogue size; beyond it a dense inverse takes longer than a user would wait.
const PRODUCTS_MAX: usize = 12_000;

/// Fits the regression; `None` when the catalogue is too large.
pub fn fit(products: usize, rows: &[ItemSet], lambda: f64, threads: usize) -> Option<Similarity> {
    if products > PRODUCTS_MAX {
        return None;
    }
    let weighted =
        |row: &ItemSet| row.iter().map(|&product| (u32::try_from(product).expect("few products"), 1.0)).collect();
    let rows: Vec<ridge::SparseRow> = rows.iter().map(weighted).collect();
    let weights = ridge::RidgeProblem::dense(products, products, &rows, threads).solve(lambda)?;
    let pairs = |row: Vec<ridge::Neighbour>| row.into_iter().map(|it| (it.item as usize, it.weight)).collect();
    Some(Similarity(weights.into_iter().map(pairs).collect()))
}
