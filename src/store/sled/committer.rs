//! Group commit: one thread makes the writes of all callers durable. It collects the waiting callers, flushes sled,
//! syncs the file, and wakes exactly the callers that were waiting before the flush started.
//!
//! sled's own `flush` returns before the disk has the data, so the thread holds a second handle on sled's file and calls
//! `fdatasync` on it. A failed flush or sync is final: the state of the disk is unknown from then on, and sled does not
//! recover within a process. The waiting calls fail, and the store stays failed until the process restarts.

use std::collections::HashSet;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Instant;

use sled::Db;
use tokio::sync::{oneshot, watch};

use super::failpoint::failpoint;
use super::flush_watermark::{self, FlushWatermark};
use crate::store::contract::error::StoreError;

/// Handle on the committer thread: registers writes, and lets callers wait until they are durable.
pub(super) struct Committer {
    shared: Arc<Shared>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

struct Shared {
    /// Number of writes that have started and are not counted in `written` yet.
    in_flight: AtomicU64,
    /// Number of writes applied so far.
    written: AtomicU64,
    /// Number of writes that the last flush covered: the value of `written` when it started.
    durable: AtomicU64,
    queue: Mutex<Queue>,
    wake: Condvar,
    /// Cause of the store's failure; `None` while it works.
    failure: watch::Sender<Option<String>>,
}

#[derive(Default)]
struct Queue {
    waiters: Vec<oneshot::Sender<()>>,
    is_closed: bool,
}

/// Guard of a write in progress. Dropping it counts the write as applied, even when it failed: one flush too many does
/// no harm.
pub(super) struct WriteGuard<'committer> {
    shared: &'committer Shared,
}

impl WriteGuard<'_> {
    /// Finishes the write and returns its sequence number: it is durable once [`Committer::durable_through`] reaches it.
    pub fn finish(self) -> u64 {
        let number = self.shared.written.fetch_add(1, Ordering::SeqCst) + 1;
        self.shared.in_flight.fetch_sub(1, Ordering::SeqCst);
        std::mem::forget(self);
        number
    }
}

impl Drop for WriteGuard<'_> {
    fn drop(&mut self) {
        self.shared.written.fetch_add(1, Ordering::SeqCst);
        self.shared.in_flight.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Committer {
    /// Starts the committer thread for the database in a directory.
    pub fn start(db: Db, directory: &Path, flush_watermark: FlushWatermark) -> std::io::Result<Self> {
        let disk = Disk::open(db, directory)?;
        let shared = Arc::new(Shared {
            in_flight: AtomicU64::new(0),
            written: AtomicU64::new(0),
            durable: AtomicU64::new(0),
            queue: Mutex::default(),
            wake: Condvar::new(),
            failure: watch::Sender::new(None),
        });
        let shared_by_thread = Arc::clone(&shared);
        let thread = std::thread::Builder::new()
            .name("store-committer".to_owned())
            .spawn(move || shared_by_thread.run(disk, flush_watermark))?;
        Ok(Self { shared, thread: Mutex::new(Some(thread)) })
    }

    /// Registers a write. Call before the first byte is written.
    pub fn begin_write(&self) -> WriteGuard<'_> {
        self.shared.in_flight.fetch_add(1, Ordering::SeqCst);
        WriteGuard { shared: &self.shared }
    }

    /// Returns the sequence number of the last durable write.
    pub fn durable_through(&self) -> u64 {
        self.shared.durable.load(Ordering::SeqCst)
    }

    /// Waits until everything that was written or could be read before the call is durable.
    pub async fn durable(&self) -> Result<(), StoreError> {
        self.check()?;
        if self.shared.is_all_durable() {
            return Ok(());
        }
        let (waiter, flushed) = oneshot::channel();
        {
            let mut queue = self.shared.queue();
            if queue.is_closed {
                return Err(StoreError::Failed { detail: "the store is closed".to_owned() });
            }
            queue.waiters.push(waiter);
        }
        self.shared.wake.notify_one();
        match flushed.await {
            Ok(()) => Ok(()),
            Err(_) => Err(self.error()),
        }
    }

    /// Returns the cause of the failure once the store has failed.
    pub fn check(&self) -> Result<(), StoreError> {
        if self.shared.failure.borrow().is_none() { Ok(()) } else { Err(self.error()) }
    }

    /// Marks the store failed and returns the error to pass on.
    pub fn fail(&self, error: &sled::Error) -> StoreError {
        self.shared.fail(error.to_string());
        self.error()
    }

    /// Resolves with the cause once the store has failed.
    pub async fn failed(&self) -> StoreError {
        // The sender lives as long as `self`, so waiting cannot fail.
        let mut failure = self.shared.failure.subscribe();
        let _failure = failure.wait_for(Option::is_some).await;
        self.error()
    }

    /// Flushes a last time and stops the thread. Blocks.
    pub fn close(&self) {
        self.shared.queue().is_closed = true;
        self.shared.wake.notify_one();
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        // When the thread panics it marks the store failed first, so the result of the join adds nothing.
        if let Some(thread) = thread {
            drop(thread.join());
        }
    }

    fn error(&self) -> StoreError {
        let detail = self.shared.failure.borrow().clone();
        StoreError::Failed { detail: detail.unwrap_or_else(|| "the committer thread stopped".to_owned()) }
    }
}

impl Drop for Committer {
    /// Stops the thread; otherwise opening a store that fails half-way would leave it running and the directory locked.
    fn drop(&mut self) {
        self.close();
    }
}

impl Shared {
    /// Whether every value that could have been read so far is durable. Such a value comes from a write that has started;
    /// if none is in flight, that write is counted in `written`, so an equal `durable` covers it. The order of the three
    /// loads matters.
    fn is_all_durable(&self) -> bool {
        self.in_flight.load(Ordering::SeqCst) == 0
            && self.written.load(Ordering::SeqCst) == self.durable.load(Ordering::SeqCst)
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn fail(&self, detail: String) {
        self.failure.send_if_modified(|failure| {
            let is_first = failure.is_none();
            if is_first {
                tracing::error!(detail, "store failed; it stays failed until the process restarts");
                *failure = Some(detail);
            }
            is_first
        });
    }

    fn run(&self, mut disk: Disk, mut flush_watermark: FlushWatermark) {
        let panic_guard = PanicGuard(self);
        loop {
            let (waiters, is_closed) = self.next_waiters();
            if self.failure.borrow().is_none() {
                self.flush(&mut disk, &mut flush_watermark, waiters);
            }
            if is_closed {
                break;
            }
        }
        std::mem::forget(panic_guard);
    }

    /// Blocks until a caller waits for a flush or the store is closed.
    fn next_waiters(&self) -> (Vec<oneshot::Sender<()>>, bool) {
        let queue = self.queue();
        let is_idle = |queue: &mut Queue| queue.waiters.is_empty() && !queue.is_closed;
        let mut queue = self.wake.wait_while(queue, is_idle).unwrap_or_else(PoisonError::into_inner);
        (std::mem::take(&mut queue.waiters), queue.is_closed)
    }

    fn flush(&self, disk: &mut Disk, flush_watermark: &mut FlushWatermark, waiters: Vec<oneshot::Sender<()>>) {
        let covered = self.written.load(Ordering::SeqCst);
        let started = Instant::now();
        let announced = flush_watermark.announce().map_err(|error| format!("flush: {error}"));
        let synced = announced.and_then(|()| disk.sync().map_err(|error| error.to_string()));
        let reached = synced
            .and_then(|()| flush_watermark.reach().map_err(|error| format!("{}: {error}", flush_watermark::FILE)));
        if let Err(detail) = reached {
            self.fail(detail);
            // Dropping the senders makes the waiting calls return the failure.
            return;
        }
        metrics::histogram!("tactful_store_flush_seconds").record(started.elapsed().as_secs_f64());
        metrics::histogram!("tactful_store_flush_waiters")
            .record(f64::from(u32::try_from(waiters.len()).unwrap_or(u32::MAX)));
        self.durable.fetch_max(covered, Ordering::SeqCst);
        for waiter in waiters {
            // The caller may have gone away.
            let _ = waiter.send(());
        }
    }
}

/// Guard that marks the store failed and wakes the waiting callers when the committer thread panics.
struct PanicGuard<'shared>(&'shared Shared);

impl Drop for PanicGuard<'_> {
    fn drop(&mut self) {
        self.0.fail("the committer thread panicked".to_owned());
        let mut queue = self.0.queue();
        queue.is_closed = true;
        queue.waiters.clear();
    }
}

/// Error returned by [`Disk::sync`].
#[derive(Debug, thiserror::Error)]
pub(super) enum SyncError {
    #[error("flush: {0}")]
    Flush(sled::Error),
    #[error("fdatasync of the log: {0}")]
    Log(std::io::Error),
    #[error("fsync of large values: {0}")]
    Blobs(std::io::Error),
    #[cfg(debug_assertions)]
    #[error("stopped by a failpoint")]
    Failpoint,
}

/// sled's files, with the handles needed to force them to disk.
pub(super) struct Disk {
    db: Db,
    log: File,
    blobs: PathBuf,
    /// Paths and lengths of the blob files that are synced.
    synced_blobs: HashSet<(PathBuf, u64)>,
}

impl Disk {
    /// Opens a second handle on sled's log.
    pub fn open(db: Db, directory: &Path) -> std::io::Result<Self> {
        let log = File::options().read(true).write(true).open(directory.join("db"))?;
        Ok(Self { db, log, blobs: directory.join("blobs"), synced_blobs: HashSet::new() })
    }

    /// Forces everything applied so far to disk.
    pub fn sync(&mut self) -> Result<(), SyncError> {
        self.db.flush().map_err(SyncError::Flush)?;
        self.log.sync_data().map_err(SyncError::Log)?;
        self.sync_blobs().map_err(SyncError::Blobs)?;
        failpoint!("store::after_flush", |_| Err(SyncError::Failpoint));
        Ok(())
    }

    /// Syncs the blob files that are new or have grown. sled writes leaves beyond a quarter of a segment to files of their
    /// own and syncs neither them nor their directory. Values are so small that this is rare: mostly the directory is
    /// empty and this costs one listing. Blob files only grow, so a file of unchanged length needs no second sync.
    fn sync_blobs(&mut self) -> std::io::Result<()> {
        let mut found = HashSet::new();
        let mut is_new = false;
        for entry in std::fs::read_dir(&self.blobs)? {
            let path = entry?.path();
            // sled may remove an unreferenced blob at any time.
            let Some(file) = unless_missing(File::open(&path))? else { continue };
            let blob = (path, file.metadata()?.len());
            if !self.synced_blobs.contains(&blob) {
                file.sync_all()?;
                is_new = true;
            }
            found.insert(blob);
        }
        if is_new {
            File::open(&self.blobs)?.sync_all()?;
        }
        self.synced_blobs = found;
        Ok(())
    }
}

fn unless_missing(file: std::io::Result<File>) -> std::io::Result<Option<File>> {
    match file {
        Ok(file) => Ok(Some(file)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Broken by: leaving out `in_flight`, or counting a write before it is finished.
    #[tokio::test]
    async fn nothing_is_durable_while_a_write_is_in_flight() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let db = sled::open(directory.path()).expect("an empty directory opens");
        let meta = db.open_tree("meta").expect("opens");
        let flush_watermark = FlushWatermark::open(&meta, directory.path()).expect("a file");
        let committer = Committer::start(db, directory.path(), flush_watermark).expect("the files are there");
        assert!(committer.shared.is_all_durable());
        let first = committer.begin_write();
        assert!(!committer.shared.is_all_durable());
        let second = committer.begin_write();
        let number = second.finish();
        committer.durable().await.expect("the disk works");
        assert!(committer.durable_through() >= number);
        assert!(!committer.shared.is_all_durable(), "the first write may have been applied after the flush");
        drop(first);
        assert!(!committer.shared.is_all_durable());
        committer.durable().await.expect("the disk works");
        assert!(committer.shared.is_all_durable());
    }
}
