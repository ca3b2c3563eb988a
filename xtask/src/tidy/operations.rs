//! Adding an operation is one file and one row: each has the other. Those of other services than KMS stand in directories
//! of their own; of IAM's, those about one kind of thing stand in one file.

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
    for row in rows.iter().filter(|row| row.service == IAM) {
        let holding = files_of_iam(tree).filter(|(_, text)| holds(text, row.name)).count();
        if holding != 1 {
            let what =
                format!("the row `{}` is carried out by {holding} files there, not by one", row.method);
            findings.push(Finding::new(&format!("{FILES}iam/"), 0, what));
        }
    }
    for row in rows.iter().filter(|row| row.service != IAM) {
        let file = format!("{FILES}{}", row.file());
        if !tree.files.contains_key(&file) {
            findings.push(Finding::new(&file, 0, format!("the row `{}` has no such file", row.method)));
        }
    }
    let names = tree.files.keys().filter_map(|path| path.strip_prefix(FILES));
    for name in names.filter(|name| name.ends_with(".rs") && !SHARED.contains(name)) {
        let text = tree.text(&format!("{FILES}{name}")).unwrap_or_default();
        let is_of_a_row = |row: &table::Row<'_>| match row.service {
            IAM => name.starts_with("iam/") && holds(text, row.name),
            _ => row.file() == name,
        };
        if !rows.iter().any(is_of_a_row) {
            findings.push(Finding::new(
                &format!("{FILES}{name}"),
                0,
                "this operation has no row in the table",
            ));
        }
    }
    findings
}

const IAM: &str = "Iam";

fn files_of_iam(tree: &Tree) -> impl Iterator<Item = (&String, &str)> {
    let directory = format!("{FILES}iam/");
    let names = tree.files.keys().filter(move |path| path.starts_with(&directory));
    names.map(|path| (path, tree.text(path).unwrap_or_default()))
}

/// Whether a file carries an operation out: as such, or in a list of those that do the same with other kinds of things,
/// each followed by its input.
fn holds(text: &str, name: &str) -> bool {
    let words: Vec<&str> = text.split_whitespace().collect();
    let input = format!("{name}Input");
    words.windows(3).any(|words| matches!(words, ["Executes", "for", of] if *of == name))
        || words.windows(2).any(|words| matches!(words, [one, next] if *one == name && *next == input))
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
        files.push(("crates/engine/src/operations/users.rs", "impl Executes for GetUser {}"));
        assert_eq!(check(&Tree::sample(&files)).len(), 2, "users.rs stands elsewhere");
        files.pop();
        files.push(("crates/engine/src/operations/iam/mod.rs", ""));
        for text in ["impl Executes for GetUser {}", "all! { User GetUser GetUserInput; }"] {
            files.push(("crates/engine/src/operations/iam/users.rs", text));
            assert!(check(&Tree::sample(&files)).is_empty());
            files.push(("crates/engine/src/operations/iam/others.rs", text));
            assert_eq!(check(&Tree::sample(&files)).len(), 1, "two carry it out");
            files.pop();
            files.pop();
        }
        files.push(("crates/engine/src/operations/iam/users.rs", "impl Executes for GetUsers {}"));
        assert_eq!(check(&Tree::sample(&files)).len(), 2, "it carries out something else");
    }

    #[test]
    fn a_table_that_is_not_there_is_found() {
        assert_eq!(check(&Tree::default()).len(), 1);
    }
}
