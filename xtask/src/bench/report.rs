//! Medians, and their tables.

use std::fmt::Write;

use serde_json::{Value, json};

/// The middle of some measurements; 0 of none.
pub(super) fn median(measured: &[f64]) -> f64 {
    let mut sorted = measured.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len() / 2).copied().unwrap_or(0.0)
}

/// One table: a heading, columns, and rows of cells.
pub(super) struct Table {
    pub(super) title: String,
    pub(super) columns: Vec<&'static str>,
    pub(super) rows: Vec<Vec<Cell>>,
}

pub(super) enum Cell {
    Text(String),
    /// A value and how many decimals tell something.
    Number(f64, usize),
    /// Not measured.
    None,
}

impl Cell {
    pub(super) fn text(text: impl Into<String>) -> Self {
        Self::Text(text.into())
    }

    fn shown(&self) -> String {
        match self {
            Self::Text(text) => text.clone(),
            Self::Number(value, decimals) => format!("{value:.decimals$}"),
            Self::None => "–".to_owned(),
        }
    }

    fn json(&self) -> Value {
        match self {
            Self::Text(text) => json!(text),
            Self::Number(value, _) => json!(value),
            Self::None => Value::Null,
        }
    }
}

#[derive(Default)]
pub(super) struct Report {
    tables: Vec<Table>,
    notes: Vec<String>,
}

impl Report {
    pub(super) fn add(&mut self, table: Table) {
        self.tables.push(table);
    }

    pub(super) fn note(&mut self, note: impl Into<String>) {
        self.notes.push(note.into());
    }

    pub(super) fn markdown(&self) -> String {
        let mut out = String::new();
        for table in &self.tables {
            // Writing to a string can't fail.
            let _ = writeln!(out, "\n**{}**\n\n| {} |", table.title, table.columns.join(" | "));
            let _ = writeln!(out, "|{}", "---|".repeat(table.columns.len()));
            for row in &table.rows {
                let cells: Vec<String> = row.iter().map(Cell::shown).collect();
                let _ = writeln!(out, "| {} |", cells.join(" | "));
            }
        }
        for note in &self.notes {
            let _ = writeln!(out, "\n{note}");
        }
        out
    }

    pub(super) fn json(&self) -> String {
        let tables = self.tables.iter().map(|table| {
            let rows = table.rows.iter().map(|row| {
                let cells =
                    table.columns.iter().zip(row).map(|(column, cell)| ((*column).to_owned(), cell.json()));
                Value::Object(cells.collect())
            });
            json!({ "title": table.title, "rows": rows.collect::<Vec<_>>() })
        });
        json!({ "tables": tables.collect::<Vec<_>>(), "notes": self.notes }).to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::median;

    #[test]
    fn the_median_is_the_middle() {
        assert!((median(&[3.0, 1.0, 2.0]) - 2.0).abs() < f64::EPSILON);
        assert!(median(&[]).abs() < f64::EPSILON);
    }
}
