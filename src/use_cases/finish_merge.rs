//! The steps of a merge, an unmerge and an erasure of several ids. Each is one commit, and what comes next follows from the
//! marks in the records alone: so a merge goes on from wherever a crash or an error left it.
//!
//! | step of a merge | `from` | `into` |
//! | --- | --- | --- |
//! | 1. mark `from`: from now on only the merge changes it | leaving | |
//! | 2. mark `into`: both are offered nothing | leaving | absorbing |
//! | 3. add the state of `from` to `into`, which lists `from` as a member from now on | leaving | absorbing, lists it |
//! | 4. turn `from` into an alias | alias | absorbing, lists it |
//! | 5. remove the mark of `into` | alias | settled |
//!
//! Step 3 takes place once, because it is the commit that adds the member. An unmerge marks the customer as splitting, stores
//! the member as a customer of its own, rebuilt from its history, then rebuilds the customer from the rest. An erasure marks
//! the customer, erases the members, then the customer.
//!
//! The caller of every function but [`resume_merge`] and [`finish_unfinished_merges`] holds [`App::merging`].

use std::collections::BTreeSet;

use super::app::App;
use super::commit_customer::{ATTEMPTS_MAX, CommitAttempt, CommitRecords, commit};
use crate::decision::merge_customers::{MergeContext, merged};
use crate::decision::rebuild_customer::rebuilt;
use crate::domain::customer::Customer;
use crate::domain::customer_export::ExportedRecord;
use crate::domain::event::Event;
use crate::domain::ids::CustomerId;
use crate::domain::merge::{MergeState, MergeStep};
use crate::domain::state_bounds::StateBounds;
use crate::store::contract::customer_export::CustomerExportPosition;
use crate::store::contract::erasure::ErasureResult;
use crate::store::contract::error::StoreError;
use crate::store::contract::loaded_customer::LoadedCustomer;
use crate::store::contract::versioned::Versioned;

/// Number of events in one page.
const EVENTS_PAGE_LEN: usize = 1024;

/// Outcome of an attempt to finish a merge.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum MergeEnd {
    /// No merge of the customer is in progress any more.
    Finished,
    /// Other calls kept changing the customers, or a backup is in progress.
    Contended,
    /// The customer cannot hold the state of both. Both are as they were before.
    CustomerFull,
}

/// Result of one step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum StepResult {
    /// It was committed.
    Done,
    /// The customer changed meanwhile: read again.
    Conflict,
    /// The record would be too large.
    CustomerFull,
}

/// Finishes the merge of a customer that was interrupted, or waits for the one that runs.
pub(super) async fn resume_merge(app: &App, id: &CustomerId) -> Result<MergeEnd, StoreError> {
    let _merging = app.merging.lock().await;
    if app.backing_up.try_lock().is_err() {
        // A backup reads the ids of a customer one after the other.
        return Ok(MergeEnd::Contended);
    }
    // Boxed: the future is large, and a part of each change of a customer.
    Box::pin(finish_merge(app, id)).await
}

/// Finishes what the previous run of the server left unfinished. Call before serving.
pub async fn finish_unfinished_merges(app: &App) -> Result<(), StoreError> {
    let unfinished = app.store.unfinished_merges().await?;
    if unfinished.is_empty() {
        return Ok(());
    }
    let _merging = app.merging.lock().await;
    for id in &unfinished {
        let end = Box::pin(finish_merge(app, id)).await?;
        tracing::info!(?end, "interrupted merge resumed");
    }
    app.store.durable().await
}

/// Takes all remaining steps of the merge, unmerge or erasure that a customer is in.
pub(super) async fn finish_merge(app: &App, id: &CustomerId) -> Result<MergeEnd, StoreError> {
    for _ in 0..ATTEMPTS_MAX {
        let Some(customer) = app.store.load_customer(id).await?.stored() else { return Ok(MergeEnd::Finished) };
        let result = match customer.value.merge.step.clone() {
            MergeStep::Settled | MergeStep::Alias { .. } => return Ok(MergeEnd::Finished),
            MergeStep::Leaving { into } => Box::pin(advance_merge(app, customer, &into)).await?,
            MergeStep::Absorbing { from } => match app.store.load_customer(&from).await?.stored() {
                Some(source) if source.value.merge.step == (MergeStep::Leaving { into: id.clone() }) => {
                    Box::pin(advance_merge(app, source, id)).await?
                }
                Some(_) | None => set_step(app, customer, MergeStep::Settled).await?,
            },
            MergeStep::Splitting { from } => advance_split(app, customer, &from).await?,
            MergeStep::Erasing => {
                erase_ids(app, customer).await?;
                return Ok(MergeEnd::Finished);
            }
        };
        match result {
            StepResult::Done | StepResult::Conflict => {}
            StepResult::CustomerFull => return Ok(MergeEnd::CustomerFull),
        }
    }
    Ok(MergeEnd::Contended)
}

/// Takes the next step of a merge whose source is marked.
async fn advance_merge(app: &App, source: Versioned<Customer>, into: &CustomerId) -> Result<StepResult, StoreError> {
    let target = match app.store.load_customer(into).await? {
        LoadedCustomer::Stored(target) => target,
        LoadedCustomer::Unknown => Versioned { version: 0, value: Customer::unknown(into.clone()) },
        LoadedCustomer::Erased(_) => return set_step(app, source, MergeStep::Settled).await,
    };
    let from = &source.value.id;
    if target.value.merge.members.contains(from) {
        return become_alias(app, source, target).await;
    }
    match &target.value.merge.step {
        MergeStep::Settled => {
            let step = MergeStep::Absorbing { from: from.clone() };
            set_step(app, target, step).await
        }
        MergeStep::Absorbing { from: absorbed } if absorbed == from => absorb(app, source, target).await,
        MergeStep::Absorbing { .. }
        | MergeStep::Leaving { .. }
        | MergeStep::Alias { .. }
        | MergeStep::Splitting { .. }
        | MergeStep::Erasing => set_step(app, source, MergeStep::Settled).await,
    }
}

/// Adds the state of the source to the target, which lists it from now on. Removes both marks when the sum does not fit.
async fn absorb(app: &App, source: Versioned<Customer>, target: Versioned<Customer>) -> Result<StepResult, StoreError> {
    let snapshot = app.snapshot();
    let context = MergeContext {
        policy: &snapshot.policy,
        outlook: snapshot.outlook(),
        catalog: snapshot.catalog(),
        bounds: &StateBounds::STORED,
        now: app.now(),
    };
    let mut customer = merged(&target.value, &source.value, &context);
    customer.merge.members.insert(source.value.id.clone());
    customer.merge.members.extend(source.value.merge.members.iter().cloned());
    customer.merge.was_merged = true;
    let result = store(app, target.version, customer).await?;
    if result == StepResult::CustomerFull {
        // The marks in this order: without its source's, a target's mark is removed when it is found.
        set_step(app, source, MergeStep::Settled).await?;
        set_step(app, target, MergeStep::Settled).await?;
    }
    Ok(result)
}

/// Turns the source, whose state the target has, into an alias, and removes the mark of the target.
async fn become_alias(
    app: &App,
    source: Versioned<Customer>,
    target: Versioned<Customer>,
) -> Result<StepResult, StoreError> {
    let Versioned { version, value: Customer { id, merge, attributes, .. } } = source;
    let step = MergeStep::Alias { into: target.value.id.clone() };
    let merge = MergeState { step, was_merged: true, ..merge };
    let alias = Customer { merge, attributes, ..Customer::unknown(id.clone()) };
    match store(app, version, alias).await? {
        StepResult::Done => {}
        other @ (StepResult::Conflict | StepResult::CustomerFull) => return Ok(other),
    }
    app.store.delete_cached_ranking(&id).await?;
    // On a conflict the mark is removed when the target is read next.
    set_step(app, target, MergeStep::Settled).await
}

/// Takes the next step of an unmerge: the member becomes a customer of its own, then the rest is rebuilt.
async fn advance_split(app: &App, whole: Versioned<Customer>, from: &CustomerId) -> Result<StepResult, StoreError> {
    // What was committed before the mark is in history from now on.
    app.store.durable().await?;
    let mut rest = MergeState { step: MergeStep::Settled, ..whole.value.merge.clone() };
    if let Some(member) = app.store.load_customer(from).await?.stored() {
        let below = members_below(app, &member.value, &whole.value).await?;
        rest.members.retain(|id| id != from && !below.contains(id));
        if member.value.merge.alias_of().is_some() {
            let merge = MergeState { members: below, step: MergeStep::Settled, was_merged: true };
            let blank = Customer { merge, attributes: member.value.attributes, ..Customer::unknown(from.clone()) };
            let rebuilt = rebuild(app, &whole.value, blank).await?;
            return store(app, member.version, rebuilt).await;
        }
    } else {
        rest.members.remove(from);
    }
    let Customer { id, attributes, .. } = &whole.value;
    let blank = Customer { merge: rest, attributes: attributes.clone(), ..Customer::unknown(id.clone()) };
    let mut rebuilt = rebuild(app, &whole.value, blank).await?;
    rebuilt.ledger.assignment = whole.value.ledger.assignment;
    store(app, whole.version, rebuilt).await
}

/// The members of a customer that were merged into this member before.
async fn members_below(app: &App, member: &Customer, whole: &Customer) -> Result<BTreeSet<CustomerId>, StoreError> {
    let mut below = BTreeSet::new();
    for id in member.merge.members.intersection(&whole.merge.members) {
        let record = app.store.load_customer(id).await?.stored();
        let into = record.and_then(|record| record.value.merge.alias_of().cloned());
        // One that was split off since, and merged again, is an alias of another customer.
        if into.is_some_and(|into| into == member.id || member.merge.members.contains(&into)) {
            below.insert(id.clone());
        }
    }
    Ok(below)
}

/// Rebuilds a customer from the history of all its ids, on a thread that does not serve.
async fn rebuild(app: &App, whole: &Customer, blank: Customer) -> Result<Customer, StoreError> {
    let mut events = Vec::new();
    for id in std::iter::once(&blank.id).chain(&blank.merge.members) {
        read_events(app, id, &mut events).await?;
    }
    let (snapshot, whole, now) = (app.snapshot(), whole.clone(), app.now());
    let rebuilding = tokio::task::spawn_blocking(move || {
        let context = MergeContext {
            policy: &snapshot.policy,
            outlook: snapshot.outlook(),
            catalog: snapshot.catalog(),
            bounds: &StateBounds::STORED,
            now,
        };
        rebuilt(blank, &whole, events, &context)
    });
    rebuilding.await.map_err(|error| StoreError::Failed { detail: format!("rebuilding a customer failed: {error}") })
}

async fn read_events(app: &App, id: &CustomerId, events: &mut Vec<Event>) -> Result<(), StoreError> {
    let mut next = Some(CustomerExportPosition::Events { after: None });
    while let Some(position @ CustomerExportPosition::Events { .. }) = next {
        let page = app.store.load_customer_export(id, position, EVENTS_PAGE_LEN).await?;
        events.extend(page.records.into_iter().filter_map(|record| match record {
            ExportedRecord::Event(event) => Some(event),
            ExportedRecord::Customer(_) | ExportedRecord::CachedRanking(_) | ExportedRecord::Decision(_) => None,
        }));
        next = page.next;
    }
    Ok(())
}

/// Erases all ids of a customer that is marked: the members first, because the customer has the list of them.
pub(super) async fn erase_ids(app: &App, customer: Versioned<Customer>) -> Result<ErasureResult, StoreError> {
    // Events of members that the customer's commits appended are copied to the members' history from now on.
    app.store.durable().await?;
    let (at, is_opted_out) = (app.now(), customer.value.consents.is_opted_out);
    let Customer { id, merge, .. } = customer.value;
    let mut removed_of_members = Vec::new();
    for member in &merge.members {
        if let Some(mut alias) = app.store.load_customer(member).await?.stored().filter(|_| is_opted_out) {
            // The erasure of each id says whether the customer had opted out.
            alias.value.consents.is_opted_out = true;
            store(app, alias.version, alias.value).await?;
        }
        removed_of_members.push(app.store.erase_customer(member, at).await?.removed);
    }
    let mut result = app.store.erase_customer(&id, at).await?;
    for removed in removed_of_members {
        result.removed.events += removed.events;
        result.removed.decisions += removed.decisions;
    }
    Ok(result)
}

/// Stores a customer with another mark.
pub(super) async fn set_step(
    app: &App,
    customer: Versioned<Customer>,
    step: MergeStep,
) -> Result<StepResult, StoreError> {
    let Versioned { version, mut value } = customer;
    value.merge.step = step;
    store(app, version, value).await
}

async fn store(app: &App, version: u64, mut customer: Customer) -> Result<StepResult, StoreError> {
    Ok(match Box::pin(commit(app, version, &mut customer, CommitRecords::default())).await? {
        CommitAttempt::Committed => StepResult::Done,
        // Nothing is taken here, so no volume can be exhausted, and no policy is named.
        CommitAttempt::Conflict
        | CommitAttempt::Erased
        | CommitAttempt::VolumeExhausted(_)
        | CommitAttempt::OtherPolicy => StepResult::Conflict,
        CommitAttempt::Full => StepResult::CustomerFull,
    })
}
