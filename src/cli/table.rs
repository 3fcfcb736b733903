//! Aligned tables and bars for a terminal.

use crate::domain::plain_text::escape_control_characters;

/// Rows below headings; every column is as wide as its widest cell.
#[derive(Debug, Default)]
pub(super) struct Table {
    rows: Vec<Vec<String>>,
}

impl Table {
    /// Creates a table with these headings.
    pub(super) fn new(headings: &[&str]) -> Self {
        Self { rows: vec![headings.iter().map(|heading| (*heading).to_owned()).collect()] }
    }

    /// Adds a row. A line break in a cell would break the table, so it is escaped like other control characters.
    pub(super) fn row(&mut self, cells: Vec<String>) {
        self.rows.push(cells.iter().map(|cell| escape_control_characters(cell, "").into_owned()).collect());
    }
}

impl std::fmt::Display for Table {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let columns = self.rows.iter().map(Vec::len).max().unwrap_or(0);
        let width_of = |column: usize| {
            self.rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max().unwrap_or(0)
        };
        let widths: Vec<usize> = (0..columns).map(width_of).collect();
        for row in &self.rows {
            let cells: Vec<String> = row.iter().zip(&widths).map(|(cell, &width)| format!("{cell:<width$}")).collect();
            writeln!(f, "{}", cells.join("  ").trim_end())?;
        }
        Ok(())
    }
}

/// Draws a value from 0 to 1 as a bar of ten characters: `#######...`.
pub(super) fn bar(value: f64) -> String {
    let full = (0..10).filter(|&tenth| value * 10.0 >= f64::from(tenth) + 0.5).count();
    format!("{}{}", "#".repeat(full), ".".repeat(10 - full))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_aligned() {
        let mut table = Table::new(&["a", "bee"]);
        table.row(vec!["long".into(), "x".into()]);
        assert_eq!(table.to_string(), "a     bee\nlong  x\n");
    }

    /// Broken by: cells that are printed as they are.
    #[test]
    fn cells_cannot_break_the_table() {
        let mut table = Table::new(&["a", "b"]);
        table.row(vec!["x\n\u{1b}[2J".into(), "y".into()]);
        assert_eq!(table.to_string(), "a             b\nx\\n\\u{1b}[2J  y\n");
    }

    #[test]
    fn bars_show_tenths() {
        assert_eq!((bar(0.0), bar(0.68), bar(1.0)), ("..........".into(), "#######...".into(), "##########".into()));
    }
}
