//! Whether runs may be compared: they were asked to do the same, on tables of one size.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::{LeftOut, Options, Run};
use crate::result::{Body, JobResult, is_within, plan_keys};

/// Tables may differ by so much, as the greater one's multiple of the smaller.
const ROWS_RATIO_MAX: f64 = 1.10;

/// A key of the plan that differs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Unlike {
    /// The key, such as `stream.rows_per_s`.
    pub key: String,
    /// Its value in the first run; `None`: it has none.
    pub first: Option<String>,
    /// Another value.
    pub other: Option<String>,
    /// The folder of the first run that has this one.
    pub folder: String,
}

/// Why runs are not compared.
#[derive(Debug, Clone)]
pub enum Refused {
    /// No run of a side came to its end.
    NoRun {
        /// The side.
        side: &'static str,
        /// How they ended.
        left_out: Vec<LeftOut>,
    },
    /// They are jobs of unlike kinds.
    Kinds {
        /// The first run and its kind.
        first: (String, String),
        /// Another one.
        other: (String, String),
    },
    /// They were asked to do unlike things.
    Plans {
        /// The folder of the first run.
        first: String,
        /// Each key.
        keys: Vec<Unlike>,
    },
    /// A table has unlike sizes.
    Rows {
        /// The table.
        table: String,
        /// The run with the fewest rows.
        fewest: (String, u64),
        /// That with the most.
        most: (String, u64),
    },
}

/// The keys that differ and may.
pub(super) fn check(sides: [&[&Run]; 2], options: &Options) -> Result<Vec<Unlike>, Refused> {
    let runs: Vec<&Run> = sides.into_iter().flatten().copied().collect();
    let Some((first, others)) = runs.split_first() else { return Ok(Vec::new()) };
    let kind = |run: &Run| (run.folder.clone(), run.result.kind().to_owned());
    if let Some(other) = others.iter().find(|run| kind(run).1 != kind(first).1) {
        return Err(Refused::Kinds { first: kind(first), other: kind(other) });
    }
    let own = plan_keys(&first.result.plan);
    let mut unlike: BTreeMap<String, Unlike> = BTreeMap::new();
    for run in others {
        let theirs = plan_keys(&run.result.plan);
        let keys: BTreeSet<&String> = own.keys().chain(theirs.keys()).collect();
        for key in keys.into_iter().filter(|key| own.get(*key) != theirs.get(*key)) {
            unlike.entry(key.clone()).or_insert_with(|| Unlike {
                key: key.clone(),
                first: own.get(key).cloned(),
                other: theirs.get(key).cloned(),
                folder: run.folder.clone(),
            });
        }
    }
    let may = |key: &str| options.allowed.iter().any(|allowed| is_within(key, allowed));
    let (allowed, refused): (Vec<Unlike>, Vec<Unlike>) =
        unlike.into_values().partition(|unlike| may(&unlike.key));
    if !refused.is_empty() {
        return Err(Refused::Plans { first: first.folder.clone(), keys: refused });
    }
    if !options.allow_rows {
        sizes(&runs)?;
    }
    Ok(allowed)
}

fn sizes(runs: &[&Run]) -> Result<(), Refused> {
    let mut tables: BTreeMap<String, Vec<(&Run, u64)>> = BTreeMap::new();
    for run in runs {
        for (table, rows) in rows(&run.result) {
            tables.entry(table).or_default().push((run, rows));
        }
    }
    for (table, mut sizes) in tables {
        sizes.sort_by_key(|(_, rows)| *rows);
        let (Some((least, fewest)), Some((greatest, most))) = (sizes.first(), sizes.last()) else {
            continue;
        };
        if *most as f64 > *fewest as f64 * ROWS_RATIO_MAX {
            let (fewest, most) =
                ((least.folder.clone(), *fewest), (greatest.folder.clone(), *most));
            return Err(Refused::Rows { table, fewest, most });
        }
    }
    Ok(())
}

/// The rows of each table of a run: of a stream's, those that were there and those that were due.
pub(super) fn rows(result: &JobResult) -> Vec<(String, u64)> {
    let tables = match &result.body {
        Body::Benchmark(run) => &run.tables,
        Body::Sweep(run) => &run.tables,
        Body::Stream(_) | Body::Faults(_) => {
            let Some(run) = result.stream() else { return Vec::new() };
            // Without a schedule they are as many as the server took.
            let due = run.stream.target_rows_per_s.map_or(0, |_| run.stream.rows_due);
            let before = run.stream.rows_before.filter(|before| before + due > 0);
            let rows = before.map(|before| ("the stream's table".to_owned(), before + due));
            return rows.into_iter().collect();
        }
    };
    tables.iter().map(|table| (table.table.clone(), table.rows)).collect()
}
