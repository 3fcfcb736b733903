//! One run of the decision for a request, against one snapshot.

use std::collections::BTreeSet;

use super::offer_request::OfferRequest;
use super::propose::AdjustedProposal;
use super::snapshot::Snapshot;
use crate::decision::decide::decide;
use crate::decision::decision_context::DecisionContext;
use crate::decision::offer_query::OfferQuery;
use crate::decision::unconsidered::unconsidered_rejection;
use crate::domain::channel::InvalidChannel;
use crate::domain::customer::Customer;
use crate::domain::decision::Decision;
use crate::domain::ids::{DecisionId, OfferId, ProductId};
use crate::domain::ledger::Ledger;
use crate::domain::rejected_candidate::RejectedCandidate;
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
///
/// # Errors
/// When the policy does not allow the channel of the request.
pub(super) fn decide_offers(
    snapshot: &Snapshot,
    input: &DecisionInput<'_>,
    customer: &Customer,
    proposal: &AdjustedProposal<'_>,
    now: Timestamp,
) -> Result<(Decision, Ledger), InvalidChannel> {
    let decision = DecisionId::from_bits(uuid::Uuid::new_v4().as_u128());
    let context =
        DecisionContext { exhausted_offers: input.exhausted_offers, ..snapshot.decision_context(now, decision) };
    Ok(decide(&query(snapshot, input)?, customer, proposal, &context))
}

/// Returns the rejection of a product that [`decide_offers`] did not consider for the same input.
///
/// # Errors
/// When the policy does not allow the channel of the request.
pub(super) fn explain_unconsidered(
    snapshot: &Snapshot,
    input: &DecisionInput<'_>,
    customer: &Customer,
    proposal: &AdjustedProposal<'_>,
    product: &ProductId,
    now: Timestamp,
) -> Result<RejectedCandidate, InvalidChannel> {
    let context = snapshot.decision_context(now, DecisionId::from_bits(0));
    Ok(unconsidered_rejection(product, &query(snapshot, input)?, customer, proposal, &context))
}

fn query<'a>(snapshot: &'a Snapshot, input: &DecisionInput<'a>) -> Result<OfferQuery<'a>, InvalidChannel> {
    let DecisionInput { request, offers_max, rejected_max, exhausted_offers: _ } = *input;
    Ok(OfferQuery {
        kind: request.kind,
        products: &request.products,
        excluded: &request.excluded,
        offers_max,
        channel: snapshot.policy.contact.query_channel(request.channel.as_ref())?,
        placement: request.placement.as_ref(),
        currency: request.currency,
        rejected_max,
    })
}
