//! Adding an operation is one file and one row: each has the other. Those of other services than KMS stand in directories
//! of their own; IAM's, of which many do the same to users, groups and roles, share files.

use super::Finding;
use super::table::{self, Home};
use super::tree::Tree;

const FILES: &str = "crates/engine/src/operations/";

/// Files there that are no operation: the modules' roots and what operations share.
const SHARED: &[&str] = &["mod.rs", "iam/mod.rs", "sts/mod.rs"];

pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    let rows = match table::rows(tree) {
        Ok(rows) => rows,
        Err(finding) => return vec![finding],
    };
    let mut findings = Vec::new();
    let files: Vec<(&str, &str)> =
        tree.files.keys().filter_map(|path| Some((path.strip_prefix(FILES)?, tree.text(path)?))).collect();
    for row in &rows {
        let (found, place) = match row.home() {
            Home::File(file) => (files.iter().any(|(name, _)| *name == file), file),
            Home::Directory(directory) => {
                let here = |(name, text): &(&str, &str)| name.starts_with(directory) && has(text, row.name);
                (files.iter().any(here), directory.to_owned())
            }
        };
        if !found {
            let place = format!("{FILES}{place}");
            findings.push(Finding::new(&place, 0, format!("the row `{}` has no file here", row.method)));
        }
    }
    for (name, text) in files.iter().filter(|(name, _)| name.ends_with(".rs") && !SHARED.contains(name)) {
        let is_of = |row: &table::Row<'_>| match row.home() {
            Home::File(file) => file == *name,
            Home::Directory(directory) => name.starts_with(directory) && has(text, row.name),
        };
        if !rows.iter().any(is_of) {
            let path = format!("{FILES}{name}");
            findings.push(Finding::new(&path, 0, "no operation here has a row in the table"));
        }
    }
    findings
}

/// Whether a text has a word.
fn has(text: &str, word: &str) -> bool {
    text.split(|c: char| !c.is_alphanumeric() && c != '_').any(|found| found == word)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_without_a_file_and_a_file_without_a_row_are_found() {
        let (path, text) = table::sample(&[("ListKeys", "list_keys"), ("Encrypt", "encrypt")]);
        let mut files = vec![
            (path, text.as_str()),
            ("crates/engine/src/operations/list_keys.rs", ""),
            ("crates/engine/src/operations/mod.rs", ""),
        ];
        assert_eq!(check(&Tree::sample(&files)).len(), 1, "encrypt.rs is missing");
        files.push(("crates/engine/src/operations/encrypt.rs", ""));
        assert!(check(&Tree::sample(&files)).is_empty());
        files.push(("crates/engine/src/operations/leak.rs", ""));
        assert_eq!(check(&Tree::sample(&files)).len(), 1, "leak.rs has no row");
    }

    #[test]
    fn operations_of_another_service_stand_in_its_directory() {
        let (path, text) = table::sample(&[("ListKeys", "list_keys")]);
        let text = text.replace("    }\n}", "    GetUser, get_user, In, Out, Iam, Reads,\n    [];\n    }\n}");
        let mut files = vec![(path, text.as_str()), ("crates/engine/src/operations/list_keys.rs", "")];
        files.push(("crates/engine/src/operations/users.rs", "impl Executes for GetUser {"));
        assert_eq!(check(&Tree::sample(&files)).len(), 2, "users.rs stands elsewhere");
        files.pop();
        files.push(("crates/engine/src/operations/iam/users.rs", "impl Executes for GetUserPolicy {"));
        assert_eq!(check(&Tree::sample(&files)).len(), 2, "that is another operation");
        files.pop();
        files.push(("crates/engine/src/operations/iam/users.rs", "impl Executes for GetUser {"));
        files.push(("crates/engine/src/operations/iam/mod.rs", ""));
        assert!(check(&Tree::sample(&files)).is_empty());
    }

    #[test]
    fn a_table_that_is_not_there_is_found() {
        assert_eq!(check(&Tree::default()).len(), 1);
    }
}
