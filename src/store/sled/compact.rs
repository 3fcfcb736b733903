//! Compaction: rewrites the files of the store, so that no byte of an erased customer is left in them.
//!
//! sled's log retains overwritten and removed values until it reuses their segment, at a time that cannot be predicted. So
//! the first start after an erasure copies all live records into fresh files beside the old ones and swaps them:
//!
//! 1. All records are copied into `next/` and synced. A crash until here leaves a `next/` that the next start removes.
//! 2. `next.complete` with the names of the new files is written and synced: from here on the new files are the store.
//! 3. Each new file replaces the old one, old files without a replacement are removed, then `next.complete` is. After a
//!    crash in between, the next start finishes the swap.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::Instant;

use sled::Db;

use super::committer::{Disk, SyncError};

/// Directory of the new files.
pub(super) const NEXT: &str = "next";
/// Marker file that says that the new files are complete; it lists their names.
pub(super) const COMPLETE: &str = "next.complete";

/// Error returned by a compaction.
#[derive(Debug, thiserror::Error)]
#[error("compaction failed: {0}")]
pub(super) enum CompactionError {
    Database(#[from] sled::Error),
    Files(#[from] io::Error),
    Sync(#[from] SyncError),
}

/// Copies all records of a database into fresh files in `next/`, except one key of `meta`.
pub(super) fn copy(
    db: &Db,
    directory: &Path,
    segment_bytes: usize,
    skipped_meta_key: &str,
) -> Result<(), CompactionError> {
    let started = Instant::now();
    let next = directory.join(NEXT);
    remove(&next)?;
    let copy = sled::Config::new().path(&next).segment_size(segment_bytes).open()?;
    let mut records = 0_u64;
    for name in db.tree_names().into_iter().filter(|name| *name != b"__sled__default"[..]) {
        let (from, to) = (db.open_tree(&name)?, copy.open_tree(&name)?);
        for record in &from {
            let (key, value) = record?;
            if name == b"meta"[..] && *key == *skipped_meta_key.as_bytes() {
                continue;
            }
            to.insert(key, value)?;
            records += 1;
        }
    }
    Disk::open(copy.clone(), &next)?.sync()?;
    drop(copy);
    mark_complete(directory, &next)?;
    tracing::info!(records, seconds = started.elapsed().as_secs_f64(), "compaction after erasures finished");
    Ok(())
}

/// Syncs the files in `next/`, then writes the marker that says that they are complete.
pub(super) fn mark_complete(directory: &Path, next: &Path) -> io::Result<()> {
    let mut names = Vec::new();
    for entry in fs::read_dir(next)? {
        let entry = entry?;
        // The empty directory of large values; sled creates it again when needed.
        if entry.file_type()?.is_dir() && fs::read_dir(entry.path())?.next().is_none() {
            continue;
        }
        sync_all(&entry.path())?;
        names.push(entry.file_name().to_string_lossy().into_owned());
    }
    File::open(next)?.sync_all()?;
    let mut marker = File::create(directory.join(COMPLETE))?;
    marker.write_all(names.join("\n").as_bytes())?;
    marker.sync_all()?;
    File::open(directory)?.sync_all()
}

/// Finishes a swap that a crash interrupted, or removes an incomplete copy.
pub(super) fn finish_swap(directory: &Path) -> io::Result<()> {
    let (next, marker) = (directory.join(NEXT), directory.join(COMPLETE));
    let names = match fs::read_to_string(&marker) {
        Ok(names) => names,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return remove(&next),
        Err(error) => return Err(error),
    };
    let names: Vec<&str> = names.lines().collect();
    for name in &names {
        let (from, to) = (next.join(name), directory.join(name));
        // A file that is missing was moved before the crash.
        if from.exists() {
            remove(&to)?;
            fs::rename(&from, &to)?;
        }
    }
    for entry in fs::read_dir(directory)? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        // Old files of sled without a replacement are removed. The flush watermark stays: its number was copied with the
        // other records.
        let is_ours = ["db", "conf", "blobs"].contains(&name.as_str()) || name.starts_with("snap.");
        if is_ours && !names.contains(&name.as_str()) {
            remove(&directory.join(name))?;
        }
    }
    remove(&next)?;
    File::open(directory)?.sync_all()?;
    remove(&marker)?;
    File::open(directory)?.sync_all()
}

/// Removes a file, or a directory with its contents; succeeds when there is none.
pub(super) fn remove(path: &PathBuf) -> io::Result<()> {
    let removed = if path.is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) };
    match removed {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        removed => removed,
    }
}

fn sync_all(path: &Path) -> io::Result<()> {
    if path.is_dir() {
        for entry in fs::read_dir(path)? {
            sync_all(&entry?.path())?;
        }
    }
    File::open(path)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(directory: &Path, names: &[&str], content: &str) {
        fs::create_dir_all(directory).expect("a folder");
        for name in names {
            fs::write(directory.join(name), content).expect("a file");
        }
    }

    fn assert_only_new_files(directory: &Path) {
        let mut found: Vec<(String, String)> = fs::read_dir(directory)
            .expect("a folder")
            .map(|entry| entry.expect("an entry").path())
            .map(|path| {
                let name = path.file_name().expect("a name").to_string_lossy().into_owned();
                (name, fs::read_to_string(path).expect("a file"))
            })
            .collect();
        found.sort();
        let expected = ["conf", "db", "snap.2"].map(|name| (name.to_owned(), "new".to_owned()));
        assert_eq!(found, expected);
    }

    /// Covers every number of moved files that a crash may leave behind. Broken by: removing the old files first.
    #[test]
    fn interrupted_swap_is_finished() {
        for moved in 0..=3 {
            let directory = tempfile::tempdir().expect("a folder");
            let (directory, next) = (directory.path(), directory.path().join(NEXT));
            let names = ["conf", "db", "snap.2"];
            write(directory, &["conf", "db", "snap.1"], "old");
            write(&next, &names[moved..], "new");
            write(directory, &names[..moved], "new");
            fs::write(directory.join(COMPLETE), names.join("\n")).expect("a marker");
            finish_swap(directory).expect("finishes");
            assert_only_new_files(directory);
            finish_swap(directory).expect("nothing is left to do");
            assert_only_new_files(directory);
        }
    }

    #[test]
    fn incomplete_copy_is_removed() {
        let directory = tempfile::tempdir().expect("a folder");
        write(directory.path(), &["conf", "db", "snap.2"], "new");
        write(&directory.path().join(NEXT), &["db"], "half");
        finish_swap(directory.path()).expect("removes it");
        assert_only_new_files(directory.path());
    }
}
