//! How large the tables of runs were: by their rows, or, where nobody counted those, by their bytes.

use std::collections::BTreeMap;

use super::Run;
use crate::quantity::{format_bytes, format_counted};
use crate::result::{Body, JobResult};

/// Sizes at the start may differ by so much, as a share of the smallest table that a run saw.
const SHARE_MAX: f64 = 0.10;
/// What a size is called that nobody knows.
pub(super) const NOT_KNOWN: &str = "not known";

/// Why the tables of runs are not taken for alike.
#[derive(Debug, Clone)]
pub enum UnlikeSizes {
    /// They are more than 10 % apart.
    Apart {
        /// The table.
        table: String,
        /// When its sizes were taken, in words.
        when: &'static str,
        /// The folder of the run with the smallest, and its size in words.
        least: (String, String),
        /// That with the largest.
        most: (String, String),
    },
    /// Nobody can tell.
    NotKnown {
        /// The table.
        table: String,
        /// The folder of the first run that does not say.
        folder: String,
    },
}

/// What is known of a table's size in a run.
#[derive(Debug, Clone, Copy, Default)]
struct Size {
    /// Rows when the run began, and when it ended.
    rows: Option<[u64; 2]>,
    /// Its bytes when the run began; not in results of before.
    bytes_before: Option<u64>,
    /// Its bytes when the run ended.
    bytes_after: Option<u64>,
}

impl Size {
    fn bytes(&self) -> Option<[u64; 2]> {
        Some([self.bytes_before?, self.bytes_after?])
    }

    /// In words, as it was at the start.
    fn told(&self) -> String {
        match (self.rows, self.bytes_before, self.bytes_after) {
            (Some([before, _]), ..) => rows(before),
            (None, Some(before), _) => format!("not counted, {}", format_bytes(before)),
            (None, None, Some(after)) => {
                format!("not counted, {} at the end", format_bytes(after))
            }
            (None, None, None) => NOT_KNOWN.to_owned(),
        }
    }
}

fn rows(count: u64) -> String {
    format_counted(count, "row", "rows")
}

/// Refuses tables of unlike sizes, and those of which nobody can tell.
pub(super) fn check(runs: &[&Run]) -> Result<(), Box<UnlikeSizes>> {
    let mut tables: BTreeMap<String, Vec<(&Run, Size)>> = BTreeMap::new();
    for run in runs {
        for (table, size) in sizes_of(&run.result) {
            tables.entry(table).or_default().push((run, size));
        }
    }
    tables.iter().try_for_each(|(table, sizes)| alike(table, sizes))
}

/// By what is known of all of them.
fn alike(table: &str, sizes: &[(&Run, Size)]) -> Result<(), Box<UnlikeSizes>> {
    let all = |of: fn(&Size) -> Option<[u64; 2]>| {
        let known = sizes.iter().map(|(run, size)| Some((*run, of(size)?)));
        known.collect::<Option<Vec<(&Run, [u64; 2])>>>()
    };
    let start = "at the start";
    let by_bytes = || Some((all(Size::bytes)?, start, format_bytes as fn(u64) -> String));
    // What one run adds to the next ones' table is seen at their ends, too.
    let by_ends = || {
        let ends = all(|size| Some([size.bytes_after?; 2]))?;
        Some((ends, "at the end", format_bytes as fn(u64) -> String))
    };
    let by_rows = all(|size| size.rows).map(|all| (all, start, rows as fn(u64) -> String));
    let Some((mut all, when, words)) = by_rows.or_else(by_bytes).or_else(by_ends) else {
        let unknown = sizes.iter().find(|(_, size)| size.rows.is_none());
        let folder = unknown.map(|(run, _)| run.folder.clone()).unwrap_or_default();
        return Err(Box::new(UnlikeSizes::NotKnown { table: table.to_owned(), folder }));
    };
    all.sort_by_key(|(_, [before, _])| *before);
    let smallest = all.iter().map(|(_, [_, after])| *after).min().unwrap_or(0);
    let (Some((least, [fewest, _])), Some((greatest, [most, _]))) = (all.first(), all.last())
    else {
        return Ok(());
    };
    if (most - fewest) as f64 <= smallest as f64 * SHARE_MAX {
        return Ok(());
    }
    Err(Box::new(UnlikeSizes::Apart {
        table: table.to_owned(),
        when,
        least: (least.folder.clone(), words(*fewest)),
        most: (greatest.folder.clone(), words(*most)),
    }))
}

/// The tables of a run with their sizes at its start, in words.
pub(super) fn told(result: &JobResult) -> impl Iterator<Item = (String, String)> {
    sizes_of(result).into_iter().map(|(table, size)| (table, size.told()))
}

fn sizes_of(result: &JobResult) -> Vec<(String, Size)> {
    let tables = match &result.body {
        Body::Benchmark(run) => &run.tables,
        Body::Sweep(run) => &run.tables,
        Body::Stream(_) | Body::Faults(_) => {
            let Some(run) = result.stream() else { return Vec::new() };
            let work = run.server_work.as_ref();
            let rows = run.stream.rows_before;
            let size = Size {
                rows: rows.map(|before| [before, before + run.stream.rows_acknowledged]),
                bytes_before: work.and_then(|work| work.table_bytes_before),
                bytes_after: work.and_then(|work| work.table_bytes),
            };
            return vec![("the stream's table".to_owned(), size)];
        }
    };
    let size = |rows| Size { rows: Some([rows; 2]), ..Size::default() };
    tables.iter().map(|table| (table.table.clone(), size(table.rows))).collect()
}
