//! Golden files (blobs, messages, stores of every release) never change once they are listed.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};

use super::Finding;
use super::tree::Tree;

/// `SHA-256  path`, one a line, as `sha256sum` writes it.
const LIST: &str = "tests/golden.sha256";

pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    let golden = golden_files(tree);
    let listed = match listed(tree) {
        Ok(listed) => listed,
        Err(finding) => return if golden.is_empty() { Vec::new() } else { vec![finding] },
    };
    let mut findings = Vec::new();
    for (path, content) in &golden {
        match (listed.get(*path), digest(content)) {
            (None, _) => {
                findings.push(Finding::new(path, 0, "not listed yet: cargo xtask tidy --record-golden"))
            }
            (Some(_), Err(error)) => findings.push(Finding::new(path, 0, error)),
            (Some(expected), Ok(found)) if *expected != found => {
                findings.push(Finding::new(
                    path,
                    0,
                    "a golden file was changed; what was once written must keep opening",
                ));
            }
            _ => {}
        }
    }
    for path in listed.keys().filter(|path| !golden.contains_key(path.as_str())) {
        findings.push(Finding::new(
            path,
            0,
            "a golden file was removed; what was once written must keep opening",
        ));
    }
    findings
}

/// Adds golden files that are not listed yet, and changes nothing that is.
pub(super) fn record(tree: &Tree, top: &Path) -> ExitCode {
    let mut listed = listed(tree).unwrap_or_default();
    for (path, content) in golden_files(tree) {
        if listed.contains_key(path) {
            continue;
        }
        match digest(content) {
            Ok(digest) => {
                println!("recorded {path}");
                listed.insert(path.to_owned(), digest);
            }
            Err(error) => {
                eprintln!("{path}: {error}");
                return ExitCode::FAILURE;
            }
        }
    }
    let text: String = listed.iter().map(|(path, digest)| format!("{digest}  {path}\n")).collect();
    match std::fs::write(top.join(LIST), text) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{LIST}: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Everything below a directory named `golden`.
fn golden_files(tree: &Tree) -> BTreeMap<&str, &[u8]> {
    let files = tree.files.iter().filter(|(path, _)| path.contains("/golden/"));
    files.map(|(path, content)| (path.as_str(), content.as_slice())).collect()
}

fn listed(tree: &Tree) -> Result<BTreeMap<String, String>, Finding> {
    let text =
        tree.text(LIST).ok_or_else(|| Finding::new(LIST, 0, "the list of golden files is not there"))?;
    let lines = text.lines().filter_map(|line| line.split_once("  "));
    Ok(lines.map(|(digest, path)| (path.to_owned(), digest.to_owned())).collect())
}

/// SHA-256, by the system's own `sha256sum`, so that this program needs no cryptography.
fn digest(content: &[u8]) -> Result<String, String> {
    let run = || {
        let mut child = Command::new("sha256sum").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        if let Some(mut stdin) = child.stdin.take() {
            stdin.write_all(content)?;
        }
        child.wait_with_output()
    };
    let output = run().map_err(|error| format!("sha256sum: {error}"))?;
    let text = String::from_utf8_lossy(&output.stdout);
    text.split_whitespace().next().map(str::to_owned).ok_or_else(|| "sha256sum gave nothing".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = "crates/crypto/tests/golden/blob";
    // SHA-256 of "abc": FIPS 180-4, appendix B.1.
    const ABC: &str =
        "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad  crates/crypto/tests/golden/blob\n";

    #[test]
    fn a_file_as_it_was_listed_is_fine() {
        assert!(check(&Tree::sample(&[(FILE, "abc"), (LIST, ABC)])).is_empty());
    }

    #[test]
    fn changed_removed_and_unlisted_files_are_found() {
        assert_eq!(check(&Tree::sample(&[(FILE, "abd"), (LIST, ABC)])).len(), 1);
        assert_eq!(check(&Tree::sample(&[(LIST, ABC)])).len(), 1);
        assert_eq!(check(&Tree::sample(&[(FILE, "abc"), (LIST, "")])).len(), 1);
        assert_eq!(check(&Tree::sample(&[(FILE, "abc")])).len(), 1);
    }
}
