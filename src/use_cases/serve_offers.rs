//! Serves `CrossSell` and `UpSell`: decides on offers and, in reserve mode, commits the decision before it is returned.

use std::sync::Arc;
use std::time::Instant;

use super::app::App;
use super::change_customer::{ChangeError, ChangeRejection};
use super::commit_customer::{ATTEMPTS_MAX, CommitAttempt, CommitRecords, commit};
use super::decide_offers::{DecisionInput, decide_offers};
use super::load_customer::{load_decision_of, load_or_unknown};
use super::offer_request::{OfferRequest, RetryKey, ServingMode};
use super::propose::propose;
use super::snapshot::Snapshot;
use super::volumes::{find_exhausted_offer, taken_volumes};
use crate::decision::grants;
use crate::domain::channel::InvalidChannel;
use crate::domain::customer::Customer;
use crate::domain::decision::{Decision, DecisionMessage};
use crate::domain::ids::{DecisionId, OfferId};
use crate::domain::ledger::RequestKey;
use crate::domain::offer::OfferKind;
use crate::domain::rejected_candidate::RECORDED_REJECTIONS_MAX;
use crate::domain::time::Timestamp;
use crate::store::contract::error::StoreError;
use crate::store::contract::versioned::Versioned;
use crate::telemetry::call_context::CallStage;

/// Served decision.
#[derive(Debug, Clone)]
pub struct ServedOffers {
    /// The decision; in preview mode it is not recorded and its id cannot be referred to.
    pub decision: Decision,
    /// Whether the decision was made for an earlier call with the same retry key.
    pub is_replayed: bool,
}

/// Error returned by [`serve_offers`].
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The retry key was used for another request.
    #[error("request_id was used for another request")]
    RequestIdReused,
    /// The customer's list of recent request ids is full.
    #[error("too many request ids for this customer within 24 hours")]
    TooManyRequestIds {
        /// Time at which the oldest request id expires.
        retry_at: Timestamp,
    },
    /// The policy does not allow the channel of the request.
    #[error(transparent)]
    Channel(#[from] InvalidChannel),
    /// The caller's deadline passed before anything was written.
    #[error("the deadline has passed")]
    DeadlineExceeded,
    /// The customer could not be changed.
    #[error(transparent)]
    Change(#[from] ChangeError),
}

impl From<StoreError> for ServeError {
    fn from(error: StoreError) -> Self {
        Self::Change(error.into())
    }
}

/// Decides and, in reserve mode, commits. Nothing is written after `deadline`.
pub async fn serve_offers(
    app: &App,
    request: &OfferRequest,
    deadline: Option<Instant>,
) -> Result<ServedOffers, ServeError> {
    let mut offers_max = request.offers_max;
    let mut exhausted_offers = app.exhausted_offers.load();
    for _ in 0..ATTEMPTS_MAX {
        let input = DecisionInput {
            request,
            offers_max,
            rejected_max: RECORDED_REJECTIONS_MAX,
            exhausted_offers: &exhausted_offers,
        };
        match serve_once(app, &input, deadline).await? {
            ServingAttempt::Served(served) => return Ok(served),
            ServingAttempt::Conflict => {}
            ServingAttempt::OtherPolicy => app.follow_policy().await?,
            ServingAttempt::VolumeExhausted(offer) => {
                Arc::make_mut(&mut exhausted_offers).insert(offer);
            }
            // The decision itself may be what does not fit: long titles, many reasons.
            ServingAttempt::RecordFull { offers } if offers > 1 => offers_max = offers / 2,
            ServingAttempt::RecordFull { .. } => return Err(ChangeError::from(ChangeRejection::CustomerFull).into()),
        }
    }
    Err(ChangeError::from(ChangeRejection::Contended).into())
}

/// Outcome of one attempt to decide and commit; every one but `Served` has changed nothing.
#[allow(clippy::large_enum_variant, reason = "one value for each attempt, moved once")]
enum ServingAttempt {
    Served(ServedOffers),
    /// Another call changed the customer meanwhile.
    Conflict,
    /// Another policy was activated meanwhile.
    OtherPolicy,
    /// The volume of this explicit offer is exhausted.
    VolumeExhausted(OfferId),
    /// The customer's record cannot hold a decision with this many offers.
    RecordFull {
        offers: usize,
    },
}

/// Loads the customer, decides and, in reserve mode, commits; once each.
async fn serve_once(
    app: &App,
    input: &DecisionInput<'_>,
    deadline: Option<Instant>,
) -> Result<ServingAttempt, ServeError> {
    let request = input.request;
    let loaded = CallStage::Load.instrument(load_or_unknown(app.store.as_ref(), &request.customer)).await?;
    let now = app.now();
    let retry_key = request.retry_key.filter(|_| request.mode == ServingMode::Reserve);
    if let Some(key) = retry_key {
        if let Some(decision) = decision_of_key(&loaded.value, request.kind, key, now)? {
            return replay(app, &loaded, decision).await;
        }
        if let Some(retry_at) = grants::request_key_free_at(&loaded.value.ledger, now) {
            return Err(ServeError::TooManyRequestIds { retry_at });
        }
    }

    // Held until the attempt ends: the activation of another policy waits for it.
    let snapshot = app.snapshot();
    let proposal = CallStage::Rank.instrument(propose(app, &snapshot, request, &loaded, now)).await?;
    let (decision, mut ledger) =
        CallStage::Decide.in_scope(|| decide_offers(&snapshot, input, &loaded.value, &proposal, now))?;
    drop(proposal);
    if request.mode == ServingMode::Preview {
        return Ok(match find_exhausted_offer(app, &snapshot, &decision).await? {
            Some(offer) => ServingAttempt::VolumeExhausted(offer),
            None => ServingAttempt::Served(ServedOffers { decision, is_replayed: false }),
        });
    }
    // A merge is in progress: nothing is offered, and only the merge may change the customer.
    if loaded.value.merge.is_in_progress() {
        return Ok(ServingAttempt::Served(ServedOffers { decision, is_replayed: false }));
    }
    if let Some(RetryKey { id, digest }) = retry_key {
        let key = RequestKey { kind: request.kind, request: id, digest, decision: decision.id, at: decision.at };
        ledger.request_keys.push(key);
    }
    if deadline.is_some_and(|deadline| Instant::now() >= deadline) {
        return Err(ServeError::DeadlineExceeded);
    }
    let Versioned { version, value: mut customer } = loaded;
    customer.ledger = ledger;
    commit_decision(app, &snapshot, Versioned { version, value: customer }, decision).await
}

/// Commits the customer with the decision and the volume that it takes.
async fn commit_decision(
    app: &App,
    snapshot: &Snapshot,
    customer: Versioned<Customer>,
    decision: Decision,
) -> Result<ServingAttempt, ServeError> {
    let Versioned { version, value: mut customer } = customer;
    let takes = taken_volumes(&decision, snapshot);
    let records = CommitRecords {
        decision: Some(&decision),
        takes: &takes,
        policy: Some(snapshot.policy_number),
        ..CommitRecords::default()
    };
    let attempt = CallStage::Commit.instrument(commit(app, version, &mut customer, records)).await?;
    if attempt == CommitAttempt::Committed {
        CallStage::Durable.instrument(app.store.durable()).await?;
        return Ok(ServingAttempt::Served(ServedOffers { decision, is_replayed: false }));
    }
    // Another call may have found a volume exhausted while this one held a unit of it.
    for offer in &takes {
        app.exhausted_offers.remove(offer);
    }
    Ok(match attempt {
        // Nothing is offered to a customer who was erased, and nothing recorded.
        CommitAttempt::Erased if decision.slate.is_empty() => {
            ServingAttempt::Served(ServedOffers { decision, is_replayed: false })
        }
        CommitAttempt::Full => ServingAttempt::RecordFull { offers: decision.slate.len() },
        CommitAttempt::VolumeExhausted(offer) => {
            app.exhausted_offers.add(&offer);
            ServingAttempt::VolumeExhausted(offer)
        }
        CommitAttempt::OtherPolicy => ServingAttempt::OtherPolicy,
        CommitAttempt::Committed | CommitAttempt::Conflict | CommitAttempt::Erased => ServingAttempt::Conflict,
    })
}

/// Returns the decision that was made for a retry key within the last 24 hours.
///
/// # Errors
/// When the key was used for another request.
fn decision_of_key(
    customer: &Customer,
    kind: OfferKind,
    key: RetryKey,
    now: Timestamp,
) -> Result<Option<DecisionId>, ServeError> {
    let is_current = |known: &&RequestKey| {
        known.kind == kind && known.request == key.id && now < known.at + grants::REQUEST_KEY_LIFE
    };
    match customer.ledger.request_keys.iter().find(is_current) {
        Some(known) if known.digest == key.digest => Ok(Some(known.decision)),
        Some(_) => Err(ServeError::RequestIdReused),
        None => Ok(None),
    }
}

/// Returns the recorded decision without the offers that were released since. It is never computed again.
async fn replay(app: &App, loaded: &Versioned<Customer>, id: DecisionId) -> Result<ServingAttempt, ServeError> {
    let Versioned { version, value: customer } = loaded;
    let Some(mut decision) = CallStage::Load.instrument(load_decision_of(app.store.as_ref(), customer, id)).await?
    else {
        let detail = format!("request key names decision {id}, which is missing");
        return Err(StoreError::Damaged { what: "decision", detail }.into());
    };
    let offers = decision.slate.len();
    decision.slate.retain(|offer| grants::is_still_served(&customer.ledger, offer.grant, id));
    if offers > 0 && decision.slate.is_empty() {
        decision.message = DecisionMessage::Released;
    }
    // The call that made the decision may have committed it but not yet made it durable.
    let is_confirmed = CallStage::Durable.instrument(app.store.confirm(&customer.id, *version)).await?;
    Ok(if is_confirmed {
        ServingAttempt::Served(ServedOffers { decision, is_replayed: true })
    } else {
        ServingAttempt::Conflict
    })
}
