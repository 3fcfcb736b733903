//! Assesses a relationship as it is, and as it would be after further events. Reads only.

use super::app::App;
use super::load_customer::load_or_unknown;
use crate::decision::apply_event::apply_event;
use crate::decision::concerns::concerns;
use crate::decision::customer_assessment::CustomerAssessment;
use crate::decision::look_ahead::next_eligible_at;
use crate::decision::relationship_detail::{detail, outcome};
use crate::domain::customer::{ActiveHold, Customer};
use crate::domain::decision::Cap;
use crate::domain::event::{Event, OutcomeKind};
use crate::domain::ids::{CustomerId, DecisionId, EventId};
use crate::domain::offer::OfferKind;
use crate::domain::relationship::RelationshipHealth;
use crate::domain::relationship_detail::{RelationshipDetail, RelationshipSummary};
use crate::domain::time::Timestamp;
use crate::store::contract::error::StoreError;

/// Assessment of a relationship.
#[derive(Debug, Clone)]
pub struct RelationshipView {
    /// Score, band and components.
    pub health: RelationshipHealth,
    /// Facts behind the components.
    pub detail: RelationshipDetail,
    /// Every cap that applies now.
    pub caps: Vec<Cap>,
    /// Every hold in force.
    pub holds: Vec<ActiveHold>,
    /// Summary for people.
    pub summary: RelationshipSummary,
    /// Version of the policy that was used.
    pub policy_version: String,
    /// Time of the assessment.
    pub as_of: Timestamp,
}

/// Hypothetical events and outcomes to assess a relationship with.
#[derive(Debug, Clone, PartialEq)]
pub struct Hypothesis {
    /// Events in any order. Their ids are ignored: none is a duplicate.
    pub events: Vec<Event>,
    /// Outcomes of further offers, dated now.
    pub outcomes: Vec<OutcomeKind>,
    /// Time of the hypothetical assessment; `None` means now.
    pub as_of: Option<Timestamp>,
}

/// Assesses a customer now. An unknown customer is a new customer.
pub async fn get_relationship_health(app: &App, customer: &CustomerId) -> Result<RelationshipView, StoreError> {
    let customer = load_or_unknown(app.store.as_ref(), customer).await?.value;
    let now = app.now();
    Ok(view(app, &customer, now))
}

/// Assesses a customer now, and as it would be under the hypothesis.
pub async fn simulate_relationship_health(
    app: &App,
    customer: &CustomerId,
    hypothesis: Hypothesis,
) -> Result<[RelationshipView; 2], StoreError> {
    let mut customer = load_or_unknown(app.store.as_ref(), customer).await?.value;
    let now = app.now();
    let before = view(app, &customer, now);
    let Hypothesis { mut events, outcomes, as_of } = hypothesis;
    events.sort_by_key(|event| event.at);
    events.extend(outcomes.into_iter().zip(1_u32..).map(|(kind, number)| Event {
        id: EventId::new(format!("hypothetical/outcome/{number}")).expect("a short text"),
        customer: Some(customer.id.clone()),
        at: now,
        kind: outcome(kind),
    }));
    let snapshot = app.snapshot();
    for event in &events {
        apply_event(&mut customer, event, &snapshot.policy, snapshot.outlook(), snapshot.catalog());
    }
    let after = view(app, &customer, as_of.unwrap_or(now));
    Ok([before, after])
}

fn view(app: &App, customer: &Customer, now: Timestamp) -> RelationshipView {
    let as_of = customer.ledger.time(now);
    let snapshot = app.snapshot();
    let context = snapshot.decision_context(as_of, DecisionId::from_bits(0));
    let assessment = CustomerAssessment::of(customer, None, &context);
    let CustomerAssessment { health, holds, allowance } = assessment;
    let binding_cap = allowance.binding(OfferKind::CrossSell).map(|index| allowance.caps[index].clone());
    let next_eligible_at = binding_cap
        .as_ref()
        .and_then(|_| next_eligible_at(customer, &customer.ledger, OfferKind::CrossSell, None, &context));
    let summary = RelationshipSummary {
        band: health.band,
        concerns: concerns(customer, &health, context.policy, context.catalog, as_of),
        offers_left: allowance.offers_left,
        binding_cap,
        next_eligible_at,
    };
    let eligible_at = if allowance.offers_left > 0 { Some(as_of) } else { next_eligible_at };
    let detail = detail(customer, &health, eligible_at, &context);
    let policy_version = context.policy.version.clone();
    RelationshipView { health, detail, caps: allowance.caps, holds, summary, policy_version, as_of }
}
