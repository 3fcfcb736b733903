//! A disk that forgets what was not synced: contents of files, and names in directories.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::recording::{FileIndex, Step};

/// Fate of the writes that were not synced when the power failed.
#[derive(Debug, Clone, Copy)]
pub enum UnsyncedWrites {
    Lost,
    /// Each write, sector by sector, is kept or lost at random.
    SomeKept {
        seed: u64,
    },
}

const SECTOR_BYTES: usize = 512;

#[derive(Debug, Clone)]
enum Change {
    Write { offset: u64, bytes: Vec<u8> },
    SetLength(u64),
}

#[derive(Debug, Default)]
struct SimulatedFile {
    durable: Vec<u8>,
    unsynced: Vec<Change>,
    /// Number of unsynced changes that each sync in progress covers.
    syncing: BTreeMap<u64, usize>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Entry {
    File(FileIndex),
    Directory,
}

/// State of the directory of a store, on disk and in the page cache.
pub struct SimulatedDisk {
    root: PathBuf,
    files: BTreeMap<FileIndex, SimulatedFile>,
    names: BTreeMap<PathBuf, Entry>,
    durable_names: BTreeMap<PathBuf, Entry>,
}

impl SimulatedDisk {
    pub fn new(root: &Path) -> Self {
        Self { root: root.to_owned(), files: BTreeMap::new(), names: BTreeMap::new(), durable_names: BTreeMap::new() }
    }

    pub fn apply(&mut self, step: &Step) {
        match step {
            Step::CreateFile { path, file } => {
                self.files.insert(*file, SimulatedFile::default());
                self.names.insert(path.clone(), Entry::File(*file));
            }
            Step::CreateDirectory { path } => drop(self.names.insert(path.clone(), Entry::Directory)),
            Step::Rename { from, to } => {
                let moved: Vec<(PathBuf, Entry)> = self
                    .names
                    .iter()
                    .filter(|(path, _)| path.starts_with(from))
                    .map(|(a, b)| (a.clone(), *b))
                    .collect();
                for (path, entry) in moved {
                    self.names.remove(&path);
                    let below = path.strip_prefix(from).expect("it starts with it");
                    let to = if below.as_os_str().is_empty() { to.clone() } else { to.join(below) };
                    self.names.insert(to, entry);
                }
            }
            Step::Remove { path } => drop(self.names.remove(path)),
            Step::Write { file, offset, bytes } => {
                let change = Change::Write { offset: *offset, bytes: bytes.clone() };
                self.file(*file).unsynced.push(change);
            }
            Step::SetLength { file, length } => self.file(*file).unsynced.push(Change::SetLength(*length)),
            Step::StartSync { file, id } => {
                let file = self.file(*file);
                file.syncing.insert(*id, file.unsynced.len());
            }
            Step::EndSync { file, id } => self.file(*file).end_sync(*id),
            Step::SyncDirectory { path } => {
                let is_in = |name: &PathBuf| name.parent() == Some(path);
                self.durable_names.retain(|name, _| !is_in(name));
                let names = self.names.iter().filter(|(name, _)| is_in(name));
                self.durable_names.extend(names.map(|(name, entry)| (name.clone(), *entry)));
            }
            Step::Mark(_) => {}
        }
    }

    /// Writes the files as they are after a power loss. A directory whose name was not synced is missing with all that is in
    /// it.
    pub fn write_to(&self, target: &Path, unsynced: UnsyncedWrites) {
        let mut random = match unsynced {
            UnsyncedWrites::Lost => None,
            UnsyncedWrites::SomeKept { seed } => Some(Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)),
        };
        for (path, entry) in &self.durable_names {
            let below = path.strip_prefix(&self.root).expect("all paths are below the root");
            let path = target.join(below);
            match entry {
                Entry::Directory => std::fs::create_dir_all(&path).expect("a directory"),
                Entry::File(file) => {
                    if path.parent().is_some_and(Path::exists) {
                        let content = self.files[file].content(random.as_mut());
                        std::fs::write(&path, content).expect("a file");
                    }
                }
            }
        }
    }

    fn file(&mut self, file: FileIndex) -> &mut SimulatedFile {
        self.files.get_mut(&file).expect("it was created")
    }
}

impl SimulatedFile {
    fn end_sync(&mut self, id: u64) {
        let covered = self.syncing.remove(&id).expect("it was started");
        for change in self.unsynced.drain(..covered) {
            apply(&mut self.durable, &change);
        }
        for other in self.syncing.values_mut() {
            *other = other.saturating_sub(covered);
        }
    }

    fn content(&self, random: Option<&mut Random>) -> Vec<u8> {
        let mut content = self.durable.clone();
        let Some(random) = random else { return content };
        for change in &self.unsynced {
            match change {
                Change::SetLength(_) => {
                    if random.next_bool() {
                        apply(&mut content, change);
                    }
                }
                Change::Write { offset, bytes } => {
                    for (number, sector) in bytes.chunks(SECTOR_BYTES).enumerate() {
                        if random.next_bool() {
                            let offset = offset + (number * SECTOR_BYTES) as u64;
                            apply(&mut content, &Change::Write { offset, bytes: sector.to_vec() });
                        }
                    }
                }
            }
        }
        content
    }
}

fn apply(content: &mut Vec<u8>, change: &Change) {
    let index = |offset: u64| usize::try_from(offset).expect("it fits the memory");
    match change {
        Change::SetLength(length) => content.resize(index(*length), 0),
        Change::Write { offset, bytes } => {
            let (start, end) = (index(*offset), index(*offset) + bytes.len());
            if content.len() < end {
                content.resize(end, 0);
            }
            content[start..end].copy_from_slice(bytes);
        }
    }
}

/// xorshift64.
struct Random(u64);

impl Random {
    fn next_bool(&mut self) -> bool {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 & 1 == 1
    }
}
