//! What most people bought.

use super::sales::Sales;

/// What counts as recent, in days.
const RECENT_DAYS: i64 = 28;

/// Buyers ever.
pub fn ever(sales: &Sales) -> Vec<f32> {
    sales.buyers(i64::MAX).into_iter().map(|buyers| buyers as f32).collect()
}

/// Buyers of the last weeks.
pub fn recent(sales: &Sales) -> Vec<f32> {
    sales.buyers(RECENT_DAYS).into_iter().map(|buyers| buyers as f32).collect()
}
