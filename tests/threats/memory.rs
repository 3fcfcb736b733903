//! Peak memory of a process while something happens.

use std::time::Duration;

use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::support::running_server::resident_bytes;

/// Background sampling of the resident memory of a process.
pub struct PeakMemory {
    before: u64,
    stop: oneshot::Sender<()>,
    sampling: JoinHandle<u64>,
}

impl PeakMemory {
    pub fn watch(pid: u32) -> Self {
        let (stop, mut stopped) = oneshot::channel();
        let sampling = tokio::spawn(async move {
            let mut peak = 0;
            let mut ticks = tokio::time::interval(Duration::from_millis(20));
            loop {
                peak = peak.max(resident_bytes(pid));
                tokio::select! {
                    _ = &mut stopped => return peak,
                    _ = ticks.tick() => {}
                }
            }
        });
        Self { before: resident_bytes(pid), stop, sampling }
    }

    /// Stops and returns the maximum growth since the start, in bytes.
    pub async fn stop(self) -> u64 {
        // Sending fails when the sampling has panicked.
        let _panicked = self.stop.send(());
        self.sampling.await.expect("the process runs").saturating_sub(self.before)
    }
}
