//! Whether runs may be compared: they were asked to do the same, on tables of one size.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::sizes::{self, UnlikeSizes};
use super::{LeftOut, Options, Run};
use crate::plan::unwritten;
use crate::result::{is_within, plan_keys};

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
    /// Two are one run: named twice, or a copy.
    Twice {
        /// The folder that was named first.
        first: String,
        /// Another one, or the same.
        again: String,
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
    /// Their tables are of unlike sizes, or nobody can tell.
    Sizes(Box<UnlikeSizes>),
}

/// Refuses a run that is there twice: it would pass for two.
pub(super) fn check_twice(sides: &[Vec<Run>; 2]) -> Result<(), Refused> {
    let runs: Vec<&Run> = sides.iter().flatten().collect();
    for (at, again) in runs.iter().enumerate() {
        if let Some(first) = runs[..at].iter().find(|first| first.result.is_run_of(&again.result)) {
            let [first, again] = [first, again].map(|run| run.folder.clone());
            return Err(Refused::Twice { first, again });
        }
    }
    Ok(())
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
        sizes::check(&runs).map_err(Refused::Sizes)?;
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
