//! From a result to what to do about it: pure functions. A rule without evidence in the result does not
//! speak. `doctor` says some of the same before a run, under the same names.

mod comparison;
mod gpu;
mod server;
mod stream;
mod waits;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::JobResult;

pub(crate) use server::{
    PATHS, clock_off, cpu_fallback, durability, no_parallel_workers, paths_off,
};
pub(crate) use stream::WAL_SHARE;

/// How much an item matters.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// Figures are wrong, or called something that they are not.
    Critical,
    /// Figures are worse than they need be, or easily misread.
    Warning,
    /// Worth knowing when reading them.
    Note,
}

impl Severity {
    /// Its name in reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::Critical => "critical",
            Self::Warning => "warning",
            Self::Note => "note",
        }
    }
}

/// One thing to know or to do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Advice {
    /// Its name, for programs; docs/advice.md lists them all.
    pub id: String,
    /// How much it matters.
    pub severity: Severity,
    /// What was found, with its figures.
    pub fact: String,
    /// What that does to figures.
    pub why: String,
    /// What mends it.
    pub fix: String,
}

impl Advice {
    /// A new item.
    pub fn new(
        id: &str,
        severity: Severity,
        fact: impl Into<String>,
        why: impl Into<String>,
        fix: impl Into<String>,
    ) -> Self {
        Self { id: id.to_owned(), severity, fact: fact.into(), why: why.into(), fix: fix.into() }
    }
}

/// Names of every item that a result can lead to, in the order of the code, with what they are about.
pub const ALL: &[(&str, &str)] = &[
    (
        "loader-limited",
        "the loader or its machine, not the server, set the limit or made batches late",
    ),
    ("small-wal", "the size of the log forced checkpoints while the run went on"),
    ("commit-waits", "batches mostly waited for the log to be on disk, or on a standby"),
    ("wal-bound", "sessions waited for each other to write into the log"),
    ("lock-waits", "sessions waited for locks of others"),
    ("autovacuum-waits", "sessions waited for locks that autovacuum had"),
    ("past-shared-buffers", "a table has outgrown `shared_buffers`"),
    ("readers-starved", "one query took nearly all of the readers' time, and another hardly ran"),
    ("clock-off", "the server's clock is more than 100 ms off this machine's"),
    ("clock-set", "a clock was set while the run went on"),
    ("fsync-off", "commits do not wait for the disk"),
    ("full-page-writes-off", "pages are not written whole to the log"),
    ("synchronous-commit-off", "commits are acknowledged before they are on disk"),
    ("autovacuum-off", "autovacuum is off"),
    ("no-parallel-workers", "queries get no parallel workers, and a GPU is compared with them"),
    ("cpu-fallback", "`pg_strom.cpu_fallback` is not off"),
    ("gpu-path-off", "a way of using the GPU is switched off"),
    ("gpu-not-engaged", "the GPU was on for a query, and its plans are all of the CPU"),
    ("gpu-fell-back", "the GPU handed rows back to the CPU"),
    ("gpu-slower", "a query did run on the GPU, and is shown to be slower there"),
    ("gpu-idle", "a GPU was busy for less than 5 % of the time on average"),
    ("gpu-memory-high", "more than 80 % of a GPU's memory was in use"),
    ("gpu-memory-low", "less than 20 % of a GPU's memory was in use"),
    ("gpu-throttled", "a GPU's clocks were held down"),
    ("few-pairs", "no direction is shown, and more pairs are likely to show one"),
];

/// Everything there is to say of a job that has ended, worst first.
pub(super) fn advise(result: &JobResult) -> Vec<Advice> {
    let mut advice = Vec::new();
    if let Some(run) = result.stream() {
        advice.extend(stream::advise(result, run));
        advice.extend(waits::advise(result, run));
    }
    advice.extend(server::advise(result));
    advice.extend(gpu::advise(result));
    advice.extend(comparison::advise(result));
    // Stable: what stands together stays together.
    advice.sort_by_key(|item| item.severity);
    advice
}

/// Names in a sentence: all of a few, and of many the first.
fn listed<'a>(names: impl Iterator<Item = &'a str>) -> String {
    const MOST: usize = 5;
    let mut all: Vec<&str> = Vec::new();
    for name in names {
        if !all.contains(&name) {
            all.push(name);
        }
    }
    match all.len().checked_sub(MOST) {
        Some(more @ 1..) => format!("{} and {more} more", all[..MOST].join(", ")),
        _ => all.join(", "),
    }
}

#[cfg(test)]
mod tests;
