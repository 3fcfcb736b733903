//! Products that a customer has, as queries name them.

use crate::domain::holdings::Holdings;
use crate::domain::ids::ProductId;
use crate::domain::time::Timestamp;

/// Product that a customer has.
#[derive(Debug, Clone, PartialEq)]
pub struct HeldProduct {
    /// Id of the product.
    pub product: ProductId,
    /// First purchase or start.
    pub first_at: Timestamp,
    /// Last purchase or renewal; the time of the query for a running subscription.
    pub last_at: Timestamp,
    /// Share of the allowance that was used lately; 1 is all of it.
    pub usage_share: Option<f64>,
}

/// Products that a customer has now. A running subscription counts as held now, however long ago it started.
pub fn held_products(holdings: &Holdings, now: Timestamp) -> Vec<HeldProduct> {
    let owned = holdings.owned();
    owned
        .map(|(product, holding)| HeldProduct {
            product: product.clone(),
            first_at: holding.first_at(),
            last_at: if holding.is_subscribed() { now } else { holding.last_at() },
            usage_share: holding.usage.map(|(_, share)| share),
        })
        .collect()
}
