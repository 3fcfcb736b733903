//! How much memory a process takes while something happens.

use std::time::Duration;

use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::support::running_server::resident_bytes;

/// Looks again and again.
pub struct Watch {
    before: u64,
    stop: oneshot::Sender<()>,
    watching: JoinHandle<u64>,
}

impl Watch {
    pub fn start(pid: u32) -> Self {
        let (stop, mut stopped) = oneshot::channel();
        let watching = tokio::spawn(async move {
            let mut most = 0;
            let mut looks = tokio::time::interval(Duration::from_millis(20));
            loop {
                most = most.max(resident_bytes(pid));
                tokio::select! {
                    _ = &mut stopped => return most,
                    _ = looks.tick() => {}
                }
            }
        });
        Self { before: resident_bytes(pid), stop, watching }
    }

    /// How much more it was, at most, than at the start.
    pub async fn stop(self) -> u64 {
        // An error means that the watch has panicked.
        let _panicked = self.stop.send(());
        self.watching.await.expect("the process runs").saturating_sub(self.before)
    }
}
