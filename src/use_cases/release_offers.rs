//! Gives offers back that were not shown.

use std::time::Duration;

use super::app::App;
use super::commit::{ATTEMPTS_MAX, Attempt, commit, load_or_unknown};
use super::volumes::{explicit_grants, release};
use crate::decision::decide::CustomerAssessment;
use crate::decision::grants;
use crate::domain::decision::Cap;
use crate::domain::ids::{Channel, CustomerId, DecisionId, OfferId};
use crate::domain::ledger::ReleaseResult;
use crate::store::contract::{Appended, StoreError, Versioned};

/// What became of the offers given back.
#[derive(Debug, Clone)]
pub struct Release {
    /// One entry for each offer asked for, or for each of the decision.
    pub offers: Vec<(OfferId, ReleaseResult)>,
    /// The caps after the release.
    pub caps: Vec<Cap>,
    /// How long grants of the decision's channel can be given back.
    pub lease: Duration,
}

/// Why nothing was given back.
#[derive(Debug, thiserror::Error)]
pub enum ReleaseError {
    /// The customer has no such decision.
    #[error("decision not found for this customer")]
    DecisionNotFound,
    /// The decision did not serve these offers.
    #[error("offers not served by this decision")]
    OffersNotServed {
        /// The offers.
        offers: Vec<OfferId>,
    },
    /// Others kept changing the customer.
    #[error("too many calls for this customer at once")]
    Contended,
    /// The customer's record is full.
    #[error("the customer's record is full")]
    CustomerFull,
    /// The store cannot answer.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Gives back some offers of a decision; all of them when none is named.
pub async fn release_offers(
    app: &App,
    customer: &CustomerId,
    decision: DecisionId,
    offers: &[OfferId],
) -> Result<Release, ReleaseError> {
    let Some(decided) = app.store.load_decision(customer, decision).await? else {
        return Err(ReleaseError::DecisionNotFound);
    };
    let served: Vec<&OfferId> = decided.slate.iter().map(|offer| &offer.id).collect();
    let not_served: Vec<OfferId> = offers.iter().filter(|offer| !served.contains(offer)).cloned().collect();
    if !not_served.is_empty() {
        return Err(ReleaseError::OffersNotServed { offers: not_served });
    }
    let wanted: Vec<OfferId> =
        served.into_iter().filter(|offer| offers.is_empty() || offers.contains(offer)).cloned().collect();

    for _ in 0..ATTEMPTS_MAX {
        let Versioned { version, value: mut customer } = load_or_unknown(app.store.as_ref(), customer).await?;
        let before = customer.ledger.clone();
        let now = before.time(app.now());
        let results: Vec<(OfferId, ReleaseResult)> = wanted
            .iter()
            .map(|offer| (offer.clone(), grants::release(&mut customer.ledger, decision, offer, now)))
            .collect();
        let attempt = if customer.ledger == before {
            Attempt::Committed
        } else {
            customer.ledger.clock = Some(now);
            commit(app.store.as_ref(), version, &mut customer, &Appended::default()).await?
        };
        match attempt {
            Attempt::Committed => {
                release(app, explicit_grants(&before), &customer.ledger).await?;
                app.store.durable().await?;
                let channel = decided.channel.as_ref();
                let snapshot = app.snapshot();
                let standing = CustomerAssessment::of(&customer, channel, &snapshot.grounds(now, decision));
                let lease = snapshot.policy.contact.lease_of(channel.map(Channel::as_str));
                return Ok(Release { offers: results, caps: standing.allowance.caps, lease });
            }
            Attempt::Conflict => {}
            Attempt::Erased => return Err(ReleaseError::DecisionNotFound),
            Attempt::Full => return Err(ReleaseError::CustomerFull),
        }
    }
    Err(ReleaseError::Contended)
}
