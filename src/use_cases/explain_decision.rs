//! Explains a past decision from its record, or the decision that would be made now. Changes nothing but the cached
//! ranking.

use std::sync::Arc;

use super::app::App;
use super::decide_offers::{DecisionInput, decide_offers, explain_unconsidered};
use super::load_customer::{load_decision, load_or_unknown};
use super::offer_request::OfferRequest;
use super::propose::propose;
use crate::decision::scoring::CANDIDATES_CONSIDERED_MAX;
use crate::domain::catalog::Catalog;
use crate::domain::channel::InvalidChannel;
use crate::domain::decision::Decision;
use crate::domain::ids::{CustomerId, DecisionId, ProductId};
use crate::domain::offer::Offer;
use crate::domain::rejected_candidate::{DecisionStep, RejectedCandidate};
use crate::domain::withheld_reason::WithheldReason;
use crate::store::contract::error::StoreError;

/// Maximum number of rejected candidates in one explanation.
pub const CANDIDATES_MAX: usize = 200;

/// Decision with every candidate that its record names.
#[derive(Debug, Clone)]
pub struct Explanation {
    /// The decision; its slate holds the candidates that were accepted.
    pub decision: Decision,
    /// Whether the decision is on record; false when it was computed for the explanation.
    pub is_recorded: bool,
    /// Rejected candidates, closest to the slate first, at most [`CANDIDATES_MAX`].
    pub rejected_candidates: Vec<RejectedCandidate>,
    /// The current catalogue, for the titles of rejected candidates.
    pub catalog: Arc<Catalog>,
}

/// Error returned when a decision is explained.
#[derive(Debug, thiserror::Error)]
pub enum ExplainError {
    /// The customer has no such decision.
    #[error("decision not found for this customer")]
    DecisionNotFound,
    /// The policy does not allow the channel of the request.
    #[error(transparent)]
    Channel(#[from] InvalidChannel),
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Explains a recorded decision. It is not computed again, so only recorded candidates are explained.
pub async fn explain_decision(app: &App, customer: &CustomerId, id: DecisionId) -> Result<Explanation, ExplainError> {
    let decision = load_decision(app.store.as_ref(), customer, id).await?.ok_or(ExplainError::DecisionNotFound)?;
    Ok(explanation(app, decision, true))
}

/// Explains the decision that would be made now. With a product, only that one is explained, even when it is not a
/// candidate.
pub async fn explain_request(
    app: &App,
    request: &OfferRequest,
    product: Option<&ProductId>,
) -> Result<Explanation, ExplainError> {
    let customer = load_or_unknown(app.store.as_ref(), &request.customer).await?;
    let exhausted_offers = app.exhausted_offers.load();
    let input = DecisionInput {
        request,
        offers_max: request.offers_max,
        rejected_max: CANDIDATES_CONSIDERED_MAX,
        exhausted_offers: &exhausted_offers,
    };
    let (snapshot, now) = (app.snapshot(), app.now());
    let proposal = propose(app, &snapshot, request, &customer, now).await?;
    let (mut decision, _) = decide_offers(&snapshot, &input, &customer.value, &proposal, now)?;
    if let Some(product) = product {
        decision.slate.retain(|offer| offer.product == *product);
        decision.would_be_slate.retain(|offer| offer.product == *product);
        decision.rejected_candidates.retain(|rejected| rejected.product == *product);
        if decision.slate.is_empty() && decision.would_be_slate.is_empty() && decision.rejected_candidates.is_empty() {
            let rejected = explain_unconsidered(&snapshot, &input, &customer.value, &proposal, product, now)?;
            decision.rejected_candidates.push(rejected);
        }
    }
    Ok(explanation(app, decision, false))
}

fn explanation(app: &App, mut decision: Decision, is_recorded: bool) -> Explanation {
    let would_be = std::mem::take(&mut decision.would_be_slate).into_iter().map(withheld_from_control);
    let mut rejected_candidates: Vec<RejectedCandidate> =
        would_be.chain(std::mem::take(&mut decision.rejected_candidates)).collect();
    rejected_candidates.truncate(CANDIDATES_MAX);
    Explanation { decision, is_recorded, rejected_candidates, catalog: app.catalog() }
}

/// Returns an offer of a would-be slate as a candidate rejected for the control group.
fn withheld_from_control(offer: Offer) -> RejectedCandidate {
    RejectedCandidate {
        offer: Some(offer.id).filter(|id| !id.is_implicit()),
        product: offer.product,
        propensity: offer.factors.propensity,
        step: DecisionStep::ContactPolicy,
        ineligibility: WithheldReason::ControlGroup.into(),
        factors: Some(offer.factors),
    }
}
