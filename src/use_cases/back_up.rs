//! Makes a backup of the whole store while it serves, as a stream of bytes.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::mpsc;

use super::app::App;
use crate::store::backup::writer::BackupWriter;
use crate::store::contract::error::StoreError;

/// Maximum number of pages, and of chunks, that are buffered for a slower reader.
const BUFFERED_MAX: usize = 2;
/// Maximum size of a chunk.
const CHUNK_BYTES_MAX: usize = 64 * 1024;
/// Maximum time for which a reader may leave a chunk unread. A stalled reader would otherwise block every other backup.
const CHUNK_TIMEOUT: Duration = Duration::from_secs(60);

/// Error returned by [`back_up`] while another backup is in progress.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("another backup is in progress")]
pub struct BackupInProgress;

/// Chunks of a backup, in order; an error is the last item.
pub type BackupChunks = mpsc::Receiver<Result<Vec<u8>, StoreError>>;

/// Starts a backup. It proceeds as its chunks are received, and is abandoned when the reader stops receiving.
///
/// # Errors
/// While another backup is in progress.
pub fn back_up(app: &Arc<App>) -> Result<BackupChunks, BackupInProgress> {
    let permit = Arc::clone(&app.backing_up).try_lock_owned().map_err(|_| BackupInProgress)?;
    let (chunks, receiver) = mpsc::channel(BUFFERED_MAX);
    let app = Arc::clone(app);
    tokio::spawn(async move {
        let _permit = permit;
        // A merge that has started ends first; none starts while the permit is held.
        drop(app.merging.lock().await);
        let started = Instant::now();
        let mut sender = ChunkSender { chunks, bytes: 0, is_abandoned: false };
        let ended = send(&app, &mut sender).await;
        let seconds = started.elapsed().as_secs_f64();
        match ended {
            Ok(()) if sender.is_abandoned => {
                tracing::warn!(bytes = sender.bytes, seconds, "backup abandoned: its reader disconnected or stalled");
            }
            Ok(()) => {
                tracing::info!(bytes = sender.bytes, seconds, "backup completed");
                #[allow(clippy::cast_precision_loss, reason = "milliseconds since 1970 are below 2^53")]
                metrics::gauge!("tactful_backup_timestamp_seconds").set(app.now().unix_ms() as f64 / 1e3);
            }
            Err(error) => {
                tracing::error!(%error, "backup failed");
                sender.send(Err(error)).await;
            }
        }
    });
    Ok(receiver)
}

async fn send(app: &App, sender: &mut ChunkSender) -> Result<(), StoreError> {
    let (mut writer, head) = BackupWriter::start(app.now())?;
    sender.send_bytes(&head).await;
    let (pages, mut page_receiver) = mpsc::channel(BUFFERED_MAX);
    let forward = async {
        while let Some(page) = page_receiver.recv().await {
            sender.send_bytes(&writer.page(page)?).await;
            if sender.is_abandoned {
                break;
            }
        }
        // Dropping the receiver makes the store stop sending.
        drop(page_receiver);
        Ok(())
    };
    tokio::try_join!(app.store.back_up(pages), forward)?;
    // A backup holds only what is durable, as every other response.
    app.store.durable().await?;
    sender.send_bytes(&writer.finish()?).await;
    Ok(())
}

/// Sends chunks until the reader stops receiving.
struct ChunkSender {
    chunks: mpsc::Sender<Result<Vec<u8>, StoreError>>,
    bytes: usize,
    is_abandoned: bool,
}

impl ChunkSender {
    async fn send_bytes(&mut self, bytes: &[u8]) {
        for chunk in bytes.chunks(CHUNK_BYTES_MAX) {
            self.send(Ok(chunk.to_vec())).await;
            self.bytes += chunk.len();
        }
    }

    async fn send(&mut self, chunk: Result<Vec<u8>, StoreError>) {
        if !self.is_abandoned {
            self.is_abandoned =
                !matches!(tokio::time::timeout(CHUNK_TIMEOUT, self.chunks.send(chunk)).await, Ok(Ok(())));
        }
    }
}
