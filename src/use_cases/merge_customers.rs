//! Merges two ids of one person, and splits them again.

use super::app::App;
use super::change_customer::{ChangeError, ChangeRejection};
use super::commit_customer::ATTEMPTS_MAX;
use super::finish_merge::{MergeEnd, StepResult, finish_merge, set_step};
use super::load_customer::load_by_any_id;
use crate::domain::customer::Customer;
use crate::domain::ids::CustomerId;
use crate::domain::merge::{MEMBERS_MAX, MergeStep};
use crate::store::contract::error::StoreError;
use crate::store::contract::loaded_customer::LoadedCustomer;
use crate::store::contract::versioned::Versioned;

/// Result of a merge or an unmerge.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MergeResult {
    /// Id under which the customer is stored: `into`, or the customer of whom it is an alias.
    pub customer: CustomerId,
    /// Its other ids.
    pub members: Vec<CustomerId>,
    /// Whether the ids were merged, or separate, before.
    pub is_duplicate: bool,
}

/// Error returned by a merge or an unmerge; no customer was changed.
#[derive(Debug, thiserror::Error)]
pub enum MergeError {
    /// Both ids are the same.
    #[error("an id cannot be merged into itself")]
    SameId,
    /// The customer to merge into is an alias of the other one.
    #[error("the customer to merge into is an alias of the other one")]
    Cycle,
    /// The id is an alias of another customer.
    #[error("the id was merged into another customer")]
    SecondTarget,
    /// The customers have too many ids in all.
    #[error("a customer has at most {MEMBERS_MAX} ids")]
    TooManyIds,
    /// A backup reads all customers.
    #[error("a backup is in progress")]
    BackupInProgress,
    /// A customer could not be changed.
    #[error(transparent)]
    Change(#[from] ChangeError),
}

impl From<StoreError> for MergeError {
    fn from(error: StoreError) -> Self {
        Self::Change(error.into())
    }
}

impl From<ChangeRejection> for MergeError {
    fn from(rejection: ChangeRejection) -> Self {
        Self::Change(rejection.into())
    }
}

/// Makes `from` another name of `into`, and adds its state to that of `into`; durable when it returns. Either may be unknown.
pub async fn merge_customers(app: &App, from: &CustomerId, into: &CustomerId) -> Result<MergeResult, MergeError> {
    if from == into {
        return Err(MergeError::SameId);
    }
    let _merging = app.merging.lock().await;
    require_no_backup(app)?;
    let mut is_duplicate = true;
    for _ in 0..ATTEMPTS_MAX {
        let (target, source) = match plan_merge(app, from, into).await? {
            MergePlan::Merged(Versioned { version, value: customer }) => {
                if !app.store.confirm(&customer.id, version).await? {
                    continue;
                }
                let members = customer.merge.members.into_iter().collect();
                return Ok(MergeResult { customer: customer.id, members, is_duplicate });
            }
            MergePlan::Unfinished(id) => {
                finish(app, &id).await?;
                continue;
            }
            MergePlan::Mark { source, target } => (target, source),
        };
        is_duplicate = false;
        // On a conflict the plan is made anew.
        mark(app, source, MergeStep::Leaving { into: target }).await?;
        finish(app, from).await?;
    }
    Err(ChangeRejection::Contended.into())
}

/// Next step of a merge.
#[allow(clippy::large_enum_variant, reason = "one value for each attempt, moved once")]
enum MergePlan {
    /// Nothing: this is the merged customer.
    Merged(Versioned<Customer>),
    /// An earlier merge of this id comes first.
    Unfinished(CustomerId),
    /// The source is to be marked.
    Mark { source: Versioned<Customer>, target: CustomerId },
}

async fn plan_merge(app: &App, from: &CustomerId, into: &CustomerId) -> Result<MergePlan, MergeError> {
    let store = app.store.as_ref();
    let (source, target) = (store.load_customer(from).await?, load_by_any_id(store, into).await?);
    let (target_id, target) = target;
    let source = unless_erased(source, from)?;
    let target = unless_erased(target, &target_id)?;
    if source.value.merge.is_in_progress() {
        return Ok(MergePlan::Unfinished(from.clone()));
    }
    if target.value.merge.is_in_progress() {
        return Ok(MergePlan::Unfinished(target_id));
    }
    if source.value.merge.alias_of().is_some() {
        return if target.value.merge.members.contains(from) {
            Ok(MergePlan::Merged(target))
        } else {
            Err(MergeError::SecondTarget)
        };
    }
    if target_id == *from {
        return Err(MergeError::Cycle);
    }
    if 2 + target.value.merge.members.len() + source.value.merge.members.len() > MEMBERS_MAX {
        return Err(MergeError::TooManyIds);
    }
    Ok(MergePlan::Mark { source, target: target_id })
}

/// Splits `from` and what was merged into it before off from `into`; durable when it returns. Both are rebuilt from history.
pub async fn unmerge_customers(app: &App, from: &CustomerId, into: &CustomerId) -> Result<MergeResult, MergeError> {
    if from == into {
        return Err(MergeError::SameId);
    }
    let _merging = app.merging.lock().await;
    require_no_backup(app)?;
    let mut is_duplicate = true;
    for _ in 0..ATTEMPTS_MAX {
        let (id, loaded) = load_by_any_id(app.store.as_ref(), into).await?;
        let whole = unless_erased(loaded, &id)?;
        if whole.value.merge.is_in_progress() {
            finish(app, &whole.value.id).await?;
            continue;
        }
        if !whole.value.merge.members.contains(from) {
            if !app.store.confirm(&id, whole.version).await? {
                continue;
            }
            if whole.value.id == *from {
                return Err(MergeError::Cycle);
            }
            let Customer { id, merge, .. } = whole.value;
            return Ok(MergeResult { customer: id, members: merge.members.into_iter().collect(), is_duplicate });
        }
        is_duplicate = false;
        let id = whole.value.id.clone();
        mark(app, whole, MergeStep::Splitting { from: from.clone() }).await?;
        finish(app, &id).await?;
    }
    Err(ChangeRejection::Contended.into())
}

/// The customer as it is stored, or one without any history; an erased one is not changed.
fn unless_erased(loaded: LoadedCustomer, id: &CustomerId) -> Result<Versioned<Customer>, MergeError> {
    match loaded {
        LoadedCustomer::Stored(stored) => Ok(stored),
        LoadedCustomer::Unknown => Ok(Versioned { version: 0, value: Customer::unknown(id.clone()) }),
        LoadedCustomer::Erased(_) => Err(ChangeRejection::CustomerErased.into()),
    }
}

fn require_no_backup(app: &App) -> Result<(), MergeError> {
    app.backing_up.try_lock().map(drop).map_err(|_| MergeError::BackupInProgress)
}

async fn mark(app: &App, customer: Versioned<Customer>, step: MergeStep) -> Result<(), MergeError> {
    match set_step(app, customer, step).await? {
        StepResult::Done | StepResult::Conflict => Ok(()),
        StepResult::CustomerFull => Err(ChangeRejection::CustomerFull.into()),
    }
}

async fn finish(app: &App, id: &CustomerId) -> Result<(), MergeError> {
    match Box::pin(finish_merge(app, id)).await? {
        MergeEnd::Finished => Ok(()),
        MergeEnd::Contended => Err(ChangeRejection::Contended.into()),
        MergeEnd::CustomerFull => Err(ChangeRejection::CustomerFull.into()),
    }
}
