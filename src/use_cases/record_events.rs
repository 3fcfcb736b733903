//! Records events of customers, and purchases and returns without a customer.

use std::collections::{BTreeMap, HashSet};
use std::time::Duration;

use super::app::App;
use super::batch_entry::{EntryOutcome, EntryRejection};
use super::change_customer::{ChangeError, ChangeRejection, CustomerChange, change_customer};
use super::learn_acceptances::count_outcome;
use crate::decision::apply_event::apply_event;
use crate::domain::customer::Customer;
use crate::domain::event::{Event, EventKind};
use crate::domain::ids::{CustomerId, EventId};
use crate::store::contract::change::APPENDED_MAX;
use crate::store::contract::error::StoreError;
use crate::store::contract::versioned::Versioned;
use crate::telemetry::call_context::CallStage;

/// Maximum time by which an event may be dated in the future, since clocks differ.
pub const FUTURE_MAX: Duration = Duration::from_secs(300);

/// Records each event once, and returns when they are durable. Returns one outcome per event, in order.
///
/// The events of one customer are applied in the given order. After an error some of them may have been recorded; sending
/// them again is safe.
pub async fn record_events(app: &App, events: &[Event]) -> Result<Vec<EntryOutcome>, StoreError> {
    let now = app.now();
    let latest = now + FUTURE_MAX;
    let mut outcomes = vec![EntryOutcome::New; events.len()];
    let mut by_customer: BTreeMap<Option<&CustomerId>, Vec<usize>> = BTreeMap::new();
    for (index, event) in events.iter().enumerate() {
        if event.at > latest {
            outcomes[index] = EntryOutcome::Rejected(EntryRejection::InFuture);
        } else if app.retention.has_expired(event, now) {
            outcomes[index] = EntryOutcome::Rejected(EntryRejection::TooOld);
        } else if event.customer.is_none() && !is_useful_without_customer(&event.kind) {
            outcomes[index] = EntryOutcome::Rejected(EntryRejection::CustomerMissing);
        } else {
            by_customer.entry(event.customer.as_ref()).or_default().push(index);
        }
    }
    for (customer, indices) in by_customer {
        for indices in indices.chunks(APPENDED_MAX) {
            let chunk: Vec<&Event> = indices.iter().map(|&index| &events[index]).collect();
            let recorded = match customer {
                Some(customer) => record_for_customer(app, customer, &chunk).await?,
                None => record_anonymous(app, &chunk).await?,
            };
            for (&index, outcome) in indices.iter().zip(recorded) {
                outcomes[index] = outcome;
            }
        }
    }
    CallStage::Durable.instrument(app.store.durable()).await?;
    Ok(outcomes)
}

/// Whether the model learns from an event without a customer: from purchases and returns, whose baskets it uses.
fn is_useful_without_customer(kind: &EventKind) -> bool {
    matches!(kind, EventKind::Purchase(_) | EventKind::Return(_))
}

async fn record_for_customer(app: &App, id: &CustomerId, events: &[&Event]) -> Result<Vec<EntryOutcome>, StoreError> {
    let ids: Vec<EventId> = events.iter().map(|event| event.id.clone()).collect();
    let ids = &ids;
    let changed = change_customer(app, id, |loaded: Versioned<Customer>| async move {
        // Queried after the customer was read, so that an event recorded meanwhile makes the commit fail.
        let known = CallStage::Load.instrument(app.store.are_recorded(Some(id), ids)).await?;
        let is_new = first_of_its_id(ids, &known);
        let new: Vec<Event> =
            events.iter().zip(&is_new).filter(|(_, is_new)| **is_new).map(|(event, _)| (*event).clone()).collect();
        let mut customer = loaded.value;
        if new.is_empty() {
            return Ok::<_, ChangeError>(CustomerChange::Unchanged { customer, result: is_new });
        }
        let snapshot = app.snapshot();
        CallStage::Apply.in_scope(|| {
            for event in &new {
                apply_event(&mut customer, event, &snapshot.policy, snapshot.outlook());
            }
        });
        Ok(CustomerChange::Commit { customer, events: new, result: is_new })
    });
    let (customer, is_new) = match changed.await {
        Ok(changed) => changed,
        Err(ChangeError::Rejected(ChangeRejection::CustomerFull)) if events.len() > 1 => {
            return Box::pin(record_in_halves(app, id, events)).await;
        }
        Err(ChangeError::Rejected(rejection)) => {
            return Ok(vec![EntryOutcome::Rejected(rejection.into()); events.len()]);
        }
        Err(ChangeError::Store(error)) => return Err(error),
    };
    if !customer.consents.objects_to_profiling {
        for event in events.iter().zip(&is_new).filter_map(|(event, is_new)| is_new.then_some(event)) {
            count_outcome(app, event).await?;
        }
    }
    Ok(is_new.into_iter().map(new_or_duplicate).collect())
}

/// Records events that do not fit into one commit, in two halves.
async fn record_in_halves(app: &App, id: &CustomerId, events: &[&Event]) -> Result<Vec<EntryOutcome>, StoreError> {
    let (first, second) = events.split_at(events.len() / 2);
    let mut recorded = record_for_customer(app, id, first).await?;
    recorded.extend(record_for_customer(app, id, second).await?);
    Ok(recorded)
}

async fn record_anonymous(app: &App, events: &[&Event]) -> Result<Vec<EntryOutcome>, StoreError> {
    let events: Vec<Event> = events.iter().map(|event| (*event).clone()).collect();
    let is_new = CallStage::Commit.instrument(app.store.append_anonymous(&events)).await?;
    Ok(is_new.into_iter().map(new_or_duplicate).collect())
}

/// Returns whether each id is neither in history nor earlier in the same batch.
fn first_of_its_id(ids: &[EventId], known: &[bool]) -> Vec<bool> {
    let mut seen = HashSet::new();
    ids.iter().zip(known).map(|(id, &is_known)| !is_known && seen.insert(id)).collect()
}

fn new_or_duplicate(is_new: bool) -> EntryOutcome {
    if is_new { EntryOutcome::New } else { EntryOutcome::Duplicate }
}
