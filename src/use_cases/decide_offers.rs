//! One run of the decision for a request, against one snapshot.

use std::collections::BTreeSet;

use super::offer_request::OfferRequest;
use super::propose::AdjustedProposal;
use super::snapshot::Snapshot;
use crate::decision::decide::decide;
use crate::decision::decision_context::DecisionContext;
use crate::decision::offer_query::OfferQuery;
use crate::domain::customer::Customer;
use crate::domain::decision::Decision;
use crate::domain::ids::{DecisionId, OfferId};
use crate::domain::ledger::Ledger;
use crate::domain::time::Timestamp;

/// Request with the limits of one attempt to answer it.
pub(super) struct DecisionInput<'a> {
    pub(super) request: &'a OfferRequest,
    /// Maximum length of the slate in this attempt.
    pub(super) offers_max: usize,
    /// Maximum number of rejected candidates that the decision reports.
    pub(super) rejected_max: usize,
    /// Explicit offers whose volume is known to be exhausted.
    pub(super) exhausted_offers: &'a BTreeSet<OfferId>,
}

/// Decides with the policy, catalogue and model of one snapshot. Returns the decision and the ledger that it leaves.
pub(super) fn decide_offers(
    snapshot: &Snapshot,
    input: &DecisionInput<'_>,
    customer: &Customer,
    proposal: &AdjustedProposal<'_>,
    now: Timestamp,
) -> (Decision, Ledger) {
    let DecisionInput { request, offers_max, rejected_max, exhausted_offers } = *input;
    let query = OfferQuery {
        kind: request.kind,
        products: &request.products,
        excluded: &request.excluded,
        offers_max,
        channel: request.channel.as_ref(),
        placement: request.placement.as_ref(),
        currency: request.currency,
        rejected_max,
    };
    let decision = DecisionId::from_bits(uuid::Uuid::new_v4().as_u128());
    let context = DecisionContext { exhausted_offers, ..snapshot.decision_context(now, decision) };
    decide(&query, customer, proposal, &context)
}
