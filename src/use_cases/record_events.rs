//! Records events of customers, and purchases and returns without a customer.

use std::collections::{BTreeMap, HashMap};
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

/// Records each event once, and returns when they are durable. Returns one outcome per event, in order. An event whose id
/// is recorded with other content is rejected: it is a mistake of the caller, and acknowledging it would lose it.
///
/// The events of one customer are applied in the given order. After an error some of them may have been recorded; sending
/// them again is safe.
pub async fn record_events(app: &App, events: &[Event]) -> Result<Vec<EntryOutcome>, StoreError> {
    let now = app.now();
    let latest = now + FUTURE_MAX;
    let oldest = app.retention.oldest_event(now, app.store.events_swept_before());
    let mut outcomes = vec![EntryOutcome::New; events.len()];
    let mut by_customer: BTreeMap<Option<&CustomerId>, Vec<usize>> = BTreeMap::new();
    for (index, event) in events.iter().enumerate() {
        if event.at > latest {
            outcomes[index] = EntryOutcome::Rejected(EntryRejection::InFuture);
        } else if let Some(oldest) = oldest.filter(|oldest| event.at < *oldest) {
            outcomes[index] = EntryOutcome::Rejected(EntryRejection::TooOld { oldest });
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
    matches!(kind, EventKind::Purchase(_) | EventKind::Return { .. })
}

async fn record_for_customer(app: &App, id: &CustomerId, events: &[&Event]) -> Result<Vec<EntryOutcome>, StoreError> {
    let ids: Vec<EventId> = events.iter().map(|event| event.id.clone()).collect();
    let ids = &ids;
    let changed = change_customer(app, id, |loaded: Versioned<Customer>| async move {
        // Queried after the customer was read, so that an event recorded meanwhile makes the commit fail.
        let recorded = CallStage::Load.instrument(app.store.load_events(Some(id), ids)).await?;
        let outcomes = compare_with_recorded(events, recorded);
        let new: Vec<Event> = new_events(events, &outcomes).cloned().collect();
        let mut customer = loaded.value;
        if new.is_empty() {
            return Ok::<_, ChangeError>(CustomerChange::Unchanged { customer, result: outcomes });
        }
        let snapshot = app.snapshot();
        CallStage::Apply.in_scope(|| {
            for event in &new {
                apply_event(&mut customer, event, &snapshot.policy, snapshot.outlook(), snapshot.catalog());
            }
        });
        Ok(CustomerChange::Commit { customer, events: new, result: outcomes })
    });
    let (customer, outcomes) = match changed.await {
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
        for event in new_events(events, &outcomes) {
            count_outcome(app, event).await?;
        }
    }
    Ok(outcomes)
}

/// Records events that do not fit into one commit, in two halves.
async fn record_in_halves(app: &App, id: &CustomerId, events: &[&Event]) -> Result<Vec<EntryOutcome>, StoreError> {
    let (first, second) = events.split_at(events.len() / 2);
    let mut recorded = record_for_customer(app, id, first).await?;
    recorded.extend(record_for_customer(app, id, second).await?);
    Ok(recorded)
}

async fn record_anonymous(app: &App, events: &[&Event]) -> Result<Vec<EntryOutcome>, StoreError> {
    let appended: Vec<Event> = events.iter().map(|event| (*event).clone()).collect();
    let are_new = CallStage::Commit.instrument(app.store.append_anonymous(&appended)).await?;
    let known = events.iter().zip(&are_new).filter(|(_, is_new)| !**is_new).map(|(event, _)| *event);
    let (known, ids): (Vec<&Event>, Vec<EventId>) = known.map(|event| (event, event.id.clone())).unzip();
    let recorded = if ids.is_empty() { Vec::new() } else { app.store.load_events(None, &ids).await? };
    let mut of_known = compare_with_recorded(&known, recorded).into_iter();
    let mut outcome = |is_new| if is_new { None } else { of_known.next() };
    Ok(are_new.into_iter().map(|is_new| outcome(is_new).unwrap_or(EntryOutcome::New)).collect())
}

/// Returns the outcome of each event, given what is recorded under its id. Of several events of one batch with the same id
/// the first counts.
fn compare_with_recorded(events: &[&Event], recorded: Vec<Option<Event>>) -> Vec<EntryOutcome> {
    let mut first_of_batch: HashMap<&EventId, &Event> = HashMap::new();
    let mut outcomes = Vec::with_capacity(events.len());
    for (&event, recorded) in events.iter().zip(&recorded) {
        let before = recorded.as_ref().or_else(|| first_of_batch.get(&event.id).copied());
        outcomes.push(match before {
            None => {
                first_of_batch.insert(&event.id, event);
                EntryOutcome::New
            }
            Some(before) => match event.difference_from(before) {
                None => EntryOutcome::Duplicate,
                Some(difference) => EntryOutcome::Rejected(EntryRejection::IdReused(difference)),
            },
        });
    }
    outcomes
}

/// Returns the events that were not recorded before.
fn new_events<'a>(events: &'a [&'a Event], outcomes: &'a [EntryOutcome]) -> impl Iterator<Item = &'a Event> {
    events.iter().zip(outcomes).filter(|(_, outcome)| **outcome == EntryOutcome::New).map(|(event, _)| *event)
}
