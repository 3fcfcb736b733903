//! Popularity: products ranked by their number of buyers.

use super::purchase_matrix::PurchaseMatrix;

/// Window of recent popularity, in days.
const RECENT_DAYS: i64 = 28;

/// Scores by the number of buyers over the whole history.
pub fn all_time(purchases: &PurchaseMatrix) -> Vec<f32> {
    purchases.buyers(i64::MAX).into_iter().map(|buyers| buyers as f32).collect()
}

/// Scores by the number of buyers in the last four weeks.
pub fn recent(purchases: &PurchaseMatrix) -> Vec<f32> {
    purchases.buyers(RECENT_DAYS).into_iter().map(|buyers| buyers as f32).collect()
}
