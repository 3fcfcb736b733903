//! Context of the call that the current task serves: duration of each stage, and the customer it concerns.
//!
//! It is task-local, so that use cases need no argument for it. Outside a call (a command, a test, a background task) it is
//! absent and every function here does nothing. A stage costs two clock reads; its span exists for exported traces only, and
//! costs one byte load where nothing is exported.

use std::cell::{Cell, RefCell};
use std::time::{Duration, Instant};

use tokio::task::futures::TaskLocalFuture;
use tracing::instrument::Instrumented;
use tracing::{Instrument, Span, debug_span};

use super::customer_pseudonyms::LoggedCustomer;

/// Target of the spans of [`CallStage`]. Log lines leave them out, so that the innermost span of a line, which is the one that
/// JSON shows, is the call's with its `request_id`.
pub(super) const STAGE_TARGET: &str = "tactful::stage";

/// Part of a call that gets a span and a duration of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CallStage {
    Load,
    /// Has the model rank candidates, or reads a cached ranking.
    Rank,
    /// Applies the decision rules.
    Decide,
    /// Applies events to the customer.
    Apply,
    /// Reserves volumes and commits the customer.
    Commit,
    /// Waits until the commit is on disk.
    Durable,
    /// Converts the request from, and the response to, protobuf messages.
    Convert,
}

const STAGES: usize = 7;

impl CallStage {
    /// Awaits an asynchronous stage. A cancelled stage is measured, too.
    pub(crate) async fn instrument<F: Future>(self, stage: F) -> F::Output {
        let span = self.span();
        let _timer = StageTimer::start(self);
        Instrument::instrument(stage, span).await
    }

    /// Runs a stage that only computes.
    pub(crate) fn in_scope<T>(self, stage: impl FnOnce() -> T) -> T {
        let _timer = StageTimer::start(self);
        self.span().in_scope(stage)
    }

    fn span(self) -> Span {
        match self {
            Self::Load => debug_span!(target: STAGE_TARGET, "load"),
            Self::Rank => debug_span!(target: STAGE_TARGET, "rank"),
            Self::Decide => debug_span!(target: STAGE_TARGET, "decide"),
            Self::Apply => debug_span!(target: STAGE_TARGET, "apply"),
            Self::Commit => debug_span!(target: STAGE_TARGET, "commit"),
            Self::Durable => debug_span!(target: STAGE_TARGET, "durable"),
            Self::Convert => debug_span!(target: STAGE_TARGET, "convert"),
        }
    }
}

/// Total duration of each stage over all its repetitions.
#[derive(Debug, Clone, Default)]
pub(crate) struct StageDurations([Cell<Duration>; STAGES]);

impl StageDurations {
    /// Returns the duration in milliseconds, or `None` when the stage was not reached.
    pub(crate) fn ms(&self, stage: CallStage) -> Option<f64> {
        let duration = self.0[stage as usize].get();
        (!duration.is_zero()).then_some(duration.as_secs_f64() * 1e3)
    }

    fn add(&self, stage: CallStage, duration: Duration) {
        let total = &self.0[stage as usize];
        total.set(total.get() + duration);
    }
}

/// Guard that adds the time since its creation to a stage when it is dropped.
struct StageTimer {
    stage: CallStage,
    started: Instant,
}

impl StageTimer {
    fn start(stage: CallStage) -> Self {
        Self { stage, started: Instant::now() }
    }
}

impl Drop for StageTimer {
    fn drop(&mut self) {
        // `try_with` fails outside a call.
        let _no_call = CONTEXT.try_with(|context| context.stages.add(self.stage, self.started.elapsed()));
    }
}

/// State of one call.
#[derive(Default)]
pub(crate) struct CallContext {
    stages: StageDurations,
    /// Loggable name of the customer.
    customer: RefCell<Option<String>>,
}

tokio::task_local! {
    static CONTEXT: CallContext;
}

/// Future of a call with a context of its own.
pub(crate) type ScopedCall<F> = TaskLocalFuture<CallContext, F>;

/// Gives a call a context of its own.
pub(crate) fn scope<F: Future>(call: F) -> ScopedCall<F> {
    CONTEXT.scope(CallContext::default(), call)
}

/// Runs a part of a call in a task of its own, within the current span; returns what its stages took, for [`add_stages`] in the
/// task of the call.
pub(crate) fn scope_part<F: Future>(part: F) -> Instrumented<impl Future<Output = (F::Output, StageDurations)>> {
    let part = scope(async {
        let output = part.await;
        (output, stages())
    });
    part.in_current_span()
}

/// Adds the stage durations of a part to those of the call.
pub(crate) fn add_stages(part: &StageDurations) {
    // `try_with` fails outside a call.
    let _no_call = CONTEXT.try_with(|context| {
        for (total, duration) in context.stages.0.iter().zip(&part.0) {
            total.set(total.get() + duration.get());
        }
    });
}

/// Returns the stage durations of the call so far.
pub(crate) fn stages() -> StageDurations {
    CONTEXT.try_with(|context| context.stages.clone()).unwrap_or_default()
}

/// Sets the customer that the call concerns, for the audit log.
pub(crate) fn set_customer(customer: &str) {
    // `try_with` fails outside a call.
    let _no_call = CONTEXT.try_with(|context| context.customer.replace(Some(LoggedCustomer(customer).to_string())));
}

/// Sets the customer that the call concerns by its loggable name, which [`customer`] returned in another task.
pub(crate) fn set_loggable_customer(customer: Option<String>) {
    let _no_call = CONTEXT.try_with(|context| context.customer.replace(customer));
}

/// Returns the loggable name of the customer that the call concerns, where one was set.
pub(crate) fn customer() -> Option<String> {
    CONTEXT.try_with(|context| context.customer.borrow().clone()).ok().flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn hang() {
        tokio::task::yield_now().await;
        std::future::pending::<()>().await;
    }

    /// Broken by: a duration that is added at the end of a stage only.
    #[tokio::test]
    async fn cancelled_stage_is_measured() {
        scope(async {
            let waited = tokio::time::timeout(Duration::from_millis(1), CallStage::Durable.instrument(hang())).await;
            assert!(waited.is_err());
            assert!(stages().ms(CallStage::Durable).is_some_and(|ms| ms >= 1.0), "{:?}", stages());
            assert_eq!(stages().ms(CallStage::Load), None);
        })
        .await;
    }

    /// Broken by: a part whose durations are not returned to the call.
    #[tokio::test]
    async fn stages_of_spawned_parts_are_added_to_the_call() {
        scope(async {
            let part =
                || scope_part(async { CallStage::Rank.in_scope(|| std::thread::sleep(Duration::from_millis(2))) });
            for task in [tokio::spawn(part()), tokio::spawn(part())] {
                add_stages(&task.await.expect("does not panic").1);
            }
            assert!(stages().ms(CallStage::Rank).is_some_and(|ms| ms >= 4.0), "{:?}", stages());
        })
        .await;
    }

    /// Broken by: a customer that is stored by the bare id.
    #[tokio::test]
    async fn outside_a_call_nothing_is_stored_and_nothing_fails() {
        CallStage::Load.instrument(async {}).await;
        set_customer("ada");
        assert_eq!((stages().ms(CallStage::Load), customer()), (None, None));
        scope(async {
            set_customer("ada");
            assert!(customer().is_some_and(|name| name != "ada"));
        })
        .await;
    }
}
