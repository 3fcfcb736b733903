//! Queries to a model about a customer or a basket.

use std::collections::{BTreeMap, BTreeSet};

use crate::domain::ids::ProductId;
use crate::domain::time::Timestamp;

use super::held_product::HeldProduct;

/// Customer data that a query is answered from.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct CustomerContext {
    /// Products that the customer has.
    pub holdings: Vec<HeldProduct>,
    /// Fingerprints of products that the customer has had for longer than anything in `holdings`
    /// ([`Holdings::evicted_fingerprints`](crate::domain::holdings::Holdings::evicted_fingerprints)).
    pub forgotten: BTreeSet<u32>,
    /// Attributes of the customer, without sensitive ones.
    pub profile: BTreeMap<String, String>,
}

/// Query for complements to what a customer has, or to a basket.
#[derive(Debug, Clone, PartialEq)]
pub struct CrossSellQuery {
    /// The customer.
    pub customer: CustomerContext,
    /// Products of the basket or page; when there are any, the query is about them alone.
    pub context: Vec<ProductId>,
    /// Time of the query.
    pub now: Timestamp,
}

/// Query for upgrades of what a customer has.
#[derive(Debug, Clone, PartialEq)]
pub struct UpSellQuery {
    /// The customer.
    pub customer: CustomerContext,
    /// Products to find upgrades for.
    pub owned: Vec<HeldProduct>,
    /// Share of an allowance below which its use is low
    /// ([`ArbitrationPolicy`](crate::domain::policy::ArbitrationPolicy::low_usage_share)).
    pub low_usage_share: f64,
    /// Time of the query.
    pub now: Timestamp,
}
