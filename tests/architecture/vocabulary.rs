//! Sources, protos and docs speak the field's language.
//!
//! Two rules that a machine can hold: words that this project once used in a sense of its own stay away, and a doc comment
//! begins with a noun phrase or a verb, not with a question word that leaves the sentence without a subject. The rest of
//! the language is `docs/glossary.md`.

use std::path::Path;

use crate::sources::{Source, Violation, read_folder};

/// Words and phrases that stay away, each with what to write. Matched without case, as whole words.
const OLD_WORDS: &[(&[&str], &str)] = &[
    (
        &["somebody", "nobody", "everybody", "anybody", "whoever", "whomever"],
        "the actor: client, caller, operator, customer, task, thread",
    ),
    (&["given back", "gives back", "give back", "giving back"], "release, return"),
    (&["is told", "are told", "was told", "were told", "tells of", "is told of"], "report, return, log, print"),
    (&["stands in line", "stand in line", "standing in line"], "waits in the queue"),
    (&["many-th"], "index, sequence number"),
    (&["what is held of"], "the data stored about"),
    (&["lanes", "alllanes"], "AssociationScores, SparseScores"),
    (&["asker"], "FeatureExtractor"),
    (&["likeness"], "similarity"),
    (&["shelf", "shelves"], "item group"),
    (&["newcomer", "newcomers"], "cold-start item"),
    (&["lesson", "lessons"], "training example"),
    (&["offer book", "offerbook"], "ExplicitOfferIndex"),
    (&["high water", "highwater"], "FlushWatermark"),
    (&["floor plan", "wing of", "room of the"], "layer, module"),
];

/// Words that leave a first sentence without a subject.
const HEADLESS: &[&str] = &["what", "who", "whom", "whose", "which", "why", "how", "where", "since when"];

/// Folders to check, with the ending of their files.
const FOLDERS: &[(&str, &str)] = &[("src", "rs"), ("proto", "proto"), ("docs", "md")];

#[test]
fn sources_protos_and_docs_speak_the_language_of_the_field() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut violations = Vec::new();
    for (folder, extension) in FOLDERS {
        let sources = read_folder(&root.join(folder), &format!("{folder}/"), extension);
        assert!(!sources.is_empty(), "{folder} is where it was");
        violations.extend(sources.iter().flat_map(check));
    }
    let listed: Vec<String> = violations.iter().map(ToString::to_string).collect();
    assert!(violations.is_empty(), "{} sentences to rewrite:\n{}", listed.len(), listed.join("\n"));
}

fn check(source: &Source) -> Vec<Violation> {
    let mut violations = Vec::new();
    let is_markdown = has_extension(&source.path, "md");
    let mut previous = "";
    for (number, line) in source.text.lines().enumerate() {
        let violation = |fault: String, cure: &str| Violation {
            path: source.path.clone(),
            line: number + 1,
            fault,
            cure: cure.to_owned(),
        };
        for (words, replacement) in OLD_WORDS {
            for word in words.iter().filter(|word| contains_words(line, word)) {
                violations.push(violation(format!("`{word}`"), &format!("write {replacement}")));
            }
        }
        let begins = if is_markdown { paragraph(line, previous) } else { doc_comment(line, previous, &source.path) };
        if let Some(word) = begins.and_then(headless) {
            violations.push(violation(
                format!("a first sentence that begins with `{word}`"),
                "begin with a noun phrase (\"Maximum number of ...\") or a verb (\"Returns ...\")",
            ));
        }
        previous = line;
    }
    violations
}

fn has_extension(path: &str, extension: &str) -> bool {
    Path::new(path).extension().is_some_and(|it| it == extension)
}

/// Whether the words stand in the line as they are, without case, not as a part of others.
fn contains_words(line: &str, words: &str) -> bool {
    let line = line.to_lowercase();
    let is_edge = |character: Option<char>| character.is_none_or(|it| !it.is_alphanumeric() && it != '_');
    line.match_indices(words)
        .any(|(at, _)| is_edge(line[..at].chars().next_back()) && is_edge(line[at + words.len()..].chars().next()))
}

/// The text of a doc comment's first line.
fn doc_comment<'a>(line: &'a str, previous: &str, path: &str) -> Option<&'a str> {
    let markers: &[&str] = if has_extension(path, "proto") { &["// "] } else { &["/// ", "//! "] };
    let continues = |marker: &str| previous.trim_start().starts_with(marker.trim_end());
    let marker = markers.iter().find(|marker| line.trim_start().starts_with(**marker))?;
    if continues(marker) {
        return None;
    }
    line.trim_start().strip_prefix(marker)
}

/// The first line of a paragraph or of an entry of a list.
fn paragraph<'a>(line: &'a str, previous: &str) -> Option<&'a str> {
    if let Some(entry) = line.trim_start().strip_prefix("- ") {
        return Some(entry);
    }
    (previous.trim().is_empty() && !line.starts_with('#')).then_some(line)
}

/// The question word that a sentence without a question mark begins with.
fn headless(sentence: &str) -> Option<&'static str> {
    let sentence = sentence.trim_start_matches(['*', '_', '`']).to_lowercase();
    if sentence.split_once(['.', '?']).is_some_and(|(first, _)| sentence[first.len()..].starts_with('?')) {
        return None;
    }
    HEADLESS.iter().find(|word| sentence.strip_prefix(**word).is_some_and(|rest| rest.starts_with(' '))).copied()
}

// ---------------------------------------------------------------------------------------------------------------------
// The check, checked.

fn faults(path: &str, text: &str) -> Vec<String> {
    let source = Source { path: path.to_owned(), text: text.to_owned() };
    check(&source).iter().map(|violation| format!("{}: {}", violation.line, violation.fault)).collect()
}

#[test]
fn old_words_are_found_as_whole_words() {
    assert_eq!(faults("src/x.rs", "//! Doc.\n// Nobody waits.\nlet likeness = 1;"), ["2: `nobody`", "3: `likeness`"]);
    assert_eq!(faults("docs/x.md", "The permit is given back."), ["1: `given back`"]);
    assert!(faults("src/x.rs", "//! Doc.\nlet unlikeness_x = \"bookshelves\";").is_empty());
}

#[test]
fn headless_first_sentences_are_found() {
    let text = "//! What it holds.\n\n/// Why it failed.\n/// How is not the first line.\nstruct A;\n/// Returns what it holds.";
    let expected = ["1: a first sentence that begins with `what`", "3: a first sentence that begins with `why`"];
    assert_eq!(faults("src/x.rs", text), expected);
    assert_eq!(faults("proto/x.proto", "// Who asks.\nmessage A {}"), ["1: a first sentence that begins with `who`"]);
    assert_eq!(
        faults("docs/x.md", "# What is it\n\nWhich one.\n\nWhat is it? A server."),
        ["3: a first sentence that begins with `which`"]
    );
}
