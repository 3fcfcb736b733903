//! The layers of `src/lib.rs`: the modules that each module may import, the crates that it may name, and what a pure
//! module must not use.
//!
//! Comments, strings and `#[cfg(test)]` items do not count. A macro that builds a path out of pieces escapes the check.
//!
//! When it fails, either the code is in the wrong module or the plan has changed. A changed plan changes [`MODULES`], the
//! drawing in `src/lib.rs` and `ARCHITECTURE.md` in the same commit.

use std::collections::BTreeSet;
use std::path::Path;

use crate::reader::{
    NamedPath, Paths, Token, Untested, closing, tokens, without_comments_and_literals, without_test_items,
};
use crate::sources::{Source, Violation, sources_of_program};

/// A top-level module of `src/` and what it may import from the crate; itself it may always.
struct Module {
    name: &'static str,
    may_import: &'static [&'static str],
}

/// Imports point down, and no module of layer 2 imports another. Only `server` sees which stores there are.
const MODULES: &[Module] = &[
    Module { name: "domain", may_import: &[] },
    Module { name: "telemetry", may_import: &[] },
    Module { name: "decision", may_import: &["domain"] },
    Module { name: "store", may_import: &["domain"] },
    Module { name: "model", may_import: &["domain"] },
    Module { name: "ingest", may_import: &["domain"] },
    Module { name: "measurement", may_import: &["domain"] },
    Module { name: "policy_document", may_import: &["domain"] },
    Module { name: "export", may_import: &["domain"] },
    Module { name: "wording", may_import: &["domain"] },
    Module { name: "config", may_import: &["domain", "policy_document", "telemetry"] },
    Module {
        name: "use_cases",
        may_import: &[
            "domain",
            "decision",
            "store::contract",
            "store::backup",
            "model",
            "measurement",
            "policy_document",
            "telemetry",
        ],
    },
    Module { name: "evaluation", may_import: &["domain", "decision", "model", "measurement", "ingest"] },
    Module { name: "simulation", may_import: &["domain", "decision", "measurement"] },
    // The store's error only, which the use cases pass on.
    Module {
        name: "grpc",
        may_import: &[
            "domain",
            "measurement",
            "policy_document",
            "use_cases",
            // Sentences, which nothing below may know.
            "wording",
            "store::contract::error",
            // Roles of callers.
            "config::access",
            // How much of the server a call may use.
            "config::settings::CallLimits",
            "telemetry",
        ],
    },
    Module { name: "server", may_import: &["domain", "store", "model", "config", "use_cases", "grpc"] },
    Module { name: "cli", may_import: BELOW_CLI },
    Module { name: "main", may_import: BELOW_CLI },
    Module { name: "lib", may_import: &[] },
];
const BELOW_CLI: &[&str] = &[
    "domain",
    // The backup format, to check a backup that is received.
    "store::backup",
    "model",
    "ingest",
    "policy_document",
    "config",
    "use_cases",
    "evaluation",
    "simulation",
    "export",
    "grpc",
    "server",
    "cli",
    "telemetry",
];

/// A crate, or a family of crates `name_...`, that only these modules may name.
const CRATES_OF_MODULES: &[(&str, &[&str])] = &[
    ("tonic", &["grpc", "server", "cli"]),
    ("prost", &["grpc", "cli"]),
    ("jsonwebtoken", &["grpc"]),
    ("rustls", &["server", "store"]),
    ("webpki", &["server"]),
    ("sled", &["store"]),
    ("parquet", &["export"]),
    ("faer", &["model"]),
    ("forust_ml", &["model"]),
    ("rustix", &["use_cases"]),
    ("opentelemetry", &["telemetry"]),
    ("tracing_opentelemetry", &["telemetry"]),
];

/// Modules of plain computation.
const WITHOUT_ASYNC: &[&str] = &["domain", "decision", "model", "ingest", "measurement", "policy_document", "wording"];
/// Modules to which everything comes as an argument, `now` and the random generator included.
const PURE: &[&str] = &["domain", "decision", "model", "measurement", "policy_document", "wording"];
const IMPURE_PATHS: &[&[&str]] = &[
    &["std", "fs"],
    &["std", "time", "SystemTime"],
    &["SystemTime"],
    &["Instant", "now"],
    &["std", "time", "Instant", "now"],
    &["rand"],
    &["fastrand"],
    &["getrandom"],
    &["Uuid", "new_v4"],
    &["uuid", "Uuid", "new_v4"],
];

/// Names that say nothing about what is inside.
const NAMELESS: &[&str] = &["util", "utils", "common", "helper", "helpers", "misc"];

#[test]
fn every_source_keeps_to_the_layers() {
    let sources = sources_of_program();
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml");
    let manifest = std::fs::read_to_string(manifest).expect("a readable Cargo.toml");

    let violations = check(&sources, &dependencies(&manifest));

    let listed: Vec<String> = violations.iter().map(ToString::to_string).collect();
    assert!(violations.is_empty(), "{} violations of the layers:\n{}", listed.len(), listed.join("\n"));
}

/// An allowance that nothing uses says less about the plan than its absence.
#[test]
fn every_allowance_is_used() {
    let unused = unused_allowances(&sources_of_program());
    assert!(unused.is_empty(), "allowances that nothing uses, to be removed: {}", unused.join(", "));
}

/// Modules that another may import and does not, and crates that it may name and does not.
fn unused_allowances(sources: &[Source]) -> Vec<String> {
    let blanked: Vec<String> = sources.iter().map(|source| without_comments_and_literals(&source.text)).collect();
    let files: Vec<File> = sources.iter().zip(&blanked).map(|(source, blanked)| File::read(source, blanked)).collect();
    let names = |module: &str, wanted: &dyn Fn(&NamedPath) -> bool| {
        files.iter().filter(|file| file.top_module_name() == module).any(|file| file.paths.iter().any(wanted))
    };
    let mut unused = Vec::new();
    for module in MODULES {
        // The binary's root and its commands share one list.
        let importers = if module.may_import == BELOW_CLI { vec!["cli", "main"] } else { vec![module.name] };
        for allowed in module.may_import {
            let segments: Vec<&str> = allowed.split("::").collect();
            let is_wanted = |path: &NamedPath| path.is_of_crate && begins_with(&path.segments, &segments);
            if !importers.iter().any(|importer| names(importer, &is_wanted)) {
                unused.push(format!("{} may import {allowed}", module.name));
            }
        }
    }
    for (family, modules) in CRATES_OF_MODULES {
        let is_wanted =
            |path: &NamedPath| !path.is_of_crate && path.segments.first().is_some_and(|it| is_of_family(it, family));
        let unused_by = modules.iter().filter(|module| !names(module, &is_wanted));
        unused.extend(unused_by.map(|module| format!("{module} may name {family}")));
    }
    unused
}

fn is_of_family(name: &str, family: &str) -> bool {
    name.strip_prefix(family).is_some_and(|rest| rest.is_empty() || rest.starts_with('_'))
}

/// The crates that a manifest depends on, as the code writes them.
fn dependencies(manifest: &str) -> BTreeSet<String> {
    let mut crates = BTreeSet::new();
    let mut is_in_dependencies = false;
    for line in manifest.lines() {
        if let Some(section) = line.strip_prefix('[') {
            is_in_dependencies = section.trim_end().ends_with("dependencies]");
            // The other way to write one: a section of its own.
            if let Some((_, name)) = section.trim_end_matches(']').split_once("dependencies.") {
                crates.insert(name.replace('-', "_"));
            }
        } else if let Some((name, _)) = line.split_once('=').filter(|_| is_in_dependencies) {
            let name = name.trim().split('.').next().unwrap_or_default();
            if !name.starts_with('#') {
                crates.insert(name.replace('-', "_"));
            }
        }
    }
    crates.remove("tactful");
    crates
}

// ---------------------------------------------------------------------------------------------------------------------
// The rules.

fn check(sources: &[Source], crates: &BTreeSet<String>) -> Vec<Violation> {
    let blanked: Vec<String> = sources.iter().map(|source| without_comments_and_literals(&source.text)).collect();
    let files: Vec<File> = sources.iter().zip(&blanked).map(|(source, blanked)| File::read(source, blanked)).collect();
    let test_modules: BTreeSet<Vec<String>> = files.iter().flat_map(|file| file.test_modules.clone()).collect();
    let mut violations = Vec::new();
    for file in &files {
        check_name(file, &mut violations);
        check_opening(file, &mut violations);
        if is_inside(&file.module, &test_modules) {
            continue;
        }
        if ["mod", "lib"].contains(&file.stem()) {
            check_table_of_contents(file, &mut violations);
        }
        check_imports(file, &mut violations);
        check_crates(file, crates, &mut violations);
        check_async(file, &mut violations);
        check_purity(file, &mut violations);
    }
    violations
}

fn is_inside(module: &[String], modules: &BTreeSet<Vec<String>>) -> bool {
    (1..=module.len()).any(|length| modules.contains(&module[..length]))
}

fn check_name(file: &File, violations: &mut Vec<Violation>) {
    for name in file.source.path.trim_end_matches(".rs").split('/').filter(|name| NAMELESS.contains(name)) {
        violations.push(file.violation(
            1,
            format!("the name `{name}` says nothing"),
            "a module is missing: name it after what the code is about",
        ));
    }
    if file.top_module().is_none() {
        violations.push(file.violation(
            1,
            format!("`{}` is no module of the plan", file.top_module_name()),
            "move the code into a module of the plan, or add it to MODULES, to the drawing in src/lib.rs and to ARCHITECTURE.md",
        ));
    }
}

fn check_opening(file: &File, violations: &mut Vec<Violation>) {
    // The binary's root says in its one call what it does.
    if file.source.path != "main.rs" && !file.source.text.starts_with("//!") {
        violations.push(file.violation(
            1,
            "the file does not open with `//!`".to_owned(),
            "say what the module is for, what it deliberately does not do, and what to know before changing it",
        ));
    }
}

/// `mod.rs` and `lib.rs` hold docs, attributes and `mod` lines.
fn check_table_of_contents(file: &File, violations: &mut Vec<Violation>) {
    let tokens = &file.tokens;
    let mut at = 0;
    while at < tokens.len() {
        let text = |offset: usize| tokens.get(at + offset).map_or("", |token| token.text);
        match text(0) {
            "#" => {
                let bracket = if text(1) == "!" { at + 2 } else { at + 1 };
                at = closing(tokens, bracket) + 1;
            }
            "pub" if text(1) == "(" => at = closing(tokens, at + 1) + 1,
            "pub" => at += 1,
            "mod" if text(2) == ";" => at += 3,
            _ => {
                violations.push(file.violation(
                    tokens[at].line,
                    format!("`{}` in a table of contents", text(0)),
                    "mod.rs and lib.rs hold docs, attributes and `mod name;` lines: move the rest into a file with a \
                     name, and import it from there",
                ));
                return;
            }
        }
    }
}

fn check_imports(file: &File, violations: &mut Vec<Violation>) {
    let Some(module) = file.top_module() else { return };
    for path in file.paths.iter().filter(|path| path.is_of_crate) {
        let Some(target) = path.segments.first() else { continue };
        let may_import = |allowed: &str| begins_with(&path.segments, &allowed.split("::").collect::<Vec<_>>());
        if target == module.name || module.may_import.iter().any(|allowed| may_import(allowed)) {
            continue;
        }
        let allowed = match module.may_import {
            [] => "nothing else of the crate".to_owned(),
            modules => format!("only {}", modules.join(", ")),
        };
        violations.push(file.violation(
            path.line,
            format!("`{}` names crate::{}", module.name, path.segments.join("::")),
            format!(
                "it may import {allowed}: move what both need down to the lowest module that uses it, or take it as an \
                 argument"
            ),
        ));
    }
}

fn check_crates(file: &File, crates: &BTreeSet<String>, violations: &mut Vec<Violation>) {
    let module = file.top_module_name();
    for path in file.paths.iter().filter(|path| !path.is_of_crate) {
        let Some(name) = path.segments.first().filter(|name| crates.contains(*name)) else { continue };
        if module == "domain" {
            violations.push(file.violation(
                path.line,
                format!("`domain` names the crate {name}"),
                "the nouns know the standard library only: convert in the module that needs the crate",
            ));
        }
        for (family, modules) in CRATES_OF_MODULES {
            if is_of_family(name, family) && !modules.contains(&module) {
                violations.push(file.violation(
                    path.line,
                    format!("`{module}` names the crate {name}"),
                    format!("only {} may: convert there", modules.join(", ")),
                ));
            }
        }
    }
}

fn check_async(file: &File, violations: &mut Vec<Violation>) {
    if !WITHOUT_ASYNC.contains(&file.top_module_name()) {
        return;
    }
    for token in file.tokens.iter().filter(|token| ["async", "await"].contains(&token.text)) {
        violations.push(file.violation(
            token.line,
            format!("`{}` in `{}`", token.text, file.top_module_name()),
            "this module computes and never waits: load before the call and save after it, in use_cases",
        ));
    }
}

fn check_purity(file: &File, violations: &mut Vec<Violation>) {
    if !PURE.contains(&file.top_module_name()) {
        return;
    }
    for path in file.paths.iter().filter(|path| !path.is_of_crate) {
        if IMPURE_PATHS.iter().any(|impure| begins_with(&path.segments, impure)) {
            violations.push(file.violation(
                path.line,
                format!("`{}` reaches for {}", file.top_module_name(), path.segments.join("::")),
                "no files, no clock and no hidden randomness here: take the content, `now` or the generator as an \
                 argument",
            ));
        }
    }
}

fn begins_with(segments: &[String], prefix: &[&str]) -> bool {
    segments.len() >= prefix.len() && segments.iter().zip(prefix).all(|(segment, prefix)| segment == prefix)
}

/// A source, read.
struct File<'a> {
    source: &'a Source,
    /// The file's own place in the crate: `["store", "contract"]`.
    module: Vec<String>,
    /// What is left without comments, literals and test items.
    tokens: Vec<Token<'a>>,
    /// Every path that the tokens name.
    paths: Vec<NamedPath>,
    /// Modules declared under `#[cfg(test)]` that have a file of their own.
    test_modules: Vec<Vec<String>>,
}

impl<'a> File<'a> {
    fn read(source: &'a Source, blanked: &'a str) -> Self {
        let module = module_of(&source.path);
        let Untested { tokens, test_modules } = without_test_items(&tokens(blanked));
        let inside = |name: String| module.iter().cloned().chain([name]).collect();
        let test_modules = test_modules.into_iter().map(inside).collect();
        let paths = Paths::of(&tokens, module.clone(), source.path == "main.rs");
        Self { source, module, tokens, paths, test_modules }
    }

    fn stem(&self) -> &str {
        let name = self.source.path.rsplit('/').next().unwrap_or_default();
        name.trim_end_matches(".rs")
    }

    fn top_module_name(&self) -> &str {
        self.source.path.split('/').next().unwrap_or_default().trim_end_matches(".rs")
    }

    fn top_module(&self) -> Option<&'static Module> {
        MODULES.iter().find(|module| module.name == self.top_module_name())
    }

    fn violation(&self, line: usize, fault: String, cure: impl Into<String>) -> Violation {
        Violation { path: self.source.path.clone(), line, fault, cure: cure.into() }
    }
}

pub fn module_of(path: &str) -> Vec<String> {
    let mut module: Vec<String> = path.trim_end_matches(".rs").split('/').map(str::to_owned).collect();
    if module.last().is_some_and(|last| ["mod", "lib", "main"].contains(&last.as_str())) {
        module.pop();
    }
    module
}

// ---------------------------------------------------------------------------------------------------------------------
// The checker, checked.

/// What the checker says of one file, each violation as `line: fault`.
fn faults(path: &str, body: &str) -> Vec<String> {
    let text = if body.starts_with("//!") { body.to_owned() } else { format!("//! Doc.\n{body}") };
    let crates = ["tonic", "tonic_health", "prost", "serde", "sled", "rand", "csv"].map(str::to_owned);
    let violations = check(&[Source { path: path.to_owned(), text }], &BTreeSet::from(crates));
    violations.iter().map(|violation| format!("{}: {}", violation.line, violation.fault)).collect()
}

fn assert_faults(path: &str, body: &str, expected: &[&str]) {
    assert_eq!(faults(path, body), expected, "{path}:\n{body}");
}

#[test]
fn imports_down_are_free() {
    for (path, body) in [
        ("domain/money.rs", "use super::ids::ProductId;\nuse crate::domain::time::Timestamp;\nuse std::fmt;"),
        ("decision/decide.rs", "use crate::domain::{ids::{self, OfferId}, policy::Policy};\nuse super::holds::hold;"),
        ("store/sled/db.rs", "use crate::store::contract::Store;\nuse sled::Db;\nuse super::super::codec::encode;"),
        ("use_cases/serve_offers.rs", "use crate::store::contract::{Store, Versioned};\nuse crate::model::rank::rank;"),
        ("grpc/convert.rs", "use tonic::Status;\nfn f() -> crate::use_cases::app::Tactful { todo!() }"),
        ("server.rs", "use crate::store::sled::SledStore;\nuse tonic_health::server::health_reporter;"),
        ("main.rs", "fn main() { tactful::cli::run::run() }"),
        ("cli/serve.rs", "use crate::server;\nuse crate::store::backup::reader::BackupReader;"),
    ] {
        assert_faults(path, body, &[]);
    }
}

#[test]
fn imports_up_and_sideways_are_named() {
    for (path, body, target) in [
        ("domain/offer.rs", "use crate::decision::decide;", "decision::decide"),
        ("decision/decide.rs", "use crate::{domain::offer::Offer, model::rank};", "model::rank"),
        ("decision/x.rs", "mod inner { use super::super::super::store::contract; }", "store::contract"),
        ("model/train.rs", "fn f() { crate::store::memory::open() }", "store::memory::open"),
        ("store/codec.rs", "use super::super::model::artifact;", "model::artifact"),
        ("ingest/rows.rs", "use super::super::use_cases as verbs;", "use_cases"),
        ("use_cases/train_model.rs", "use crate::store::sled::SledStore;", "store::sled::SledStore"),
        ("use_cases/train_model.rs", "use crate::store::{self};", "store"),
        ("grpc/convert.rs", "use crate::decision::caps;", "decision::caps"),
        ("config.rs", "use crate::server::Server;", "server::Server"),
        ("cli/serve.rs", "use crate::store::memory::MemoryStore;", "store::memory::MemoryStore"),
        ("main.rs", "use tactful::store::sled::SledStore;", "store::sled::SledStore"),
    ] {
        let module = path.split(['/', '.']).next().unwrap_or_default();
        assert_faults(path, body, &[&format!("2: `{module}` names crate::{target}")]);
    }
}

#[test]
fn a_fault_is_named_with_its_own_line() {
    let body = "\nuse crate::{\n  domain::offer::Offer,\n  /* a\n b */ model::rank,\n};";
    assert_faults("decision/decide.rs", body, &["6: `decision` names crate::model::rank"]);
}

#[test]
fn comments_strings_and_tests_may_say_anything() {
    for body in [
        "// use crate::store::sled;\n/* crate::store /* nested */ crate::model */\n/// [`crate::store`]\nfn f() {}",
        r##"const A: &str = "crate::store::x"; const B: &str = r#"a " crate::model::y"#; const C: char = '"';"##,
        "fn f<'a>(a: &'a str) -> char { '\\'' }\n#[cfg(test)]\nmod tests { use crate::store::x; fn f() { x(\"}\") } }",
        "#[cfg(test)]\n#[allow(dead_code)]\nuse crate::{store::contract::Store, model::rank};\nfn f() {}",
        "#[cfg(all(test, unix))]\nfn f() -> [u8; 2] { crate::store::x() }",
    ] {
        assert_faults("decision/decide.rs", body, &[]);
    }
    // What follows a test item counts again.
    let body = "#[cfg(test)]\nmod tests { }\nuse crate::store::contract::Store;";
    assert_faults("decision/decide.rs", body, &["4: `decision` names crate::store::contract::Store"]);
    let body = "#[cfg(not(test))]\nuse crate::model::rank;";
    assert_faults("decision/decide.rs", body, &["3: `decision` names crate::model::rank"]);
}

#[test]
fn a_test_module_in_a_file_of_its_own_may_import_anything() {
    let source = |path: &str, text: &str| Source { path: path.to_owned(), text: text.to_owned() };
    let sources = [
        source("store/codec.rs", "//! Doc.\n#[cfg(test)]\nmod golden;"),
        source("store/codec/golden.rs", "//! Doc.\nuse crate::decision::decide;"),
        source("store/other/golden.rs", "//! Doc.\nuse crate::decision::decide;"),
    ];
    let violations = check(&sources, &BTreeSet::new());
    let paths: Vec<&str> = violations.iter().map(|violation| violation.path.as_str()).collect();
    assert_eq!(paths, ["store/other/golden.rs"]);
}

#[test]
fn crates_stay_in_their_modules() {
    for (path, body, expected) in [
        ("domain/event.rs", "#[derive(serde::Serialize)]\nstruct A;", "2: `domain` names the crate serde"),
        ("domain/event.rs", "use {serde::Serialize, std::fmt};", "2: `domain` names the crate serde"),
        ("use_cases/x.rs", "use tonic::Status;", "2: `use_cases` names the crate tonic"),
        ("model/x.rs", "fn f() { ::prost::encode() }", "2: `model` names the crate prost"),
        ("ingest/x.rs", "use tonic_health as readiness;", "2: `ingest` names the crate tonic_health"),
        ("server.rs", "fn f() { sled::open() }", "2: `server` names the crate sled"),
    ] {
        assert_faults(path, body, &[expected]);
    }
    // A module of ours that is called like a crate.
    assert_faults("ingest/rows.rs", "use super::csv;\nuse super::{csv::Reader};\nfn f() { csv::read() }", &[]);
    assert_faults("server.rs", "use crate::store::sled;\nfn f() { sled::open() }", &[]);
}

#[test]
fn plain_modules_neither_wait_nor_look_around() {
    for (path, body, expected) in [
        ("ingest/x.rs", "async fn f() {}", "2: `async` in `ingest`"),
        ("model/x.rs", "use std::{fmt, fs};", "2: `model` reaches for std::fs"),
        ("decision/x.rs", "use std::time::{Duration, SystemTime};", "2: `decision` reaches for std::time::SystemTime"),
        ("decision/x.rs", "fn f() { std::time::Instant::now(); }", "2: `decision` reaches for std::time::Instant::now"),
        ("model/x.rs", "fn f() { rand::random() }", "2: `model` reaches for rand::random"),
    ] {
        assert_faults(path, body, &[expected]);
    }
    assert_faults("ingest/x.rs", "use std::fs::File;", &[]);
    assert_faults("use_cases/x.rs", "async fn f() { std::time::SystemTime::now(); }", &[]);
    // Brought in by `use`, a clock is called by its short name.
    let body = "use std::time::Instant;\nfn f() { Instant::now(); }";
    assert_faults("model/x.rs", body, &["3: `model` reaches for std::time::Instant::now"]);
}

#[test]
fn tables_of_contents_hold_nothing_else() {
    assert_faults(
        "store/mod.rs",
        "#![allow(x)]\npub mod contract;\n#[cfg(unix)]\npub(crate) mod sled;\nmod codec;",
        &[],
    );
    assert_faults("store/mod.rs", "pub mod a;\npub use a::A;", &["3: `use` in a table of contents"]);
    assert_faults("lib.rs", "pub mod domain;\nfn f() {}", &["3: `fn` in a table of contents"]);
    assert_faults("lib.rs", "mod inline { }", &["2: `mod` in a table of contents"]);
    assert_faults("grpc/mod.rs", "#[cfg(test)]\nmod tests { fn f() {} }\npub mod status;", &[]);
}

#[test]
fn files_have_names_docs_and_a_module() {
    assert_faults("store/utils.rs", "", &["1: the name `utils` says nothing"]);
    assert_faults("grpc/common/x.rs", "", &["1: the name `common` says nothing"]);
    assert_faults("billing/x.rs", "", &["1: `billing` is no module of the plan"]);
    let source = Source { path: "store/x.rs".to_owned(), text: "// Doc.\n".to_owned() };
    let violations = check(&[source], &BTreeSet::new());
    assert_eq!(violations.len(), 1);
    assert!(violations[0].to_string().starts_with("store/x.rs:1: the file does not open with `//!`: say what"));
}

#[test]
fn dependencies_are_read_from_the_manifest() {
    let manifest = r#"
[package]
name = "x"
[dependencies]
# A note = here.
tonic-health = "1"
serde.workspace = true
[dependencies.csv]
version = "1"
[dev-dependencies]
proptest = "1"
[lints.rust]
unsafe_code = "forbid"
"#;
    let expected = ["csv", "proptest", "serde", "tonic_health"].map(str::to_owned);
    assert_eq!(dependencies(manifest), BTreeSet::from(expected));
}
