//! Permits that calls hold while they are served.

use std::sync::{Arc, Mutex, PoisonError};

use crate::config::settings::CallLimits;
use tokio::sync::{AcquireError, OwnedSemaphorePermit, Semaphore};

/// Permits for all calls.
pub(crate) struct PermitPool {
    /// Calls with a complete message.
    requests: Arc<Semaphore>,
    /// Calls waiting for client input.
    pending_uploads: Arc<Semaphore>,
    /// Bytes of incomplete or unanswered messages, beyond what each call has free.
    buffered_bytes: Arc<Semaphore>,
}

impl PermitPool {
    pub(crate) fn new(limits: &CallLimits) -> Self {
        Self {
            requests: Arc::new(Semaphore::new(limits.requests_max)),
            pending_uploads: Arc::new(Semaphore::new(limits.pending_uploads_max)),
            buffered_bytes: Arc::new(Semaphore::new(limits.buffered_bytes_max)),
        }
    }

    /// Whether a request permit is available.
    pub(crate) fn has_request_permit(&self) -> bool {
        self.requests.available_permits() > 0
    }

    pub(super) fn try_acquire_request(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.requests).try_acquire_owned().ok()
    }

    /// Waits for a request permit. Never fails in fact: the semaphore is never closed.
    pub(super) fn acquire_request(
        &self,
    ) -> impl Future<Output = Result<OwnedSemaphorePermit, AcquireError>> + Send + use<> {
        Arc::clone(&self.requests).acquire_owned()
    }

    pub(super) fn try_acquire_pending_upload(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.pending_uploads).try_acquire_owned().ok()
    }

    pub(super) fn try_acquire_bytes(&self, bytes: u64) -> Option<OwnedSemaphorePermit> {
        // A number beyond `u32` is more than there ever is.
        let bytes = u32::try_from(bytes).unwrap_or(u32::MAX);
        Arc::clone(&self.buffered_bytes).try_acquire_many_owned(bytes).ok()
    }

    #[cfg(test)]
    pub(super) fn available_bytes(&self) -> usize {
        self.buffered_bytes.available_permits()
    }
}

/// Permits of one call; released when the last clone is dropped.
#[derive(Clone, Default)]
pub(crate) struct CallPermits(Arc<Mutex<HeldPermits>>);

#[derive(Default)]
struct HeldPermits {
    request: Option<OwnedSemaphorePermit>,
    bytes: Option<OwnedSemaphorePermit>,
}

impl CallPermits {
    pub(super) fn has_request(&self) -> bool {
        self.with(|held| held.request.is_some())
    }

    /// Replaces the request permit; `None` releases it.
    pub(super) fn set_request(&self, permit: Option<OwnedSemaphorePermit>) {
        self.with(|held| held.request = permit);
    }

    pub(super) fn add_bytes(&self, permit: OwnedSemaphorePermit) {
        self.with(|held| match &mut held.bytes {
            Some(bytes) => bytes.merge(permit),
            none => *none = Some(permit),
        });
    }

    /// Releases all but this many bytes.
    pub(super) fn shrink_bytes(&self, kept: u64) {
        self.with(|held| {
            let Some(bytes) = &mut held.bytes else { return };
            let kept = usize::try_from(kept).unwrap_or(usize::MAX);
            drop(bytes.split(bytes.num_permits().saturating_sub(kept)));
        });
    }

    fn with<T>(&self, access: impl FnOnce(&mut HeldPermits) -> T) -> T {
        access(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
