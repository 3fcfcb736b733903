//! Explains a past decision from what it recorded, or what would be decided now. Changes nothing but what is kept
//! of a ranking.

use super::commit::load_or_unknown;
use super::propose::propose;
use super::serve_offers::{Asked, OfferRequest, decide_now};
use super::tactful::Tactful;
use crate::decision::decide::CONSIDERED_MAX;
use crate::decision::explaining::{InWords, customer_sentence, departure_in_words};
use crate::domain::decision::{Decision, WithheldReason};
use crate::domain::departure::{Departure, Stage};
use crate::domain::ids::{CustomerId, DecisionId, ProductId};
use crate::domain::offer::Offer;
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
    pub departures: Vec<ExplainedDeparture>,
    /// One sentence that may be said to the customer.
    pub customer_sentence: String,
}

/// A candidate that left, in words.
#[derive(Debug, Clone)]
pub struct ExplainedDeparture {
    /// What was recorded.
    pub departure: Departure,
    /// The product's title, or its id when the catalogue does not have it.
    pub title: String,
    /// Why, and what would have let it through.
    pub in_words: InWords,
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
pub async fn explain_decision(
    tactful: &Tactful,
    customer: &CustomerId,
    id: DecisionId,
) -> Result<Explanation, ExplainError> {
    let decision = tactful.store.load_decision(customer, id).await?.ok_or(ExplainError::DecisionNotFound)?;
    Ok(explanation(tactful, decision, true))
}

/// Explains what would be decided now; with a product only that one, whether anything speaks for it or not.
pub async fn explain_question(
    tactful: &Tactful,
    request: &OfferRequest,
    product: Option<&ProductId>,
) -> Result<Explanation, ExplainError> {
    let customer = load_or_unknown(tactful.store.as_ref(), &request.customer).await?;
    let spent = tactful.spent();
    let asked = Asked { request, offers_max: request.offers_max, departures_max: CONSIDERED_MAX, spent: &spent };
    let (snapshot, now) = (tactful.snapshot(), tactful.now());
    let proposed = propose(tactful, &snapshot, request, &customer, now).await?;
    let (mut decision, _) = decide_now(&snapshot, &asked, &customer.value, &proposed, now);
    if let Some(product) = product {
        decision.slate.retain(|offer| offer.product == *product);
        decision.would_be_slate.retain(|offer| offer.product == *product);
        decision.departures.retain(|departure| departure.product == *product);
        if decision.slate.is_empty() && decision.would_be_slate.is_empty() && decision.departures.is_empty() {
            let refusal = WithheldReason::NotProposed.into();
            let product = product.clone();
            decision.departures.push(Departure {
                product,
                offer: None,
                propensity: 0.0,
                stage: Stage::Proposal,
                refusal,
                factors: None,
            });
        }
    }
    Ok(explanation(tactful, decision, false))
}

fn explanation(tactful: &Tactful, mut decision: Decision, is_recorded: bool) -> Explanation {
    let catalog = tactful.catalog();
    let would_be = std::mem::take(&mut decision.would_be_slate).into_iter().map(withheld_from_control);
    let mut departures: Vec<Departure> = would_be.chain(std::mem::take(&mut decision.departures)).collect();
    departures.truncate(CANDIDATES_MAX);
    let explained = |departure: Departure| ExplainedDeparture {
        title: catalog.get(&departure.product).map_or_else(|| departure.product.to_string(), |it| it.title.clone()),
        in_words: departure_in_words(&departure, &catalog, decision.at),
        departure,
    };
    let customer_sentence = customer_sentence(&decision, &catalog);
    let departures = departures.into_iter().map(explained).collect();
    Explanation { decision, is_recorded, departures, customer_sentence }
}

/// An offer of a would-be slate, as a candidate that left.
fn withheld_from_control(offer: Offer) -> Departure {
    Departure {
        offer: Some(offer.id).filter(|id| !id.is_implicit()),
        product: offer.product,
        propensity: offer.factors.propensity,
        stage: Stage::ContactPolicy,
        refusal: WithheldReason::ControlGroup.into(),
        factors: Some(offer.factors),
    }
}
