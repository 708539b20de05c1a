//! Tables for a terminal and for Markdown: columns as wide as their widest cell, and never touching.

use std::fmt::{self, Write as _};

/// Between two columns of a terminal.
const GAP: &str = "  ";

/// A row: its cells, and lines below it that take no part in the widths.
#[derive(Debug, Default)]
pub(super) struct TableRow {
    pub(super) cells: Vec<String>,
    pub(super) notes: Vec<String>,
}

impl From<Vec<String>> for TableRow {
    fn from(cells: Vec<String>) -> Self {
        Self { cells, notes: Vec::new() }
    }
}

/// Which columns have their cells at the right end, as numbers have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Align {
    /// None.
    Left,
    /// Columns from the first to the second, by number from 0.
    Right(usize, usize),
}

impl Align {
    fn is_right(self, column: usize) -> bool {
        matches!(self, Self::Right(first, last) if (first..=last).contains(&column))
    }
}

/// Rows in columns, the header first; notes are indented to the second column.
pub(super) fn text_table(out: &mut String, rows: &[TableRow], align: Align) -> fmt::Result {
    let columns = rows.iter().map(|row| row.cells.len()).max().unwrap_or(0);
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.cells.get(column));
        cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let first = widths.first().copied().unwrap_or(0);
    for row in rows {
        let mut line = String::new();
        for (column, (cell, width)) in row.cells.iter().zip(&widths).enumerate() {
            if column > 0 {
                line.push_str(GAP);
            }
            match align.is_right(column) {
                true => write!(line, "{cell:>width$}")?,
                false => write!(line, "{cell:width$}")?,
            }
        }
        writeln!(out, "{}", line.trim_end())?;
        for note in &row.notes {
            writeln!(out, "{:first$}{GAP}{note}", "")?;
        }
    }
    Ok(())
}

/// The same as a table of Markdown, without the notes.
pub(super) fn markdown_table(out: &mut String, rows: &[TableRow]) -> fmt::Result {
    for (number, row) in rows.iter().enumerate() {
        let cells: Vec<String> = row.cells.iter().map(|cell| cell.replace('|', "\\|")).collect();
        writeln!(out, "| {} |", cells.join(" | "))?;
        if number == 0 {
            writeln!(out, "|{}", "---|".repeat(row.cells.len()))?;
        }
    }
    writeln!(out)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn row(cells: &[&str]) -> TableRow {
        cells.iter().map(|cell| (*cell).to_owned()).collect::<Vec<_>>().into()
    }

    #[test]
    fn long_cells_do_not_run_into_each_other() {
        let mut out = String::new();
        let mut long = row(&["top10", "91.5 s", "11 min 14 s", "11 min 16 s"]);
        long.notes.push("SQLSTATE 57014: 3".to_owned());
        let rows = [row(&["query", "p50", "p99", "max"]), long, row(&["w", "1 µs", "-", "-"])];
        text_table(&mut out, &rows, Align::Right(1, 3)).unwrap();
        insta::assert_snapshot!(out, @r"
        query     p50          p99          max
        top10  91.5 s  11 min 14 s  11 min 16 s
               SQLSTATE 57014: 3
        w        1 µs            -            -
        ");
    }

    proptest! {
        #[test]
        fn between_two_cells_there_is_a_gap(
            cells in prop::collection::vec(prop::collection::vec("[a-zµ→0-9]{1,12}", 3), 1..6),
            right in any::<bool>(),
        ) {
            let rows: Vec<TableRow> = cells.iter().cloned().map(TableRow::from).collect();
            let mut out = String::new();
            text_table(&mut out, &rows, if right { Align::Right(0, 2) } else { Align::Left }).unwrap();
            for (line, cells) in out.lines().zip(&cells) {
                let seen: Vec<&str> = line.split(GAP).filter(|cell| !cell.is_empty()).collect();
                let seen: Vec<&str> = seen.into_iter().map(str::trim).collect();
                prop_assert_eq!(&seen, cells);
            }
        }
    }
}
