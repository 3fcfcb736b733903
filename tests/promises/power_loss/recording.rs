//! Record of a run: what strace printed of the system calls, as steps on files below one directory.

use std::collections::HashMap;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};

use super::workload;

/// Index of a file among all that were ever created.
pub type FileIndex = usize;

/// One step of the run.
#[derive(Debug, Clone)]
pub enum Step {
    CreateFile {
        path: PathBuf,
        file: FileIndex,
    },
    CreateDirectory {
        path: PathBuf,
    },
    Rename {
        from: PathBuf,
        to: PathBuf,
    },
    Remove {
        path: PathBuf,
    },
    Write {
        file: FileIndex,
        offset: u64,
        bytes: Vec<u8>,
    },
    SetLength {
        file: FileIndex,
        length: u64,
    },
    /// A sync of a file was started; it covers what was written before.
    StartSync {
        file: FileIndex,
        id: u64,
    },
    /// That sync ended.
    EndSync {
        file: FileIndex,
        id: u64,
    },
    /// The names in a directory became durable.
    SyncDirectory {
        path: PathBuf,
    },
    /// A line that the workload wrote.
    Mark(String),
}

/// All steps of a run in their order.
pub struct Recording {
    steps: Vec<Step>,
}

impl Recording {
    /// Reads the output of strace, and keeps the steps below `root`.
    pub fn read(trace: &Path, root: &Path) -> Self {
        let mut reader = TraceReader::new(root);
        let mut lines = BufReader::new(File::open(trace).expect("strace wrote it"));
        let mut line = Vec::new();
        while lines.read_until(b'\n', &mut line).expect("readable") > 0 {
            reader.read_line(std::str::from_utf8(&line).expect("strace prints ASCII").trim_end());
            line.clear();
        }
        Self { steps: reader.steps }
    }

    /// Number of syncs of files.
    pub fn syncs(&self) -> usize {
        self.steps.iter().filter(|step| matches!(step, Step::EndSync { .. })).count()
    }

    /// All steps in their order.
    pub fn steps(&self) -> impl Iterator<Item = &Step> {
        self.steps.iter()
    }
}

/// File or directory that a descriptor refers to.
#[derive(Clone)]
enum Opened {
    File { file: FileIndex, position: u64, appends: bool },
    Directory(PathBuf),
    Marks,
}

struct TraceReader {
    data: PathBuf,
    marks: PathBuf,
    steps: Vec<Step>,
    /// Calls that were interrupted by lines of other threads.
    unfinished: HashMap<String, String>,
    /// Syncs in progress, by thread.
    syncing: HashMap<String, (FileIndex, u64)>,
    syncs: u64,
    descriptors: HashMap<u64, Opened>,
    paths: HashMap<PathBuf, FileIndex>,
    files: FileIndex,
}

impl TraceReader {
    fn new(root: &Path) -> Self {
        Self {
            data: root.join(workload::DATA),
            marks: root.join(workload::MARKS),
            steps: Vec::new(),
            unfinished: HashMap::new(),
            syncing: HashMap::new(),
            syncs: 0,
            descriptors: HashMap::new(),
            paths: HashMap::new(),
            files: 0,
        }
    }

    fn read_line(&mut self, line: &str) {
        let (thread, text) = line.split_once(' ').expect("a thread and a call");
        let text = text.trim_start();
        if text.starts_with("+++") || text.starts_with("---") {
            return;
        }
        if let Some(resumed) = text.strip_prefix("<... ") {
            let (_, rest) = resumed.split_once(" resumed>").expect("the rest of a call");
            let start = self.unfinished.remove(thread).expect("a call that was started");
            self.finish(thread, &Call::parse(&format!("{start}{rest}")));
        } else if let Some(start) = text.strip_suffix("<unfinished ...>") {
            self.start(thread, &Call::parse(start));
            self.unfinished.insert(thread.to_owned(), start.trim_end().to_owned());
        } else {
            let call = Call::parse(text);
            self.start(thread, &call);
            self.finish(thread, &call);
        }
    }

    /// A sync covers what was written before it started.
    fn start(&mut self, thread: &str, call: &Call<'_>) {
        if !matches!(call.name, "fsync" | "fdatasync") {
            return;
        }
        if let Some(Opened::File { file, .. }) = self.descriptors.get(&call.number(0)) {
            self.syncs += 1;
            self.syncing.insert(thread.to_owned(), (*file, self.syncs));
            self.steps.push(Step::StartSync { file: *file, id: self.syncs });
        }
    }

    fn finish(&mut self, thread: &str, call: &Call<'_>) {
        let Some(result) = call.result else { return };
        match call.name {
            "openat" => self.open(result, &self.path(call, 0), call.arguments[2]),
            "close" => drop(self.descriptors.remove(&call.number(0))),
            "dup" | "dup2" => self.duplicate(call.number(0), result),
            "fcntl" if call.arguments[1].starts_with("F_DUPFD") => self.duplicate(call.number(0), result),
            "fcntl" => {}
            "mkdir" => self.create_directory(call.text_path(0)),
            "mkdirat" => self.create_directory(self.path(call, 0)),
            "rename" => self.rename(call.text_path(0), call.text_path(1)),
            "renameat" | "renameat2" => self.rename(self.path(call, 0), self.path(call, 2)),
            "unlink" | "rmdir" => self.remove(call.text_path(0)),
            "unlinkat" => self.remove(self.path(call, 0)),
            "write" => self.write(call.number(0), None, &call.bytes(1), result),
            "pwrite64" => self.write(call.number(0), Some(call.number(3)), &call.bytes(1), result),
            "lseek" => {
                if let Some(Opened::File { position, .. }) = self.descriptors.get_mut(&call.number(0)) {
                    *position = result;
                }
            }
            "ftruncate" => {
                if let Some(Opened::File { file, .. }) = self.descriptors.get(&call.number(0)) {
                    self.steps.push(Step::SetLength { file: *file, length: call.number(1) });
                }
            }
            "fsync" | "fdatasync" => match self.descriptors.get(&call.number(0)) {
                Some(Opened::File { .. }) => {
                    let (file, id) = self.syncing.remove(thread).expect("it was started");
                    self.steps.push(Step::EndSync { file, id });
                }
                Some(Opened::Directory(path)) => self.steps.push(Step::SyncDirectory { path: path.clone() }),
                Some(Opened::Marks) | None => {}
            },
            "mmap" => {
                let is_shared_write = call.arguments[2].contains("PROT_WRITE") && call.arguments[3].contains("SHARED");
                let is_ours = call.arguments[4].parse().is_ok_and(|number| self.descriptors.contains_key(&number));
                assert!(!(is_shared_write && is_ours), "a mapped file cannot be recorded");
            }
            other => {
                let is_ours = call.arguments[0].parse().is_ok_and(|number| self.descriptors.contains_key(&number));
                assert!(!is_ours, "{other} on a file of the store is not simulated");
            }
        }
    }

    fn open(&mut self, descriptor: u64, path: &Path, flags: &str) {
        self.descriptors.remove(&descriptor);
        if path == self.marks {
            self.descriptors.insert(descriptor, Opened::Marks);
        }
        if !path.starts_with(&self.data) && Some(path) != self.data.parent() {
            return;
        }
        let opened = match self.paths.get(path) {
            Some(&file) => {
                if flags.contains("O_TRUNC") {
                    self.steps.push(Step::SetLength { file, length: 0 });
                }
                Opened::File { file, position: 0, appends: flags.contains("O_APPEND") }
            }
            None if flags.contains("O_CREAT") => {
                let file = self.files;
                self.files += 1;
                self.paths.insert(path.to_owned(), file);
                self.steps.push(Step::CreateFile { path: path.to_owned(), file });
                Opened::File { file, position: 0, appends: flags.contains("O_APPEND") }
            }
            None => Opened::Directory(path.to_owned()),
        };
        self.descriptors.insert(descriptor, opened);
    }

    fn duplicate(&mut self, from: u64, to: u64) {
        if let Some(opened) = self.descriptors.get(&from).cloned() {
            self.descriptors.insert(to, opened);
        }
    }

    fn create_directory(&mut self, path: PathBuf) {
        if path.starts_with(&self.data) {
            self.steps.push(Step::CreateDirectory { path });
        }
    }

    fn rename(&mut self, from: PathBuf, to: PathBuf) {
        if !from.starts_with(&self.data) {
            return;
        }
        let moved: Vec<PathBuf> = self.paths.keys().filter(|path| path.starts_with(&from)).cloned().collect();
        for path in moved {
            let file = self.paths.remove(&path).expect("listed");
            let below = path.strip_prefix(&from).expect("it starts with it");
            let to = if below.as_os_str().is_empty() { to.clone() } else { to.join(below) };
            self.paths.insert(to, file);
        }
        self.steps.push(Step::Rename { from, to });
    }

    fn remove(&mut self, path: PathBuf) {
        if path.starts_with(&self.data) {
            self.paths.remove(&path);
            self.steps.push(Step::Remove { path });
        }
    }

    fn write(&mut self, descriptor: u64, offset: Option<u64>, bytes: &[u8], written: u64) {
        let bytes = &bytes[..usize::try_from(written).expect("not more than sent")];
        match self.descriptors.get_mut(&descriptor) {
            None => {}
            Some(Opened::Directory(path)) => panic!("a write to the directory {}", path.display()),
            Some(Opened::Marks) => {
                let text = std::str::from_utf8(bytes).expect("text");
                self.steps.extend(text.lines().map(|line| Step::Mark(line.to_owned())));
            }
            Some(Opened::File { file, position, appends }) => {
                assert!(!*appends, "appending is not simulated");
                let offset = offset.unwrap_or_else(|| {
                    let offset = *position;
                    *position += written;
                    offset
                });
                self.steps.push(Step::Write { file: *file, offset, bytes: bytes.to_vec() });
            }
        }
    }

    /// Path of an argument that follows the descriptor of its directory.
    fn path(&self, call: &Call<'_>, directory: usize) -> PathBuf {
        let path = call.text_path(directory + 1);
        let base = call.arguments[directory].parse().ok().and_then(|number| self.descriptors.get(&number));
        match base {
            Some(Opened::Directory(base)) => base.join(path),
            Some(Opened::File { .. } | Opened::Marks) | None => path,
        }
    }
}

/// One system call. Strings are printed in hexadecimal, so commas and parentheses only separate.
struct Call<'a> {
    name: &'a str,
    arguments: Vec<&'a str>,
    /// The result; `None` for an error.
    result: Option<u64>,
}

impl<'a> Call<'a> {
    fn parse(text: &'a str) -> Self {
        let (name, rest) = text.split_once('(').unwrap_or_else(|| panic!("not a call: {text:.200}"));
        let (arguments, result) = match rest.rsplit_once(" = ") {
            Some((arguments, result)) => (arguments.trim_end().trim_end_matches(')'), result),
            None => (rest, ""),
        };
        let result = result.split(' ').next().and_then(|number| number.parse().ok());
        Self { name, arguments: arguments.split(", ").collect(), result }
    }

    fn number(&self, argument: usize) -> u64 {
        self.arguments.get(argument).and_then(|number| number.trim().parse().ok()).unwrap_or(u64::MAX)
    }

    fn bytes(&self, argument: usize) -> Vec<u8> {
        let text = self.arguments[argument];
        assert!(!text.ends_with("..."), "strace shortened a write");
        let digits = text.trim_matches('"').as_bytes();
        let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok()).expect("hex");
        digits.chunks_exact(4).map(|byte| digit(byte[2]) << 4 | digit(byte[3])).collect()
    }

    fn text_path(&self, argument: usize) -> PathBuf {
        PathBuf::from(String::from_utf8(self.bytes(argument)).expect("a path in UTF-8"))
    }
}
