//! Whether runs may be compared: they were asked to do the same, on tables of one size.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::{LeftOut, Options, Run};
use crate::plan::unwritten;
use crate::result::{Body, JobResult, is_within, plan_keys};

/// Rows at the start may differ by so much, as a share of the smallest table that a run saw.
const ROWS_SHARE_MAX: f64 = 0.10;

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
            if follows(first, &own, key) && follows(run, &theirs, key) {
                continue;
            }
            unlike.entry(key.clone()).or_insert_with(|| Unlike {
                key: key.clone(),
                first: own.get(key).cloned(),
                other: theirs.get(key).cloned(),
                folder: run.folder.clone(),
            });
        }
    }
    let unlike = whole_items(&unlike.into_values().collect::<Vec<_>>());
    let may = |key: &str| options.allowed.iter().any(|allowed| is_within(key, allowed));
    let (allowed, refused): (Vec<Unlike>, Vec<Unlike>) =
        unlike.into_iter().partition(|unlike| may(&unlike.key));
    if !refused.is_empty() {
        return Err(Refused::Plans { first: first.folder.clone(), keys: refused });
    }
    if !options.allow_rows {
        sizes(&runs)?;
    }
    Ok(allowed)
}

/// Whether a run has of a key what its plan has by default: where two have unlike ones, those follow from
/// another key that is unlike too, which is told.
fn follows(run: &Run, keys: &BTreeMap<String, String>, key: &str) -> bool {
    let without = unwritten(&run.result.plan, key);
    without.is_some_and(|without| plan_keys(&without).get(key) == keys.get(key))
}

/// An item of a list that one plan has and the other has not is one difference, and not one for each of its
/// keys: its name stands for it.
fn whole_items(all: &[Unlike]) -> Vec<Unlike> {
    let is_half = |unlike: &Unlike| unlike.first.is_none() != unlike.other.is_none();
    let items: Vec<(String, bool)> = all
        .iter()
        .filter(|unlike| is_half(unlike))
        .filter_map(|unlike| {
            let item = unlike.key.strip_suffix(".name")?;
            Some((item.to_owned(), unlike.first.is_some()))
        })
        .collect();
    let item_of = |unlike: &Unlike| {
        let own = items.iter().find(|(item, of_first)| {
            is_within(&unlike.key, item) && unlike.first.is_some() == *of_first
        });
        own.filter(|_| is_half(unlike)).map(|(item, _)| item.clone())
    };
    let told = all.iter().filter_map(|unlike| match item_of(unlike) {
        Some(item) if unlike.key == format!("{item}.name") => {
            let there = |value: &Option<String>| value.as_ref().map(|_| "there".to_owned());
            let (first, other) = (there(&unlike.first), there(&unlike.other));
            Some(Unlike { key: item, first, other, folder: unlike.folder.clone() })
        }
        Some(_) => None,
        None => Some(unlike.clone()),
    });
    told.collect()
}

fn sizes(runs: &[&Run]) -> Result<(), Refused> {
    let mut tables: BTreeMap<String, Vec<(&Run, Size)>> = BTreeMap::new();
    for run in runs {
        for (table, size) in sizes_of(&run.result) {
            tables.entry(table).or_default().push((run, size));
        }
    }
    for (table, mut sizes) in tables {
        sizes.sort_by_key(|(_, size)| size.at_start);
        let smallest = sizes.iter().map(|(_, size)| size.at_end).min().unwrap_or(0);
        let (Some((least, fewest)), Some((greatest, most))) = (sizes.first(), sizes.last()) else {
            continue;
        };
        let (fewest, most) = (fewest.at_start, most.at_start);
        if (most - fewest) as f64 > smallest as f64 * ROWS_SHARE_MAX {
            let (fewest, most) = ((least.folder.clone(), fewest), (greatest.folder.clone(), most));
            return Err(Refused::Rows { table, fewest, most });
        }
    }
    Ok(())
}

/// Rows of a table.
#[derive(Debug, Clone, Copy)]
pub(super) struct Size {
    /// When the run began.
    pub(super) at_start: u64,
    /// When it ended.
    at_end: u64,
}

/// The sizes of each table of a run; of a stream's, where its rows were counted.
pub(super) fn sizes_of(result: &JobResult) -> Vec<(String, Size)> {
    let tables = match &result.body {
        Body::Benchmark(run) => &run.tables,
        Body::Sweep(run) => &run.tables,
        Body::Stream(_) | Body::Faults(_) => {
            let Some(run) = result.stream() else { return Vec::new() };
            let size = run.stream.rows_before.map(|before| {
                let at_end = before + run.stream.rows_acknowledged;
                ("the stream's table".to_owned(), Size { at_start: before, at_end })
            });
            return size.into_iter().collect();
        }
    };
    let size = |rows| Size { at_start: rows, at_end: rows };
    tables.iter().map(|table| (table.table.clone(), size(table.rows))).collect()
}
