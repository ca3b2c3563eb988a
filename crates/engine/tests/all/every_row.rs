//! Every row of the operation table has a test of its behaviour (a call in a scenario of `tests/operations/`, which AWS's own
//! clients make), of its denial (`denial_matrix/`) and of its audit record (`audit_trail.rs`). The latter two walk the table
//! themselves; here it is seen that they, and the scenarios, know each row.
#![allow(clippy::unwrap_used, missing_docs)]

use bulla_api::TABLE;
use serde_json::Value;
use std::collections::BTreeSet;
use std::path::Path;

/// What there is for the rows, as names of operations.
struct Tests {
    behaviour: BTreeSet<String>,
    denial: BTreeSet<String>,
    audit: BTreeSet<String>,
}

impl Tests {
    fn there() -> Self {
        Self {
            behaviour: scenarios().iter().flat_map(|steps| called(steps)).collect(),
            denial: of_denials(),
            audit: inputs(include_str!("audit_trail.rs"), "fn inputs(").union(&of_iam()).cloned().collect(),
        }
    }

    fn gaps(&self, rows: &BTreeSet<&str>) -> Vec<String> {
        let kinds = [("behaviour", &self.behaviour), ("denial", &self.denial), ("audit", &self.audit)];
        let gaps = rows.iter().flat_map(|row| {
            let missing = kinds.iter().filter(|(_, tests)| !tests.contains(*row));
            missing.map(move |(kind, _)| format!("{row} has no {kind} test"))
        });
        gaps.collect()
    }
}

/// Those in which a key can be out of reach, and those in which a caller can.
fn of_denials() -> BTreeSet<String> {
    let of_keys = inputs(include_str!("denial_matrix/mod.rs"), "fn input(");
    let of_callers = inputs(include_str!("denial_matrix/rows.rs"), "async fn plain_input(");
    &(&of_keys | &of_callers) | &of_iam()
}

/// Those of IAM's operations, and of operations on sessions, are one set for both.
fn of_iam() -> BTreeSet<String> {
    let of_sessions = inputs(include_str!("support/sts.rs"), "pub fn inputs(");
    inputs(include_str!("support/iam.rs"), "pub fn inputs(").union(&of_sessions).cloned().collect()
}

fn table() -> BTreeSet<&'static str> {
    TABLE.iter().map(|row| row.name).collect()
}

fn scenarios() -> Vec<Vec<Value>> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/operations");
    let files = std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
    let files = files.filter(|path| path.extension().is_some_and(|extension| extension == "json"));
    files.map(|path| serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()).collect()
}

/// The operations that a scenario calls.
fn called(steps: &[Value]) -> BTreeSet<String> {
    steps.iter().map(|step| step["call"].as_str().unwrap().to_owned()).collect()
}

/// The names that the function, a `match` of operations, has an arm for.
fn inputs(source: &str, function: &str) -> BTreeSet<String> {
    let body = source.split_once(function).unwrap().1;
    let body = body.split_once("\n}\n").unwrap().0;
    let parts: Vec<&str> = body.split('"').collect();
    let patterns = parts.windows(2).filter(|pair| {
        let [_, after] = pair else { return false };
        after.trim_start().starts_with("=>") || after.trim_start().starts_with('|')
    });
    patterns.map(|pair| pair[0].to_owned()).collect()
}

#[test]
fn every_row_has_its_tests() {
    let rows = table();
    let gaps = Tests::there().gaps(&rows);
    assert!(gaps.is_empty(), "{}", gaps.join("\n"));
}

#[test]
fn a_row_without_one_of_its_tests_is_found() {
    let rows = table();
    let without = |kind: fn(&mut Tests) -> &mut BTreeSet<String>| {
        let mut tests = Tests::there();
        assert!(kind(&mut tests).remove("Sign"));
        tests.gaps(&rows)
    };
    assert_eq!(without(|tests| &mut tests.behaviour), ["Sign has no behaviour test"]);
    assert_eq!(without(|tests| &mut tests.denial), ["Sign has no denial test"]);
    assert_eq!(without(|tests| &mut tests.audit), ["Sign has no audit test"]);
}

#[test]
fn a_new_row_has_none_of_them() {
    let mut rows = table();
    rows.insert("Levitate");
    let gaps = Tests::there().gaps(&rows);
    assert_eq!(gaps, ["behaviour", "denial", "audit"].map(|kind| format!("Levitate has no {kind} test")));
}

#[test]
fn only_patterns_name_an_input() {
    let source = "fn input(a: &str) -> Value {\n match a {\n \"A\"\n | \"B\" => json!({\"C\": \"D\", \"E\": [\"F\"]}),\n \"G\" => x,\n}\n}\n\"H\" => y";
    assert_eq!(inputs(source, "fn input(").into_iter().collect::<Vec<_>>(), ["A", "B", "G"]);
}
