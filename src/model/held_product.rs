//! Products that a customer has, as queries name them.

use crate::domain::holdings::Holdings;
use crate::domain::ids::ProductId;
use crate::domain::time::Timestamp;
use crate::domain::usage::MeterUsage;

/// Product that a customer has.
#[derive(Debug, Clone, PartialEq)]
pub struct HeldProduct {
    /// Id of the product.
    pub product: ProductId,
    /// First purchase or start.
    pub first_at: Timestamp,
    /// Last purchase or renewal; the time of the query for a running subscription.
    pub last_at: Timestamp,
    /// Use of its allowances.
    pub usage: Vec<MeterUsage>,
}

/// Products that a customer has now. A running subscription counts as held now, however long ago it started.
pub fn held_products(holdings: &Holdings, now: Timestamp) -> Vec<HeldProduct> {
    let owned = holdings.owned();
    owned
        .map(|(product, holding)| HeldProduct {
            product: product.clone(),
            first_at: holding.first_at(),
            last_at: if holding.is_subscribed() { now } else { holding.last_at() },
            usage: holding.usage.as_of(holding.first_at(), now),
        })
        .collect()
}
