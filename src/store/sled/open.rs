//! Opening of a data directory: checks that it is tactful's, that no other process has it open, and that its format is
//! supported.
//!
//! A directory that contains anything but a tactful store is left unchanged.

use std::fs::File;
use std::io;
use std::path::Path;
use std::time::Duration;

use sled::Db;

use super::committer::Disk;
use super::compact;
use super::erase::finish_erasures;
use super::flush_watermark;
use super::trees::{COMPACTION_KEY, FORMAT_KEY, Trees};
use crate::store::codec::store_format::STORE_FORMAT;
use crate::store::contract::error::StoreError;

/// File that is locked while the store is opened or restored.
pub(super) const LOCK: &str = "lock";
/// Maximum number of attempts to lock: a released lock can stay held for some milliseconds, and a previous process may
/// be exiting.
const LOCK_ATTEMPTS: u32 = 10;
const LOCK_PAUSE: Duration = Duration::from_millis(50);

/// Size of a segment of sled's log. sled stores leaves of up to a quarter of a segment in the log. A leaf contains 17
/// values, so with segments of this size leaves of full customers (17 x 28 KiB: customer and outbox) fit. sled writes the size into
/// the directory once and cannot open it with another.
const SEGMENT_BYTES: usize = 2 * 1024 * 1024;

/// Opens the database in a directory, creating both if missing; finishes interrupted erasures, and compacts the files after
/// erasures. Blocks.
pub(super) fn open_database(directory: &Path, cache_bytes: u64) -> Result<(Db, Trees), StoreError> {
    create(directory).map_err(|error| failed(directory, &error))?;
    require_own_directory(directory)?;
    // sled's own lock is released for a moment between closing the old files and opening the new ones.
    let _lock = lock(directory)?;
    compact::finish_swap(directory).map_err(|error| failed(directory, &error))?;
    let (db, trees) = open_files(directory, cache_bytes)?;
    finish_erasures(&trees)?;
    let is_due = trees.meta.contains_key(COMPACTION_KEY).map_err(|error| failed(directory, &error))?;
    if !is_due {
        return Ok((db, trees));
    }
    compact::copy(&db, directory, SEGMENT_BYTES, COMPACTION_KEY).map_err(|error| failed(directory, &error))?;
    drop((db, trees));
    compact::finish_swap(directory).map_err(|error| failed(directory, &error))?;
    open_files(directory, cache_bytes)
}

fn open_files(directory: &Path, cache_bytes: u64) -> Result<(Db, Trees), StoreError> {
    let at = |error: &io::Error| failed(directory, error);
    let db = open_unlocked(directory, cache_bytes)?;
    let broken = |error: sled::Error| failed(directory, &error);
    let is_blank = Trees::are_blank(&db).map_err(broken)?;
    let format =
        if is_blank { None } else { db.open_tree("meta").and_then(|meta| meta.get(FORMAT_KEY)).map_err(broken)? };
    match format {
        Some(found) if *found == *STORE_FORMAT.to_string().as_bytes() => {
            let trees = Trees::open(&db).map_err(broken)?;
            flush_watermark::require_reached(&trees.meta, directory)?;
            Ok((db, trees))
        }
        Some(found) => Err(StoreError::OtherFormat {
            path: directory.display().to_string(),
            found: String::from_utf8_lossy(&found).into_owned(),
            supported: STORE_FORMAT,
        }),
        None if is_blank => {
            let trees = Trees::open(&db).map_err(broken)?;
            flush_watermark::require_reached(&trees.meta, directory)?;
            trees.meta.insert(FORMAT_KEY, STORE_FORMAT.to_string().as_bytes()).map_err(broken)?;
            Disk::open(db.clone(), directory)
                .map_err(|error| at(&error))?
                .sync()
                .map_err(|error| failed(directory, &error))?;
            sync_directories(directory).map_err(|error| at(&error))?;
            Ok((db, trees))
        }
        None => Err(failed(directory, &"contains a sled database that is not tactful's")),
    }
}

/// Creates the directory, but no parent: otherwise a mistyped path would start an empty store.
pub(super) fn create(directory: &Path) -> io::Result<()> {
    match std::fs::create_dir(directory) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            Err(io::Error::new(error.kind(), "the parent directory does not exist"))
        }
        result => result,
    }
}

/// Makes the settings of sled and the names of the new files durable, the directory's own included. sled never syncs its
/// settings, and a directory without them cannot be opened. They come first, so that no directory is left with names alone.
fn sync_directories(directory: &Path) -> io::Result<()> {
    File::open(directory.join("conf"))?.sync_all()?;
    File::open(directory)?.sync_all()?;
    let full = directory.canonicalize()?;
    if let Some(parent) = full.parent() {
        File::open(parent)?.sync_all()?;
    }
    Ok(())
}

/// Rejects a foreign directory before sled opens it: sled would write its files into any directory and read any file
/// called `db`.
fn require_own_directory(directory: &Path) -> Result<(), StoreError> {
    let at = |error: &io::Error| failed(directory, error);
    let mut has_log = false;
    let mut foreign = None;
    for entry in std::fs::read_dir(directory).map_err(|error| at(&error))? {
        let name = entry.map_err(|error| at(&error))?.file_name();
        match name.to_string_lossy().as_ref() {
            "db" => has_log = true,
            // An interrupted creation leaves these; a new disk volume contains the last.
            "conf" | "blobs" | "lost+found" | LOCK | flush_watermark::FILE | compact::NEXT => {}
            // The swap of a compaction is unfinished.
            compact::COMPLETE => has_log = true,
            name if name.starts_with("snap.") => {}
            name => foreign = Some(name.to_owned()),
        }
    }
    // Bytes, not text: sled ends the file with a checksum.
    let settings = std::fs::read(directory.join("conf")).unwrap_or_default();
    let has_settings = settings.windows(12).any(|part| part == b"segment_size");
    match foreign {
        Some(name) if !has_log => {
            Err(failed(directory, &format!("is not empty and contains no tactful store: {name}")))
        }
        _ if has_log && !has_settings && !directory.join(compact::COMPLETE).exists() => {
            Err(failed(directory, &"contains a file `db` that is not a tactful store"))
        }
        _ => Ok(()),
    }
}

/// Locks the directory while the store is opened or restored. The lock is released when the file is dropped.
pub(super) fn lock(directory: &Path) -> Result<File, StoreError> {
    let file = File::create(directory.join(LOCK)).map_err(|error| failed(directory, &error))?;
    for _ in 1..LOCK_ATTEMPTS {
        if file.try_lock().is_ok() {
            return Ok(file);
        }
        std::thread::sleep(LOCK_PAUSE);
    }
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(_) => Err(StoreError::Locked { path: directory.display().to_string() }),
    }
}

fn open_unlocked(directory: &Path, cache_bytes: u64) -> Result<Db, StoreError> {
    let settings = sled::Config::new().path(directory).segment_size(SEGMENT_BYTES).cache_capacity(cache_bytes);
    for attempt in 1..=LOCK_ATTEMPTS {
        match settings.open() {
            Ok(db) => return Ok(db),
            Err(error) if !is_locked(&error) => return Err(failed(directory, &error)),
            Err(_) if attempt < LOCK_ATTEMPTS => std::thread::sleep(LOCK_PAUSE),
            Err(_) => {}
        }
    }
    Err(StoreError::Locked { path: directory.display().to_string() })
}

/// Whether another process holds sled's lock. sled has no error variant for it and only says so in the message.
fn is_locked(error: &sled::Error) -> bool {
    matches!(error, sled::Error::Io(error) if error.to_string().contains("could not acquire lock"))
}

pub(super) fn failed(directory: &Path, cause: &dyn std::fmt::Display) -> StoreError {
    StoreError::Failed { detail: format!("data directory {}: {cause}", directory.display()) }
}
