//! Tells how a relationship stands. Reads only.

use super::commit::load_or_unknown;
use super::tactful::Tactful;
use crate::decision::decide::Standing;
use crate::decision::wording::relationship_message;
use crate::domain::customer::HoldInForce;
use crate::domain::decision::Cap;
use crate::domain::ids::{CustomerId, DecisionId};
use crate::domain::offer::OfferKind;
use crate::domain::relationship::RelationshipHealth;
use crate::domain::time::Timestamp;
use crate::store::contract::StoreError;

/// How a relationship stands.
#[derive(Debug, Clone)]
pub struct RelationshipView {
    /// The score, its band and all components.
    pub health: RelationshipHealth,
    /// Every cap that applies now.
    pub caps: Vec<Cap>,
    /// Every hold in force.
    pub holds: Vec<HoldInForce>,
    /// One plain sentence.
    pub message: String,
    /// The policy in force.
    pub policy_version: String,
    /// As of when.
    pub as_of: Timestamp,
}

/// Assesses a customer now. An unknown customer is a new customer.
pub async fn get_relationship_health(tactful: &Tactful, customer: &CustomerId) -> Result<RelationshipView, StoreError> {
    let customer = load_or_unknown(tactful.store.as_ref(), customer).await?.value;
    let as_of = customer.ledger.clock.map_or(tactful.now(), |clock| clock.max(tactful.now()));
    let snapshot = tactful.snapshot();
    let grounds = snapshot.grounds(&tactful.policy, as_of, DecisionId::from_bits(0));
    let standing = Standing::of(&customer, None, &grounds);
    let capped = standing.capped_message(OfferKind::CrossSell, as_of);
    let message = relationship_message(&standing.health, standing.allowance.offers_left, capped);
    let Standing { health, holds, allowance } = standing;
    let policy_version = tactful.policy.version.clone();
    Ok(RelationshipView { health, caps: allowance.caps, holds, message, policy_version, as_of })
}
