//! Explains a past decision from what it recorded, or what would be decided now. Changes nothing but what is kept
//! of a ranking.

use super::app::App;
use super::decide_offers::{DecisionInput, decide_offers};
use super::load_customer::load_or_unknown;
use super::offer_request::OfferRequest;
use super::propose::propose;
use crate::decision::decide::CONSIDERED_MAX;
use crate::decision::rejection_wording::{RejectionWording, customer_sentence, rejection_in_words};
use crate::domain::decision::{Decision, WithheldReason};
use crate::domain::ids::{CustomerId, DecisionId, ProductId};
use crate::domain::offer::Offer;
use crate::domain::rejected_candidate::{DecisionStep, RejectedCandidate};
use crate::store::contract::StoreError;

/// The most candidates told of one question.
pub const CANDIDATES_MAX: usize = 200;

/// A decision with every candidate that is known of it.
#[derive(Debug, Clone)]
pub struct Explanation {
    /// The decision; its slate are the candidates that stayed.
    pub decision: Decision,
    /// True when the decision was made and recorded; false when it was only tried.
    pub is_recorded: bool,
    /// The candidates that left, closest to the slate first, at most [`CANDIDATES_MAX`].
    pub rejected_candidates: Vec<ExplainedRejection>,
    /// One sentence that may be said to the customer.
    pub customer_sentence: String,
}

/// A candidate that left, in words.
#[derive(Debug, Clone)]
pub struct ExplainedRejection {
    /// What was recorded.
    pub rejected: RejectedCandidate,
    /// The product's title, or its id when the catalogue does not have it.
    pub title: String,
    /// Why, and what would have let it through.
    pub in_words: RejectionWording,
}

/// Why there is no explanation.
#[derive(Debug, thiserror::Error)]
pub enum ExplainError {
    /// The customer has no such decision.
    #[error("decision not found for this customer")]
    DecisionNotFound,
    /// The store cannot answer.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Explains a recorded decision: never computed again, so it tells as many candidates as were recorded.
pub async fn explain_decision(app: &App, customer: &CustomerId, id: DecisionId) -> Result<Explanation, ExplainError> {
    let decision = app.store.load_decision(customer, id).await?.ok_or(ExplainError::DecisionNotFound)?;
    Ok(explanation(app, decision, true))
}

/// Explains what would be decided now; with a product only that one, whether anything speaks for it or not.
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
        rejected_max: CONSIDERED_MAX,
        exhausted_offers: &exhausted_offers,
    };
    let (snapshot, now) = (app.snapshot(), app.now());
    let proposed = propose(app, &snapshot, request, &customer, now).await?;
    let (mut decision, _) = decide_offers(&snapshot, &input, &customer.value, &proposed, now);
    if let Some(product) = product {
        decision.slate.retain(|offer| offer.product == *product);
        decision.would_be_slate.retain(|offer| offer.product == *product);
        decision.rejected_candidates.retain(|rejected| rejected.product == *product);
        if decision.slate.is_empty() && decision.would_be_slate.is_empty() && decision.rejected_candidates.is_empty() {
            let ineligibility = WithheldReason::NotProposed.into();
            let product = product.clone();
            decision.rejected_candidates.push(RejectedCandidate {
                product,
                offer: None,
                propensity: 0.0,
                stage: DecisionStep::Proposal,
                ineligibility,
                factors: None,
            });
        }
    }
    Ok(explanation(app, decision, false))
}

fn explanation(app: &App, mut decision: Decision, is_recorded: bool) -> Explanation {
    let catalog = app.catalog();
    let would_be = std::mem::take(&mut decision.would_be_slate).into_iter().map(withheld_from_control);
    let mut rejected_candidates: Vec<RejectedCandidate> =
        would_be.chain(std::mem::take(&mut decision.rejected_candidates)).collect();
    rejected_candidates.truncate(CANDIDATES_MAX);
    let explained = |rejected: RejectedCandidate| ExplainedRejection {
        title: catalog.get(&rejected.product).map_or_else(|| rejected.product.to_string(), |it| it.title.clone()),
        in_words: rejection_in_words(&rejected, &catalog, decision.at),
        rejected,
    };
    let customer_sentence = customer_sentence(&decision, &catalog);
    let rejected_candidates = rejected_candidates.into_iter().map(explained).collect();
    Explanation { decision, is_recorded, rejected_candidates, customer_sentence }
}

/// An offer of a would-be slate, as a candidate that left.
fn withheld_from_control(offer: Offer) -> RejectedCandidate {
    RejectedCandidate {
        offer: Some(offer.id).filter(|id| !id.is_implicit()),
        product: offer.product,
        propensity: offer.factors.propensity,
        stage: DecisionStep::ContactPolicy,
        ineligibility: WithheldReason::ControlGroup.into(),
        factors: Some(offer.factors),
    }
}
