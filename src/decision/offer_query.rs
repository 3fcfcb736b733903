//! The query that a decision answers.

use std::collections::BTreeSet;

use crate::domain::channel::QueryChannel;
use crate::domain::ids::{Placement, ProductId};
use crate::domain::money::Currency;
use crate::domain::offer::OfferKind;

/// A request for cross-sell or up-sell offers for one customer.
#[derive(Debug, Clone)]
pub struct OfferQuery<'a> {
    /// Cross-sell or up-sell.
    pub kind: OfferKind,
    /// Cross-sell: the products of the basket or page. Up-sell: the owned products to upgrade.
    pub products: &'a [ProductId],
    /// Products that must not be offered.
    pub excluded: &'a BTreeSet<ProductId>,
    /// Maximum length of the slate.
    pub offers_max: usize,
    /// Channel through which the offers reach the customer, resolved by the policy of the decision.
    pub channel: QueryChannel<'a>,
    /// Placement within the channel.
    pub placement: Option<&'a Placement>,
    /// Offer only products priced in this currency.
    pub currency: Option<Currency>,
    /// Maximum number of rejected candidates that the decision reports one by one.
    pub rejected_max: usize,
}
