//! Files that a document names exist: targets of links, and paths between backticks.

use std::path::{Path, PathBuf};

use crate::sources::{Source, read_folder};

/// Endings of files that a path between backticks may name.
const EXTENSIONS: &[&str] = &["rs", "proto", "toml", "md", "py", "sh", "yaml"];

#[test]
fn documents_name_files_that_exist() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut documents: Vec<Source> = ["docs", "demo", "examples"]
        .iter()
        .flat_map(|folder| read_folder(&root.join(folder), &format!("{folder}/"), "md"))
        .collect();
    for name in ["README.md", "ARCHITECTURE.md", "CHANGELOG.md"] {
        let text = std::fs::read_to_string(root.join(name)).expect("a readable document");
        documents.push(Source { path: name.to_owned(), text });
    }
    let missing: Vec<String> =
        documents.iter().flat_map(|document| missing(document, &|path| root.join(path).exists())).collect();
    assert!(missing.is_empty(), "{} files are missing:\n{}", missing.len(), missing.join("\n"));
}

/// `document:line: path` for each path that neither the folder of the document, nor the repository, nor `src/` has.
fn missing(document: &Source, exists: &dyn Fn(&Path) -> bool) -> Vec<String> {
    let folder = Path::new(&document.path).parent().unwrap_or(Path::new(""));
    let mut missing = Vec::new();
    for (number, line) in document.text.lines().enumerate() {
        let links = link_targets(line).map(|target| (target, vec![folder.join(target)]));
        let quoted = quoted_paths(line)
            .map(|path| (path, vec![folder.join(path), PathBuf::from(path), Path::new("src").join(path)]));
        for (path, places) in links.chain(quoted) {
            if !places.iter().any(|place| exists(place)) {
                missing.push(format!("{}:{}: {path}", document.path, number + 1));
            }
        }
    }
    missing
}

/// Targets of links within the repository, without their anchors.
fn link_targets(line: &str) -> impl Iterator<Item = &str> {
    let targets = line.split("](").skip(1).filter_map(|rest| rest.split(')').next());
    let local = targets.filter(|target| !target.contains("://") && !target.starts_with('#'));
    local.map(|target| target.split('#').next().unwrap_or(target))
}

/// Paths with a folder and a known ending, between backticks. Patterns and placeholders are none.
fn quoted_paths(line: &str) -> impl Iterator<Item = &str> {
    let quoted = line.split('`').skip(1).step_by(2);
    quoted.filter(|text| {
        let is_plain = text.chars().all(|it| it.is_ascii_alphanumeric() || "/._-".contains(it));
        let extension = text.rsplit_once('.').map_or("", |(_, extension)| extension);
        is_plain && text.contains('/') && !text.starts_with('/') && EXTENSIONS.contains(&extension)
    })
}

// ---------------------------------------------------------------------------------------------------------------------
// The check, checked.

#[test]
fn missing_files_are_named_with_their_line() {
    let text =
        "See [a](a.md#x), [b](b.md), [c](https://example.org/c.md), [d](#d).\n`store/x.rs` and `store/y.rs`, `z.rs`.";
    let document = Source { path: "docs/page.md".to_owned(), text: text.to_owned() };
    let exists = |path: &Path| path == Path::new("docs/a.md") || path == Path::new("src/store/x.rs");
    assert_eq!(missing(&document, &exists), ["docs/page.md:1: b.md", "docs/page.md:2: store/y.rs"]);
}
