//! No files import each other in a circle.
//!
//! A circle means that none of its files can be read, tested or moved without the others. The cure is a file of its own
//! for the value that two of them share, or an argument in the place of an import.
//!
//! An edge leads from a file to each file whose items it names. Test items do not count. A `mod` declaration is no import,
//! and neither is a name that `mod.rs` only lists.

use std::collections::{BTreeMap, BTreeSet};

use crate::layers::module_of;
use crate::reader::{NamedPath, Paths, tokens, without_comments_and_literals, without_test_items};
use crate::sources::{Source, sources_of_program};

type Graph = BTreeMap<String, BTreeSet<String>>;

#[test]
fn no_files_import_each_other_in_a_circle() {
    let circles = circles(&imports(&sources_of_program()));
    let listed: Vec<String> = circles.iter().map(|circle| format!("{}: {}", circle.len(), circle.join(", "))).collect();
    assert!(circles.is_empty(), "{} circles of files:\n{}", listed.len(), listed.join("\n"));
}

/// The files that each file names items of.
fn imports(sources: &[Source]) -> Graph {
    let files: BTreeMap<Vec<String>, &str> =
        sources.iter().map(|source| (module_of(&source.path), source.path.as_str())).collect();
    let mut graph = Graph::new();
    for source in sources {
        let blanked = without_comments_and_literals(&source.text);
        let tokens = without_test_items(&tokens(&blanked)).tokens;
        let paths = Paths::of(&tokens, module_of(&source.path), source.path == "main.rs");
        let targets = paths.iter().filter(|path| path.is_of_crate).filter_map(|path| file_of(path, &files));
        let others = targets.filter(|target| *target != source.path).map(str::to_owned).collect();
        graph.insert(source.path.clone(), others);
    }
    graph
}

/// The file of the longest module that a path begins with.
fn file_of<'a>(path: &NamedPath, files: &BTreeMap<Vec<String>, &'a str>) -> Option<&'a str> {
    let mut segments = path.segments.as_slice();
    while !segments.is_empty() {
        if let Some(file) = files.get(segments) {
            return Some(file);
        }
        segments = &segments[..segments.len() - 1];
    }
    None
}

/// The strongly connected components of more than one file (Tarjan, "Depth-first search and linear graph algorithms",
/// 1972), the largest first.
fn circles(graph: &Graph) -> Vec<Vec<String>> {
    let mut search =
        Search { graph, numbers: BTreeMap::new(), lows: BTreeMap::new(), stack: Vec::new(), found: Vec::new() };
    for file in graph.keys() {
        if !search.numbers.contains_key(file.as_str()) {
            search.visit(file);
        }
    }
    let mut found = search.found;
    found.sort_by_key(|circle| std::cmp::Reverse(circle.len()));
    found
}

struct Search<'a> {
    graph: &'a Graph,
    numbers: BTreeMap<&'a str, usize>,
    lows: BTreeMap<&'a str, usize>,
    stack: Vec<&'a str>,
    found: Vec<Vec<String>>,
}

impl<'a> Search<'a> {
    fn visit(&mut self, file: &'a str) {
        let number = self.numbers.len();
        self.numbers.insert(file, number);
        self.lows.insert(file, number);
        self.stack.push(file);
        for target in self.graph.get(file).into_iter().flatten() {
            let low = match self.numbers.get(target.as_str()) {
                None => {
                    self.visit(target);
                    self.lows[target.as_str()]
                }
                Some(&number) if self.stack.contains(&target.as_str()) => number,
                Some(_) => continue,
            };
            let own = self.lows.get_mut(file).expect("entered above");
            *own = low.min(*own);
        }
        if self.lows[file] == number {
            let start = self.stack.iter().position(|it| *it == file).expect("pushed above");
            let mut component: Vec<String> = self.stack.drain(start..).map(str::to_owned).collect();
            if component.len() > 1 {
                component.sort();
                self.found.push(component);
            }
        }
    }
}

// ---------------------------------------------------------------------------------------------------------------------
// The check, checked.

fn circles_of(files: &[(&str, &str)]) -> Vec<Vec<String>> {
    let sources = files.iter().map(|(path, text)| Source { path: (*path).to_owned(), text: (*text).to_owned() });
    circles(&imports(&sources.collect::<Vec<_>>()))
}

#[test]
fn two_files_that_name_each_other_are_a_circle() {
    let found = circles_of(&[
        ("store/a.rs", "use super::b::B;\npub struct A;"),
        ("store/b.rs", "fn f() -> crate::store::a::A { todo!() }"),
        ("store/c.rs", "use super::{a::A, b::B};"),
    ]);
    assert_eq!(found, [["store/a.rs", "store/b.rs"]]);
}

#[test]
fn a_circle_of_three_is_one_circle() {
    let found = circles_of(&[
        ("model/a.rs", "use super::b::B;"),
        ("model/b.rs", "use super::c::C;"),
        ("model/c.rs", "use crate::model::a::{A, self};"),
        ("model/mod.rs", "mod a;\nmod b;\nmod c;"),
    ]);
    assert_eq!(found, [["model/a.rs", "model/b.rs", "model/c.rs"]]);
}

#[test]
fn tests_and_declarations_make_no_circle() {
    let found = circles_of(&[
        ("model/a.rs", "use super::b::B;"),
        ("model/b.rs", "#[cfg(test)]\nmod tests { use crate::model::a::A; }\n/// [`super::a`]\nfn f() {}"),
        ("telemetry.rs", "pub mod call;\nuse call::Call;"),
        ("telemetry/call.rs", "use std::fmt;"),
    ]);
    assert!(found.is_empty(), "{found:?}");
}
