//! Adding an operation is one file and one row: each has the other.

use super::Finding;
use super::tree::Tree;

const TABLE: &str = "crates/api/src/operation.rs";
const FILES: &str = "crates/engine/src/operations/";

/// Files there that are no operation: the module's root and what operations share.
const SHARED: &[&str] = &["mod"];

pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    let Some(table) = tree.text(TABLE) else {
        return vec![Finding::new(TABLE, 0, "the operation table is not there")];
    };
    let rows = rows(table);
    if rows.is_empty() {
        return vec![Finding::new(TABLE, 0, "no rows found: has the table another form now?")];
    }
    let mut findings = Vec::new();
    for row in &rows {
        let file = format!("{FILES}{row}.rs");
        if !tree.files.contains_key(&file) {
            findings.push(Finding::new(TABLE, 0, format!("the row `{row}` has no {file}")));
        }
    }
    let names = tree.files.keys().filter_map(|path| path.strip_prefix(FILES)?.strip_suffix(".rs"));
    for name in names.filter(|name| !name.contains('/') && !SHARED.contains(name)) {
        if !rows.iter().any(|row| row == name) {
            findings.push(Finding::new(
                &format!("{FILES}{name}.rs"),
                0,
                "this operation has no row in the table",
            ));
        }
    }
    findings
}

/// The method names of the table: the second word of each row, after `Name,`.
fn rows(table: &str) -> Vec<String> {
    let Some((_, body)) = table.split_once("\noperations! {\n") else { return Vec::new() };
    let statements = body.split(';').filter_map(|statement| {
        let mut words = statement.split(',').map(str::trim);
        let (name, method) = (words.next()?, words.next()?);
        let is_row =
            name.starts_with(|c: char| c.is_ascii_uppercase()) && name.chars().all(char::is_alphanumeric);
        is_row.then(|| method.to_owned())
    });
    statements.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROWS: &str = "x\noperations! {\n    ListKeys, list_keys, In, Out, Kms, Reads,\n        [];\n    Encrypt, encrypt,\n  In, Out, Kms, Reads,\n  [\"kms:Encrypt\" Key Always];\n}\n";

    #[test]
    fn a_row_without_a_file_and_a_file_without_a_row_are_found() {
        let mut files = vec![
            (TABLE, ROWS),
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
    fn a_table_in_another_form_is_found() {
        assert_eq!(check(&Tree::sample(&[(TABLE, "const TABLE: &[Row] = &[];")])).len(), 1);
        assert_eq!(check(&Tree::default()).len(), 1);
    }
}
