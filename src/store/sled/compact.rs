//! Rewrites the files of the store, so that nothing is left of what was erased.
//!
//! sled's log keeps what was overwritten or removed until it happens to reuse the place; nobody can tell when. So the first
//! start after an erasure copies everything that is there into fresh files beside the old ones and swaps them:
//!
//! 1. Everything is copied into `next/` and synced. A crash until here leaves a `next/` that the next start removes.
//! 2. `next.complete` with the names of the new files is written and synced: from here on the new files count.
//! 3. Each new file takes the place of the old one, old files without a successor are removed, then `next.complete` is. A crash
//!    in between is finished by the next start.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::Instant;

use sled::Db;

use super::committer::Disk;

/// Where the copy is made.
pub(super) const NEXT: &str = "next";
/// Says that the copy is whole.
pub(super) const COMPLETE: &str = "next.complete";

/// Copies all that is in a database into fresh files in `next/`, but for one key of `meta`.
pub(super) fn copy(db: &Db, directory: &Path, segment_bytes: usize, left_out: &str) -> Result<(), String> {
    let started = Instant::now();
    let next = directory.join(NEXT);
    remove(&next).map_err(|error| error.to_string())?;
    let told = |error: sled::Error| error.to_string();
    let copy = sled::Config::new().path(&next).segment_size(segment_bytes).open().map_err(told)?;
    let mut records = 0_u64;
    for name in db.tree_names().into_iter().filter(|name| *name != b"__sled__default"[..]) {
        let (from, to) = (db.open_tree(&name).map_err(told)?, copy.open_tree(&name).map_err(told)?);
        for record in &from {
            let (key, value) = record.map_err(told)?;
            if name == b"meta"[..] && *key == *left_out.as_bytes() {
                continue;
            }
            to.insert(key, value).map_err(told)?;
            records += 1;
        }
    }
    Disk::open(copy.clone(), &next).map_err(|error| error.to_string())?.sync()?;
    drop(copy);
    mark_complete(directory, &next).map_err(|error| error.to_string())?;
    tracing::info!(records, seconds = started.elapsed().as_secs_f64(), "rewrote the store after erasures");
    Ok(())
}

/// Says that what is in `next/` is whole, once all of it is on disk.
pub(super) fn mark_complete(directory: &Path, next: &Path) -> io::Result<()> {
    let mut names = Vec::new();
    for entry in fs::read_dir(next)? {
        let entry = entry?;
        // An empty folder of large values; a fresh one is made when needed.
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

/// Finishes a swap that a crash interrupted, or removes a copy that was never whole.
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
        // What is not there any more has taken its place already.
        if from.exists() {
            remove(&to)?;
            fs::rename(&from, &to)?;
        }
    }
    for entry in fs::read_dir(directory)? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        // What is not among the new files goes, but for the number of the last flush, which was copied with the rest.
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

/// Removes a file or a folder with all in it, if there is one.
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

    fn is_new(directory: &Path) {
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

    /// After every number of steps that a crash may leave behind. Broken by: the old files removed first.
    #[test]
    fn a_swap_that_was_interrupted_is_finished() {
        for moved in 0..=3 {
            let directory = tempfile::tempdir().expect("a folder");
            let (directory, next) = (directory.path(), directory.path().join(NEXT));
            let names = ["conf", "db", "snap.2"];
            write(directory, &["conf", "db", "snap.1"], "old");
            write(&next, &names[moved..], "new");
            write(directory, &names[..moved], "new");
            fs::write(directory.join(COMPLETE), names.join("\n")).expect("a marker");
            finish_swap(directory).expect("finishes");
            is_new(directory);
            finish_swap(directory).expect("nothing is left to do");
            is_new(directory);
        }
    }

    #[test]
    fn a_copy_that_was_never_whole_is_removed() {
        let directory = tempfile::tempdir().expect("a folder");
        write(directory.path(), &["conf", "db", "snap.2"], "new");
        write(&directory.path().join(NEXT), &["db"], "half");
        finish_swap(directory.path()).expect("removes it");
        is_new(directory.path());
    }
}
