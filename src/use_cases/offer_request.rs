//! Requests for offers, as `CrossSell`, `UpSell` and their explanations take them.

use std::collections::BTreeSet;

use crate::domain::ids::{Channel, CustomerId, Placement, ProductId, RequestId};
use crate::domain::money::Currency;
use crate::domain::offer::OfferKind;

/// Request for a slate of offers to one customer.
#[derive(Debug, Clone)]
pub struct OfferRequest {
    /// Customer to make offers to.
    pub customer: CustomerId,
    /// Cross-sell or up-sell.
    pub kind: OfferKind,
    /// Whether the decision is recorded and counts against the caps.
    pub mode: ServingMode,
    /// The caller's key for retries; ignored in preview mode.
    pub retry_key: Option<RetryKey>,
    /// Cross-sell: products of the basket or page. Up-sell: owned products to upgrade. Empty: everything the customer has.
    pub products: Vec<ProductId>,
    /// Products that must not be offered.
    pub excluded: BTreeSet<ProductId>,
    /// Maximum length of the slate, 1 to 20.
    pub offers_max: usize,
    /// Channel of the offers as the caller wrote it; the policy of the decision resolves it.
    pub channel: Option<Channel>,
    /// Placement of the offers within the channel.
    pub placement: Option<Placement>,
    /// Currency in which offered products must be priced.
    pub currency: Option<Currency>,
}

/// Effect of a decision on the customer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ServingMode {
    /// The decision counts against the caps, and is durable before it is returned.
    Reserve,
    /// The decision is not recorded and changes nothing.
    Preview,
}

/// Key by which a repeated request is recognised.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RetryKey {
    /// The caller's request id, unique for a customer and method within 24 hours.
    pub id: RequestId,
    /// Digest of everything else in the request.
    pub digest: u64,
}
