//! Answers CrossSell and UpSell.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Instant;

use super::app::{App, Snapshot};
use super::commit::{ATTEMPTS_MAX, Attempt, commit, load_or_unknown};
use super::propose::{Proposed, propose};
use super::volumes::{Taking, spent_offer, take};
use crate::decision::decide::decide;
use crate::decision::grants;
use crate::decision::offer_query::{DecisionContext, OfferQuery};
use crate::decision::wording::released_message;
use crate::domain::customer::Customer;
use crate::domain::decision::Decision;
use crate::domain::ids::{Channel, CustomerId, DecisionId, OfferId, Placement, ProductId, RequestId};
use crate::domain::ledger::{Ledger, RequestKey};
use crate::domain::money::Currency;
use crate::domain::offer::OfferKind;
use crate::domain::rejected_candidate::REJECTED_CANDIDATES_KEPT_MAX;
use crate::domain::time::Timestamp;
use crate::store::contract::{Appended, StoreError, Versioned};
use crate::telemetry::call::Stage;

/// A question: what to offer this customer?
#[derive(Debug, Clone)]
pub struct OfferRequest {
    /// Whom.
    pub customer: CustomerId,
    /// Cross-sell or up-sell.
    pub kind: OfferKind,
    /// Whether the answer counts.
    pub mode: ServingMode,
    /// The caller's key for retries; ignored in preview mode.
    pub retry_key: Option<RetryKey>,
    /// Cross-sell: the basket or page. Up-sell: the owned products to upgrade. Empty: all that the customer has.
    pub products: Vec<ProductId>,
    /// Never offer these.
    pub excluded: BTreeSet<ProductId>,
    /// The longest slate, 1 to 20.
    pub offers_max: usize,
    /// The channel.
    pub channel: Option<Channel>,
    /// The placement.
    pub placement: Option<Placement>,
    /// Only products priced in this currency.
    pub currency: Option<Currency>,
}

/// Whether an answer counts against the caps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ServingMode {
    /// It does, and is durable before it is given.
    Reserve,
    /// It does not, and changes nothing.
    Preview,
}

/// The caller's key for retries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RetryKey {
    /// The key.
    pub id: RequestId,
    /// A digest of everything else in the request.
    pub digest: u64,
}

/// An answer.
#[derive(Debug, Clone)]
pub struct ServedOffers {
    /// The decision; in preview mode it was not recorded and its id means nothing.
    pub decision: Decision,
    /// True when this is the answer to an earlier call with the same key.
    pub is_replayed: bool,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The key was used for another request.
    #[error("request_id was used for another request")]
    RequestIdReused,
    /// The customer has too many recent request keys; one is free again at this time.
    #[error("too many request ids for this customer within 24 hours")]
    TooManyRequestIds {
        /// When the oldest key expires.
        retry_at: Timestamp,
    },
    /// Others kept changing the customer.
    #[error("too many calls for this customer at once")]
    Contended,
    /// The customer's record is full.
    #[error("the customer's record is full")]
    CustomerFull,
    /// The caller's deadline passed before anything was written.
    #[error("the deadline passed")]
    DeadlineExceeded,
    /// The store cannot answer.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Decides and, in reserve mode, commits. Nothing is written after `deadline`.
pub async fn serve_offers(
    app: &App,
    request: &OfferRequest,
    deadline: Option<Instant>,
) -> Result<ServedOffers, ServeError> {
    let mut offers_max = request.offers_max;
    let mut spent = app.spent();
    for _ in 0..ATTEMPTS_MAX {
        let loaded = Stage::Load.of(load_or_unknown(app.store.as_ref(), &request.customer)).await?;
        let customer = &loaded.value;
        let now = app.now();
        let retry_key = request.retry_key.filter(|_| request.mode == ServingMode::Reserve);
        if let Some(known) = retry_key.and_then(|key| find_request_key(customer, request.kind, key.id, now)) {
            let is_same = retry_key.is_some_and(|key| key.digest == known.digest);
            let decision = if is_same { known.decision } else { return Err(ServeError::RequestIdReused) };
            return replay(app, customer, decision).await;
        }
        if let Some(retry_at) = retry_key.and_then(|_| grants::request_key_free_at(&customer.ledger, now)) {
            return Err(ServeError::TooManyRequestIds { retry_at });
        }

        // Held until the attempt has ended: an activation of another policy waits for it.
        let snapshot = app.snapshot();
        let asked = Asked { request, offers_max, rejected_max: REJECTED_CANDIDATES_KEPT_MAX, spent: &spent };
        let proposed = Stage::Rank.of(propose(app, &snapshot, request, &loaded, now)).await?;
        let (decision, mut ledger) = Stage::Decide.time(|| decide_now(&snapshot, &asked, customer, &proposed, now));
        if request.mode == ServingMode::Preview {
            if let Some(offer) = spent_offer(app, &snapshot, &decision).await? {
                Arc::make_mut(&mut spent).insert(offer);
                continue;
            }
            return Ok(ServedOffers { decision, is_replayed: false });
        }
        if let Some(RetryKey { id, digest }) = retry_key {
            let key = RequestKey { kind: request.kind, request: id, digest, decision: decision.id, at: decision.at };
            grants::enter_request_key(&mut ledger, key);
        }
        if deadline.is_some_and(|deadline| Instant::now() >= deadline) {
            return Err(ServeError::DeadlineExceeded);
        }
        let taken = match Stage::Commit.of(take(app, &snapshot, &decision)).await? {
            Taking::Taken(taken) => taken,
            Taking::Spent(offer) => {
                Arc::make_mut(&mut spent).insert(offer);
                continue;
            }
        };
        drop(proposed);
        let Versioned { version, value: mut customer } = loaded;
        customer.ledger = ledger;
        let appended = Appended { events: Vec::new(), decision: Some(decision.clone()) };
        match Stage::Commit.of(commit(app.store.as_ref(), version, &mut customer, &appended)).await? {
            Attempt::Committed => {
                Stage::Commit.of(taken.settle(app)).await?;
                Stage::Durable.of(app.store.durable()).await?;
                return Ok(ServedOffers { decision, is_replayed: false });
            }
            Attempt::Conflict => taken.abandon(app).await?,
            // Nothing is offered to a customer who was erased, and nothing recorded.
            Attempt::Erased => {
                taken.abandon(app).await?;
                if decision.slate.is_empty() {
                    return Ok(ServedOffers { decision, is_replayed: false });
                }
            }
            Attempt::Full => {
                taken.abandon(app).await?;
                // The decision itself may be what does not fit: long titles, many reasons.
                if decision.slate.len() <= 1 {
                    return Err(ServeError::CustomerFull);
                }
                offers_max = decision.slate.len() / 2;
            }
        }
    }
    Err(ServeError::Contended)
}

/// A request, and how much of an answer it gets.
pub(super) struct Asked<'a> {
    pub(super) request: &'a OfferRequest,
    /// The longest slate.
    pub(super) offers_max: usize,
    /// How many candidates that are not in it are told.
    pub(super) rejected_max: usize,
    /// Explicit offers whose volume is known to be gone.
    pub(super) spent: &'a BTreeSet<OfferId>,
}

/// One attempt: one snapshot of policy, catalogue and model from the first step to the last.
pub(super) fn decide_now(
    snapshot: &Snapshot,
    asked: &Asked<'_>,
    customer: &Customer,
    proposed: &Proposed<'_>,
    now: Timestamp,
) -> (Decision, Ledger) {
    let Asked { request, offers_max, rejected_max, spent } = *asked;
    let question = OfferQuery {
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
    let grounds = DecisionContext { spent, ..snapshot.grounds(now, decision) };
    decide(&question, customer, proposed, &grounds)
}

fn find_request_key(customer: &Customer, kind: OfferKind, id: RequestId, now: Timestamp) -> Option<RequestKey> {
    let mut keys = customer.ledger.request_keys.iter();
    keys.find(|key| key.kind == kind && key.request == id && now < key.at + grants::REQUEST_KEY_LIFE).cloned()
}

/// The recorded answer, less the offers that were given back since. Never computed again.
async fn replay(app: &App, customer: &Customer, id: DecisionId) -> Result<ServedOffers, ServeError> {
    let Some(mut decision) = Stage::Load.of(app.store.load_decision(&customer.id, id)).await? else {
        let detail = format!("request key names decision {id}, which is missing");
        return Err(StoreError::Damaged { what: "decision", detail }.into());
    };
    let offers = decision.slate.len();
    let at = decision.at;
    decision.slate.retain(|offer| grants::is_still_served(&customer.ledger, id, at, &offer.id));
    if offers > 0 && decision.slate.is_empty() {
        decision.message = released_message();
    }
    // The first try may have been committed but not yet durable.
    Stage::Durable.of(app.store.durable()).await?;
    Ok(ServedOffers { decision, is_replayed: true })
}
