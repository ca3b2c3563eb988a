//! `cargo xtask tidy`: the invariants of the project that a small program can check.
//!
//! Each rule reads the tree and gives findings; each has a test that shows it fail on a bad sample.

mod api_docs;
mod arrows;
mod golden;
mod links;
mod lockfile;
mod operations;
mod source;
mod table;
mod test_modules;
mod tree;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use tree::Tree;

/// Something that breaks a rule.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Finding {
    path: String,
    /// Counted from 1; 0 when the whole file is meant.
    line: usize,
    what: String,
}

impl Finding {
    fn new(path: &str, line: usize, what: impl Into<String>) -> Self {
        Self { path: path.to_owned(), line, what: what.into() }
    }
}

type Rule = (&'static str, fn(&Tree) -> Vec<Finding>);

const RULES: &[Rule] = &[
    ("arrows between rooms", arrows::check),
    ("where unsafe code stands", source::unsafe_code),
    ("where aws-lc is called", source::aws_lc),
    ("where clocks are read", source::clocks),
    ("exceptions carry their reason", source::reasons),
    ("length of files", source::length),
    ("secrets derive nothing that shows or copies them", source::secrets),
    ("one file an operation", operations::check),
    ("all tests are built", test_modules::check),
    ("golden files stay as they are", golden::check),
    ("crates that are out", lockfile::check),
    ("docs of the API", api_docs::check),
    ("links in the docs", links::check),
];

pub(crate) fn run(arguments: &[String]) -> ExitCode {
    let tree = match checkout() {
        Ok(tree) => tree,
        Err(code) => return code,
    };
    if arguments.first().is_some_and(|argument| argument == "--record-golden") {
        return golden::record(&tree, &top());
    }
    let mut count = 0;
    for (name, rule) in RULES {
        let mut findings = rule(&tree);
        findings.sort();
        count += findings.len();
        for Finding { path, line, what } in findings {
            let place = if line == 0 { path } else { format!("{path}:{line}") };
            println!("{place}: {what} ({name})");
        }
    }
    for (path, lines) in source::long(&tree) {
        println!("note: {path} has {lines} lines; does it still hold one concept?");
    }
    println!("tidy: {} files, {} rules, {count} findings", tree.files.len(), RULES.len());
    if count == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Makes `docs/api.md` anew.
pub(crate) fn api_docs() -> ExitCode {
    match checkout() {
        Ok(tree) => api_docs::write(&tree, &top()),
        Err(code) => code,
    }
}

fn checkout() -> Result<Tree, ExitCode> {
    Tree::of_checkout(&top()).map_err(|error| {
        eprintln!("xtask: {error}");
        ExitCode::FAILURE
    })
}

/// The checkout that this program was built from.
pub(crate) fn top() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().unwrap_or(here).to_owned()
}
