//! Makes a backup of the whole store while it serves, as a stream of bytes.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::mpsc;

use super::app::App;
use crate::store::backup::writer::BackupWriter;
use crate::store::contract::StoreError;

/// Pages and pieces that may wait for a slower reader.
const WAITING_MAX: usize = 2;
/// The most bytes in one piece.
const PIECE_BYTES_MAX: usize = 64 * 1024;
/// How long a reader may take for a piece. One who has stopped would else keep others from making a backup.
const PIECE_WITHIN: Duration = Duration::from_secs(60);

/// Another backup is being made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a backup is being made")]
pub struct BackupInProgress;

/// The pieces of a backup, in order; an error is the last thing in it.
pub type BackupChunks = mpsc::Receiver<Result<Vec<u8>, StoreError>>;

/// Begins a backup. It goes on as its pieces are taken, and is given up when they are not.
///
/// # Errors
/// While another backup is being made.
pub fn back_up(app: &Arc<App>) -> Result<BackupChunks, BackupInProgress> {
    let turn = Arc::clone(&app.backing_up).try_lock_owned().map_err(|_| BackupInProgress)?;
    let (pieces, receiver) = mpsc::channel(WAITING_MAX);
    let app = Arc::clone(app);
    tokio::spawn(async move {
        let _turn = turn;
        let started = Instant::now();
        let mut sender = Sender { pieces, bytes: 0, is_given_up: false };
        let ended = send(&app, &mut sender).await;
        let seconds = started.elapsed().as_secs_f64();
        match ended {
            Ok(()) if sender.is_given_up => {
                tracing::warn!(bytes = sender.bytes, seconds, "a backup was given up: its reader has gone or stopped");
            }
            Ok(()) => {
                tracing::info!(bytes = sender.bytes, seconds, "made a backup");
                #[allow(clippy::cast_precision_loss, reason = "milliseconds since 1970 are below 2^53")]
                metrics::gauge!("tactful_backup_timestamp_seconds").set(app.now().unix_ms() as f64 / 1e3);
            }
            Err(error) => {
                tracing::error!(%error, "a backup failed");
                sender.send(Err(error)).await;
            }
        }
    });
    Ok(receiver)
}

async fn send(app: &App, sender: &mut Sender) -> Result<(), StoreError> {
    let (mut writer, head) = BackupWriter::start(app.now())?;
    sender.send_bytes(&head).await;
    let (pages, mut received) = mpsc::channel(WAITING_MAX);
    let passing_on = async {
        while let Some(page) = received.recv().await {
            sender.send_bytes(&writer.page(page)?).await;
            if sender.is_given_up {
                break;
            }
        }
        // With it goes what tells the store that somebody receives.
        drop(received);
        Ok(())
    };
    tokio::try_join!(app.store.back_up(pages), passing_on)?;
    // What was told is durable, here as in every other answer.
    app.store.durable().await?;
    sender.send_bytes(&writer.finish()?).await;
    Ok(())
}

/// Sends pieces until nobody takes them any more.
struct Sender {
    pieces: mpsc::Sender<Result<Vec<u8>, StoreError>>,
    bytes: usize,
    is_given_up: bool,
}

impl Sender {
    async fn send_bytes(&mut self, bytes: &[u8]) {
        for piece in bytes.chunks(PIECE_BYTES_MAX) {
            self.send(Ok(piece.to_vec())).await;
            self.bytes += piece.len();
        }
    }

    async fn send(&mut self, piece: Result<Vec<u8>, StoreError>) {
        if !self.is_given_up {
            self.is_given_up = !matches!(tokio::time::timeout(PIECE_WITHIN, self.pieces.send(piece)).await, Ok(Ok(())));
        }
    }
}
