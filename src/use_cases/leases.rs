//! Leases on work that one process at a time is to do, in a store that several processes share.
//!
//! A lease saves work; it does not protect results, because a process that was paused may still believe in its own. Results are
//! written against the number that was read when the work began, so those of a process that has fallen behind are refused.

use std::convert::Infallible;
use std::time::Duration;

use super::app::App;
use crate::store::contract::error::StoreError;
use crate::store::contract::shared::{Job, SharedStore};

/// Span of a lease, after which a process that died is given up. It is extended three times within it.
const LEASE_SPAN: Duration = Duration::from_secs(60);

/// Does the work of a job unless another process has the lease, and returns `None` then. After work that succeeded the lease is
/// kept for `rest`, during which no process does the job again; otherwise it ends.
pub async fn with_lease<T, E: From<StoreError>>(
    app: &App,
    job: Job,
    rest: Duration,
    work: impl Future<Output = Result<T, E>>,
) -> Result<Option<T>, E> {
    let Some(shared) = app.store.shared() else { return work.await.map(Some) };
    if !shared.lease(job, app.replica, LEASE_SPAN).await? {
        return Ok(None);
    }
    let result = tokio::select! {
        result = work => result,
        never = extend(app, shared, job) => match never {},
    };
    let ended = if result.is_ok() && !rest.is_zero() {
        shared.lease(job, app.replica, rest).await.map(drop)
    } else {
        shared.end_lease(job, app.replica).await
    };
    if let Err(error) = ended {
        // It ends by itself.
        tracing::debug!(job = job.as_str(), %error, "the lease was not ended");
    }
    result.map(Some)
}

/// Extends a lease for as long as it is polled.
async fn extend(app: &App, shared: &dyn SharedStore, job: Job) -> Infallible {
    loop {
        tokio::time::sleep(LEASE_SPAN / 3).await;
        match shared.lease(job, app.replica, LEASE_SPAN).await {
            Ok(true) => {}
            Ok(false) => tracing::warn!(job = job.as_str(), "another replica has taken over the job"),
            Err(error) => tracing::warn!(job = job.as_str(), %error, "the lease was not extended"),
        }
    }
}

/// Whether another process has the lease on a job.
pub(super) async fn is_leased_elsewhere(app: &App, job: Job) -> Result<bool, StoreError> {
    Ok(with_lease(app, job, Duration::ZERO, async { Ok::<(), StoreError>(()) }).await?.is_none())
}
