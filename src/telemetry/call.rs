//! What is known of a call under way, wherever its code runs: how long its stages took, and which customer it is about.
//!
//! It is kept beside the call's task, not handed down, so that use cases need no argument for it. Where no call is under way
//! (a command, a test, a task of its own) nothing is kept. A stage costs two looks at the clock; its span is there for exported
//! traces only, and costs a load of one byte where there are none.

use std::cell::{Cell, RefCell};
use std::time::{Duration, Instant};

use tracing::{Instrument, Span, debug_span};

use super::STAGES_TARGET;
use super::customer_names::LoggedCustomer;

/// A part of a call that is worth a span and a time of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// Reads the customer.
    Load,
    /// Has the model rank, or reads what it ranked before.
    Rank,
    /// Applies the rules.
    Decide,
    /// Applies events to the customer.
    Apply,
    /// Takes volumes and commits the customer.
    Commit,
    /// Waits until all of it is on disk.
    Durable,
    /// Reads the request and writes the answer.
    Convert,
}

const STAGES: usize = 7;

impl Stage {
    /// Does a part of a call that waits for something. What is cut off half-way counts, too.
    pub async fn of<F: Future>(self, work: F) -> F::Output {
        let span = self.span();
        let _timing = Timing { stage: self, began: Instant::now() };
        work.instrument(span).await
    }

    /// Does a part of a call that only computes.
    pub fn time<T>(self, work: impl FnOnce() -> T) -> T {
        let _timing = Timing { stage: self, began: Instant::now() };
        self.span().in_scope(work)
    }

    fn span(self) -> Span {
        match self {
            Self::Load => debug_span!(target: STAGES_TARGET, "load"),
            Self::Rank => debug_span!(target: STAGES_TARGET, "rank"),
            Self::Decide => debug_span!(target: STAGES_TARGET, "decide"),
            Self::Apply => debug_span!(target: STAGES_TARGET, "apply"),
            Self::Commit => debug_span!(target: STAGES_TARGET, "commit"),
            Self::Durable => debug_span!(target: STAGES_TARGET, "durable"),
            Self::Convert => debug_span!(target: STAGES_TARGET, "convert"),
        }
    }
}

/// How long each stage took, all its turns together.
#[derive(Debug, Clone, Default)]
pub struct StageTimes([Cell<Duration>; STAGES]);

impl StageTimes {
    /// In milliseconds; `None` when the stage was not reached.
    pub fn ms(&self, stage: Stage) -> Option<f64> {
        let took = self.0[stage as usize].get();
        (!took.is_zero()).then_some(took.as_secs_f64() * 1e3)
    }

    fn add(&self, stage: Stage, took: Duration) {
        let total = &self.0[stage as usize];
        total.set(total.get() + took);
    }
}

/// Adds to a stage when it is dropped.
struct Timing {
    stage: Stage,
    began: Instant,
}

impl Drop for Timing {
    fn drop(&mut self) {
        // An error means that no call is under way.
        let _no_call = CALL.try_with(|call| call.times.add(self.stage, self.began.elapsed()));
    }
}

#[derive(Default)]
struct Call {
    times: StageTimes,
    customer: RefCell<Option<String>>,
}

tokio::task_local! {
    static CALL: Call;
}

/// Runs a call, and keeps what its code tells.
pub async fn kept<F: Future>(call: F) -> F::Output {
    CALL.scope(Call::default(), call).await
}

/// Runs a part of a call in a task of its own; returns what its stages took, for [`add`] in the task of the call.
pub async fn apart<F: Future>(part: F) -> (F::Output, StageTimes) {
    kept(async {
        let done = part.await;
        (done, times())
    })
    .await
}

/// Adds what the stages of a part took to those of the call.
pub fn add(part: &StageTimes) {
    // An error means that no call is under way.
    let _no_call = CALL.try_with(|call| {
        for (total, took) in call.times.0.iter().zip(&part.0) {
            total.set(total.get() + took.get());
        }
    });
}

/// How long the stages of the call took so far.
pub fn times() -> StageTimes {
    CALL.try_with(|call| call.times.clone()).unwrap_or_default()
}

/// Says which customer the call is about, for the audit log.
pub fn is_about(customer: &str) {
    // An error means that no call is under way.
    let _no_call = CALL.try_with(|call| call.customer.replace(Some(LoggedCustomer(customer).to_string())));
}

/// The name in logs of the customer whom the call is about, where that was said.
pub fn customer() -> Option<String> {
    CALL.try_with(|call| call.customer.borrow().clone()).ok().flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn hang() {
        tokio::task::yield_now().await;
        std::future::pending::<()>().await;
    }

    /// Broken by: a time that is added at the end of a stage only.
    #[tokio::test]
    async fn a_stage_that_is_cut_off_counts() {
        kept(async {
            let waited = tokio::time::timeout(Duration::from_millis(1), Stage::Durable.of(hang())).await;
            assert!(waited.is_err());
            assert!(times().ms(Stage::Durable).is_some_and(|ms| ms >= 1.0), "{:?}", times());
            assert_eq!(times().ms(Stage::Load), None);
        })
        .await;
    }

    /// Broken by: a part whose times are not handed on.
    #[tokio::test]
    async fn parts_in_tasks_of_their_own_are_added_up() {
        kept(async {
            let part = || apart(async { Stage::Rank.time(|| std::thread::sleep(Duration::from_millis(2))) });
            for task in [tokio::spawn(part()), tokio::spawn(part())] {
                add(&task.await.expect("does not panic").1);
            }
            assert!(times().ms(Stage::Rank).is_some_and(|ms| ms >= 4.0), "{:?}", times());
        })
        .await;
    }

    /// Broken by: a customer who is kept by the id.
    #[tokio::test]
    async fn without_a_call_nothing_is_kept_and_nothing_fails() {
        Stage::Load.of(async {}).await;
        is_about("ada");
        assert_eq!((times().ms(Stage::Load), customer()), (None, None));
        kept(async {
            is_about("ada");
            assert!(customer().is_some_and(|name| name != "ada"));
        })
        .await;
    }
}
