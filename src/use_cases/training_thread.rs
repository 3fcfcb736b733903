//! Thread of low priority for a training: linear algebra takes seconds, and must not block a thread that serves.

use tokio::sync::oneshot;

/// Error returned when the training thread produced no result.
#[derive(Debug, thiserror::Error)]
pub enum TrainingThreadError {
    /// The operating system started no thread.
    #[error("the training thread could not be started: {0}")]
    NotStarted(#[from] std::io::Error),
    /// The thread panicked.
    #[error("the training thread panicked")]
    Panicked,
}

/// Runs work on a thread of its own, which yields the processor to threads that serve.
pub(super) async fn run_on_training_thread<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, TrainingThreadError> {
    let (sender, result) = oneshot::channel();
    std::thread::Builder::new().name("training".to_owned()).spawn(move || {
        lower_priority();
        sender.send(work())
    })?;
    result.await.map_err(|_| TrainingThreadError::Panicked)
}

/// Lowers the priority of the current thread, so that training uses a core only while nothing else does.
fn lower_priority() {
    // On Linux niceness belongs to a thread, and threads that it starts inherit it; elsewhere it belongs to the process.
    #[cfg(target_os = "linux")]
    if let Err(error) = rustix::process::nice(19) {
        tracing::warn!(%error, "lowering the priority of training failed; it competes with serving");
    }
}
