//! The stream's table: how large, and how much of it can be read without asking the server's
//! memory.

use serde::Serialize;

use crate::pg::{self, Session, quote_literal};
use crate::plan::TableName;

/// A table, over all of its partitions.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct TableFacts {
    /// Its name, as asked for.
    pub name: String,
    /// Its partitions; a table without any is its own.
    pub partitions: Vec<Part>,
    /// Share of its pages that the last VACUUM found visible to everybody, of the pages there are
    /// now; `None` for an empty table.
    pub all_visible_ratio: Option<f64>,
}

/// A partition.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Part {
    /// Its name.
    pub name: String,
    /// Size of its rows, without indexes and without what is stored out of line.
    pub heap_bytes: u64,
    /// Rows, as the last VACUUM or ANALYZE estimated; `None` before the first.
    pub rows_estimated: Option<u64>,
    /// Pages that the last VACUUM found visible to everybody.
    pub all_visible_pages: u64,
}

impl TableFacts {
    /// Size of all rows.
    pub fn heap_bytes(&self) -> u64 {
        self.partitions.iter().map(|part| part.heap_bytes).sum()
    }

    /// Size of the rows of the largest partition: a plan scans each partition for itself.
    pub fn largest_bytes(&self) -> u64 {
        self.partitions.iter().map(|part| part.heap_bytes).max().unwrap_or_default()
    }

    /// Bytes of a row with its share of the page; `None` if no rows were ever estimated.
    pub fn row_bytes(&self) -> Option<f64> {
        let known = self.partitions.iter().filter_map(|part| Some((part.rows_estimated?, part)));
        let (rows, bytes) = known
            .fold((0, 0), |(rows, bytes), (more, part)| (rows + more, bytes + part.heap_bytes));
        (rows > 0).then(|| bytes as f64 / rows as f64)
    }
}

/// Looks at a table; `None` if there is none of that name, or our role may not see it.
///
/// # Errors
/// When the server is lost.
pub(super) async fn examine(
    session: &mut Session,
    table: &TableName,
) -> Result<Option<TableFacts>, pg::Error> {
    let act = format!("look at table {table}");
    let sql = format!(
        "WITH root AS (SELECT pg_catalog.to_regclass({}) AS oid) \
         SELECT c.oid::regclass::text, pg_catalog.pg_relation_size(c.oid), \
         CASE WHEN c.reltuples >= 0 THEN c.reltuples::bigint END, c.relallvisible, \
         pg_catalog.current_setting('block_size') \
         FROM (SELECT oid FROM root UNION \
               SELECT relid FROM root, pg_catalog.pg_partition_tree(root.oid) WHERE isleaf) t \
         JOIN pg_catalog.pg_class c ON c.oid = t.oid WHERE c.relkind IN ('r', 'm', 'f') \
         ORDER BY 1",
        quote_literal(&table.to_string())
    );
    let rows = match session.rows(&act, &sql).await {
        Ok(rows) => rows,
        Err(error) if error.is_lost() => return Err(error),
        // A schema that is closed to our role, or a partition dropped meanwhile.
        Err(error) => {
            tracing::debug!("{error}");
            return Ok(None);
        }
    };
    let number = |row: &[Option<String>], column: usize| -> Option<u64> {
        row.get(column)?.as_deref()?.parse().ok()
    };
    let block_bytes = rows.first().and_then(|row| number(row, 4)).unwrap_or(8192);
    let part = |row: &Vec<Option<String>>| Part {
        name: row.first().cloned().flatten().unwrap_or_default(),
        heap_bytes: number(row, 1).unwrap_or_default(),
        rows_estimated: number(row, 2),
        all_visible_pages: number(row, 3).unwrap_or_default(),
    };
    let partitions: Vec<Part> = rows.iter().map(part).collect();
    if partitions.is_empty() {
        return Ok(None);
    }
    let pages: u64 = partitions.iter().map(|part| part.heap_bytes / block_bytes).sum();
    let visible: u64 = partitions.iter().map(|part| part.all_visible_pages).sum();
    let all_visible_ratio = (pages > 0).then(|| (visible as f64 / pages as f64).min(1.0));
    Ok(Some(TableFacts { name: table.as_written(), partitions, all_visible_ratio }))
}
