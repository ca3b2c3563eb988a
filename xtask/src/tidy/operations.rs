//! Adding an operation is one file and one row: each has the other. Those of other services than KMS stand in directories
//! of their own.

use super::Finding;
use super::table;
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
    for row in &rows {
        let file = format!("{FILES}{}", row.file());
        if !tree.files.contains_key(&file) {
            findings.push(Finding::new(&file, 0, format!("the row `{}` has no such file", row.method)));
        }
    }
    let names = tree.files.keys().filter_map(|path| path.strip_prefix(FILES));
    for name in names.filter(|name| name.ends_with(".rs") && !SHARED.contains(name)) {
        if !rows.iter().any(|row| row.file() == name) {
            findings.push(Finding::new(
                &format!("{FILES}{name}"),
                0,
                "this operation has no row in the table",
            ));
        }
    }
    findings
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
        files.push(("crates/engine/src/operations/get_user.rs", ""));
        assert_eq!(check(&Tree::sample(&files)).len(), 2, "get_user.rs stands elsewhere");
        files.pop();
        files.push(("crates/engine/src/operations/iam/get_user.rs", ""));
        files.push(("crates/engine/src/operations/iam/mod.rs", ""));
        assert!(check(&Tree::sample(&files)).is_empty());
    }

    #[test]
    fn a_table_that_is_not_there_is_found() {
        assert_eq!(check(&Tree::default()).len(), 1);
    }
}
