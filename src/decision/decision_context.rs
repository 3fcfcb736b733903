//! Everything a decision is made with, apart from the customer and the query.

use std::collections::BTreeSet;

use super::explicit_offer_index::ExplicitOfferIndex;
use crate::domain::catalog::Catalog;
use crate::domain::ids::{DecisionId, OfferId};
use crate::domain::outlook::Outlook;
use crate::domain::policy::Policy;
use crate::domain::time::Timestamp;

/// Policy, model, catalogue and clock that a decision is made with.
#[derive(Debug, Clone, Copy)]
pub struct DecisionContext<'a> {
    /// The active policy.
    pub policy: &'a Policy,
    /// The learned retention outlook.
    pub outlook: &'a Outlook,
    /// The catalogue.
    pub catalog: &'a Catalog,
    /// The explicit offers.
    pub offers: &'a ExplicitOfferIndex,
    /// Explicit offers whose volume cap is known to be used up.
    pub exhausted_offers: &'a BTreeSet<OfferId>,
    /// Version of the model that proposes the candidates.
    pub model_version: u64,
    /// The current time. A ledger's clock never runs backwards: it takes precedence when it is ahead.
    pub now: Timestamp,
    /// Id of the decision to make.
    pub decision: DecisionId,
}
