//! The operation table, as its source has it.

use super::Finding;
use super::tree::Tree;

const PATH: &str = "crates/api/src/operation.rs";

/// A row: `Name, method, Input, Output, Service, Effect, [demands];`
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Row<'a> {
    pub(super) name: &'a str,
    pub(super) method: &'a str,
    pub(super) service: &'a str,
}

/// Where an operation's behaviour stands, below the operations.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Home {
    /// In this file, alone.
    File(String),
    /// In one of the files of this directory, beside others that are about the same.
    Directory(&'static str),
}

impl Row<'_> {
    pub(super) fn home(&self) -> Home {
        match self.service {
            "Kms" => Home::File(format!("{}.rs", self.method)),
            "Iam" => Home::Directory("iam/"),
            other => Home::File(format!("{}/{}.rs", other.to_lowercase(), self.method)),
        }
    }
}

/// Every row, in the order of the table.
pub(super) fn rows(tree: &Tree) -> Result<Vec<Row<'_>>, Finding> {
    let text = tree.text(PATH).ok_or_else(|| Finding::new(PATH, 0, "the operation table is not there"))?;
    let body = text.split_once("\noperations! {\n").map_or("", |(_, body)| body);
    let rows: Vec<Row<'_>> = body.split(';').filter_map(row).collect();
    if rows.is_empty() {
        return Err(Finding::new(PATH, 0, "no rows found: has the table another form now?"));
    }
    Ok(rows)
}

fn row(statement: &str) -> Option<Row<'_>> {
    // Rows stand in groups: `kms { … }`.
    let statement = statement.rsplit(['{', '}']).next()?;
    let mut words = statement.split(',').map(str::trim);
    let (name, method) = (words.next()?, words.next()?);
    let service = words.nth(2)?;
    let is_row =
        name.starts_with(|c: char| c.is_ascii_uppercase()) && name.chars().all(char::is_alphanumeric);
    is_row.then_some(Row { name, method, service })
}

/// A table of these rows, for the tests of rules that read it.
#[cfg(test)]
pub(super) fn sample(rows: &[(&str, &str)]) -> (&'static str, String) {
    let rows: String = rows
        .iter()
        .map(|(name, method)| {
            format!("    {name}, {method}, In, Out, Kms, Reads,\n        [\"kms:{name}\" Key Always];\n")
        })
        .collect();
    (PATH, format!("x\noperations! {{\n    $;\n    kms {{\n{rows}    }}\n}}\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_read_over_line_ends() {
        let text = "x\noperations! {\n    $;\n    kms {\n    ListKeys, list_keys, In, Out, Kms, Reads,\n        [];\n    \
                    }\n    others {\n    GetCallerIdentity, get_caller_identity,\n  In, Out, Sts, Reads,\n  [];\n    }\n}\n";
        let tree = Tree::sample(&[(PATH, text)]);
        let expected = [
            Row { name: "ListKeys", method: "list_keys", service: "Kms" },
            Row { name: "GetCallerIdentity", method: "get_caller_identity", service: "Sts" },
        ];
        assert_eq!(rows(&tree), Ok(expected.into()));
    }

    #[test]
    fn a_table_in_another_form_is_found() {
        assert!(rows(&Tree::sample(&[(PATH, "const TABLE: &[Row] = &[];")])).is_err());
        assert!(rows(&Tree::default()).is_err());
    }
}
