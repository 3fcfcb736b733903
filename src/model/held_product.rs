//! What a customer has, as a model is asked about it.

use crate::domain::customer::Holdings;
use crate::domain::ids::ProductId;
use crate::domain::time::Timestamp;

/// A product of the customer's, as a query names it.
#[derive(Debug, Clone, PartialEq)]
pub struct HeldProduct {
    /// The product.
    pub product: ProductId,
    /// When it was first bought or begun.
    pub first_at: Timestamp,
    /// When it was last bought or renewed; now for what is subscribed to.
    pub last_at: Timestamp,
    /// The share of its allowance used lately; 1 is all of it.
    pub usage_share: Option<f64>,
}

/// What the customer has now. What is subscribed to is had now, however long ago it began.
pub fn held_products(holdings: &Holdings, now: Timestamp) -> Vec<HeldProduct> {
    let owned = holdings.owned();
    owned
        .map(|(product, holding)| HeldProduct {
            product: product.clone(),
            first_at: holding.first_at,
            last_at: if holding.is_subscribed() { now } else { holding.last_at },
            usage_share: holding.usage.map(|(_, share)| share),
        })
        .collect()
}
