//! What is decided, and what it is decided with.

use std::collections::BTreeSet;

use super::explicit_offer_index::ExplicitOfferIndex;
use crate::domain::catalog::Catalog;
use crate::domain::ids::{Channel, DecisionId, OfferId, Placement, ProductId};
use crate::domain::money::Currency;
use crate::domain::offer::OfferKind;
use crate::domain::outlook::Outlook;
use crate::domain::policy::Policy;
use crate::domain::time::Timestamp;

/// A question about a customer.
#[derive(Debug, Clone)]
pub struct OfferQuery<'a> {
    /// Cross-sell or up-sell.
    pub kind: OfferKind,
    /// The basket or page, or the products named as owned.
    pub products: &'a [ProductId],
    /// Never offer these.
    pub excluded: &'a BTreeSet<ProductId>,
    /// The longest slate.
    pub offers_max: usize,
    /// The channel.
    pub channel: Option<&'a Channel>,
    /// The placement.
    pub placement: Option<&'a Placement>,
    /// Only products priced in this currency.
    pub currency: Option<Currency>,
    /// How many candidates that are not in the slate are told.
    pub rejected_max: usize,
}

/// What a decision is made with beside the customer.
#[derive(Debug, Clone, Copy)]
pub struct DecisionContext<'a> {
    /// The policy in force.
    pub policy: &'a Policy,
    /// What was learned about who comes back.
    pub outlook: &'a Outlook,
    /// The catalogue.
    pub catalog: &'a Catalog,
    /// The explicit offers.
    pub offers: &'a ExplicitOfferIndex,
    /// Explicit offers whose volume is known to be gone.
    pub spent: &'a BTreeSet<OfferId>,
    /// The version of the model that proposes.
    pub model_version: u64,
    /// Now. Time never runs backwards in a ledger: the ledger's clock counts when it is ahead.
    pub now: Timestamp,
    /// The id of this decision.
    pub decision: DecisionId,
}
