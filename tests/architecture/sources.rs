//! The sources of the program as text, and the form in which a rule reports a violation.

use std::fmt;
use std::path::Path;

/// One text file.
pub struct Source {
    /// Path below the folder that was read, with forward slashes.
    pub path: String,
    pub text: String,
}

/// A line that breaks a rule, and the cure.
pub struct Violation {
    pub path: String,
    pub line: usize,
    pub fault: String,
    pub cure: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}: {}", self.path, self.line, self.fault, self.cure)
    }
}

/// All sources of the program, by their paths below `src/`.
pub fn sources_of_program() -> Vec<Source> {
    let sources = read_folder(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), "", "rs");
    assert!(sources.len() > 10, "found only {} sources: is src/ where it was?", sources.len());
    sources
}

/// Every file with this extension below a folder, in the order of their names.
pub fn read_folder(folder: &Path, prefix: &str, extension: &str) -> Vec<Source> {
    let entries = std::fs::read_dir(folder).expect("a readable folder");
    let mut entries: Vec<_> = entries.map(|entry| entry.expect("a readable entry").path()).collect();
    entries.sort();
    let mut sources = Vec::new();
    for entry in entries {
        let name = entry.file_name().and_then(|name| name.to_str()).expect("a file name in UTF-8");
        let path = format!("{prefix}{name}");
        if entry.is_dir() {
            sources.extend(read_folder(&entry, &format!("{path}/"), extension));
        } else if entry.extension().is_some_and(|it| it == extension) {
            sources.push(Source { path, text: std::fs::read_to_string(&entry).expect("a readable source") });
        }
    }
    sources
}
