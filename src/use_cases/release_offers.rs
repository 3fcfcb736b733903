//! Releases offers that were not shown, so that they no longer count against the caps.

use std::time::Duration;

use super::app::App;
use super::change_customer::{ChangeError, ChangeRejection, CustomerChange, change_customer};
use super::load_customer::load_decision;
use crate::decision::customer_assessment::CustomerAssessment;
use crate::decision::grants;
use crate::domain::channel::QueryChannel;
use crate::domain::customer::Customer;
use crate::domain::decision::Cap;
use crate::domain::ids::{CustomerId, DecisionId, OfferId};
use crate::domain::ledger::ReleaseResult;
use crate::domain::offer::Offer;
use crate::domain::time::Timestamp;
use crate::store::contract::error::StoreError;
use crate::store::contract::versioned::Versioned;

/// Result of a release.
#[derive(Debug, Clone)]
pub struct ReleasedOffers {
    /// Result for each offer named in the call, or for each offer of the decision when none was.
    pub offers: Vec<(OfferId, ReleaseResult)>,
    /// The caps after the release.
    pub caps: Vec<Cap>,
    /// Time within which grants of the decision's channel can be released.
    pub lease: Duration,
}

/// Error returned by [`release_offers`]; nothing was released.
#[derive(Debug, thiserror::Error)]
pub enum ReleaseError {
    /// The customer has no such decision.
    #[error("decision not found for this customer")]
    DecisionNotFound,
    /// The decision did not serve these offers.
    #[error("offers not served by this decision")]
    OffersNotServed {
        /// Offers of the call that the decision did not serve.
        offers: Vec<OfferId>,
    },
    /// The customer could not be changed.
    #[error(transparent)]
    Change(#[from] ChangeError),
}

impl From<StoreError> for ReleaseError {
    fn from(error: StoreError) -> Self {
        Self::Change(error.into())
    }
}

/// Releases the named offers of a decision, or all of them when none is named.
pub async fn release_offers(
    app: &App,
    customer: &CustomerId,
    decision: DecisionId,
    offers: &[OfferId],
) -> Result<ReleasedOffers, ReleaseError> {
    let Some(decided) = load_decision(app.store.as_ref(), customer, decision).await? else {
        return Err(ReleaseError::DecisionNotFound);
    };
    let is_served = |id: &OfferId| decided.slate.iter().any(|offer| offer.id == *id);
    let not_served: Vec<OfferId> = offers.iter().filter(|offer| !is_served(offer)).cloned().collect();
    if !not_served.is_empty() {
        return Err(ReleaseError::OffersNotServed { offers: not_served });
    }
    let requested: Vec<&Offer> =
        decided.slate.iter().filter(|offer| offers.is_empty() || offers.contains(&offer.id)).collect();

    let requested = &requested;
    let changed = change_customer(app, customer, |loaded: Versioned<Customer>| async move {
        let mut customer = loaded.value;
        let before = customer.ledger.clone();
        let now = before.time(app.now());
        let offers: Vec<(OfferId, ReleaseResult)> = requested
            .iter()
            .map(|offer| (offer.id.clone(), grants::release(&mut customer.ledger, offer.grant, decision, now)))
            .collect();
        let is_changed = customer.ledger != before;
        let result = ReleasedGrants { offers, now };
        if !is_changed {
            return Ok(CustomerChange::Unchanged { customer, result });
        }
        customer.ledger.clock = Some(now);
        Ok(CustomerChange::Commit { customer, events: Vec::new(), result })
    });
    let (customer, ReleasedGrants { offers, now }) = match changed.await {
        Ok(changed) => changed,
        // The erasure has removed the decision with the customer.
        Err(ChangeError::Rejected(ChangeRejection::CustomerErased)) => return Err(ReleaseError::DecisionNotFound),
        Err(error) => return Err(error.into()),
    };
    app.store.durable().await?;
    let snapshot = app.snapshot();
    // A channel that the policy does not have any more is treated as none: the strictest of all counts.
    let channel = snapshot.policy.contact.query_channel(decided.channel.as_ref()).unwrap_or(QueryChannel::Unset);
    let assessment = CustomerAssessment::of(&customer, Some(channel), &snapshot.decision_context(now, decision));
    let lease = snapshot.policy.contact.lease_of(channel);
    Ok(ReleasedOffers { offers, caps: assessment.allowance.caps, lease })
}

/// Result of one attempt to release, with the grants from which volumes are to be released.
struct ReleasedGrants {
    offers: Vec<(OfferId, ReleaseResult)>,
    now: Timestamp,
}
