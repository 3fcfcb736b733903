//! Erases a customer, under all of its ids.

use super::app::App;
use super::change_customer::{ChangeError, ChangeRejection};
use super::commit_customer::ATTEMPTS_MAX;
use super::finish_merge::{MergeEnd, erase_ids, finish_merge, set_step};
use super::load_customer::load_by_any_id;
use crate::domain::ids::CustomerId;
use crate::domain::merge::MergeStep;
use crate::store::contract::erasure::{ErasedRecords, Erasure, ErasureResult};

/// Result of an erasure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ErasedCustomer {
    /// Number of records removed by this call; 0 when the customer was erased before.
    pub erased: ErasedRecords,
    /// The tombstone that stays beside the keyed hash of the id.
    pub erasure: Erasure,
}

/// Erases a customer; durable when it returns. An unknown customer is erased as well: the id is blocked from now on. With any
/// of its ids, all of them are erased.
pub async fn erase_customer(app: &App, customer: &CustomerId) -> Result<ErasedCustomer, ChangeError> {
    let _merging = app.merging.lock().await;
    for _ in 0..ATTEMPTS_MAX {
        let (id, loaded) = load_by_any_id(app.store.as_ref(), customer).await?;
        let Some(stored) = loaded.stored() else { return erase_alone(app, customer).await };
        let merge = &stored.value.merge;
        if merge.is_in_progress() && merge.step != MergeStep::Erasing {
            match Box::pin(finish_merge(app, &id)).await? {
                MergeEnd::Contended => break,
                MergeEnd::Finished | MergeEnd::CustomerFull => continue,
            }
        }
        if merge.members.is_empty() {
            return erase_alone(app, &id).await;
        }
        if merge.step == MergeStep::Erasing {
            let ErasureResult { removed, erasure } = Box::pin(erase_ids(app, stored)).await?;
            app.store.durable().await?;
            return Ok(ErasedCustomer { erased: removed, erasure });
        }
        // On a conflict the customer is read again.
        let _marked = set_step(app, stored, MergeStep::Erasing).await?;
    }
    Err(ChangeRejection::Contended.into())
}

/// Erases an id that has no others.
async fn erase_alone(app: &App, customer: &CustomerId) -> Result<ErasedCustomer, ChangeError> {
    let ErasureResult { removed, erasure } = app.store.erase_customer(customer, app.now()).await?;
    app.store.durable().await?;
    Ok(ErasedCustomer { erased: removed, erasure })
}
