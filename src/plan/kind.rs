//! What a profile is for: the kind of its job, and which of its keys that has.

use std::fmt;

use crate::profile::document::Table;

/// Keys of benchmarks that a sweep has not: it has no pairs, and rounds of its own.
const OF_PAIRS: [&str; 7] = [
    "bench.order",
    "bench.pairs_min",
    "bench.pairs_max",
    "bench.time_s",
    "bench.precision",
    "bench.repeats",
    "bench.repeats_restart",
];

/// The kind of a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Rows are streamed into a table, with readers beside.
    Stream,
    /// Queries on tables that stand still.
    Benchmark,
    /// Settings of the server, compared by the queries of a benchmark.
    Sweep,
    /// Tables alone, to be filled.
    Fill,
}

impl Kind {
    /// Every kind.
    pub(super) const ALL: [Self; 4] = [Self::Stream, Self::Benchmark, Self::Sweep, Self::Fill];

    /// What a profile with these keys is for, if that can be told.
    pub(super) fn of(profile: &Table) -> Option<Self> {
        let kinds = [
            ("sweep", Self::Sweep),
            ("bench", Self::Benchmark),
            ("stream", Self::Stream),
            ("tables", Self::Fill),
        ];
        kinds.into_iter().find(|(key, _)| profile.get(key).is_some()).map(|(_, kind)| kind)
    }

    /// Whether a job of this kind has the part of the profile at this dotted key.
    pub(super) fn has(self, key: &str) -> bool {
        match key.split('.').next().unwrap_or_default() {
            "name" | "description" | "seed" | "tables" => true,
            // Of a sweep, arms are a fault of their own.
            "thresholds" | "arms" | "evidence" | "watch" => self != Self::Fill,
            "bench" => match self {
                Self::Benchmark => true,
                Self::Sweep => !OF_PAIRS.contains(&key),
                Self::Stream | Self::Fill => false,
            },
            "sweep" => self == Self::Sweep,
            _ => self == Self::Stream,
        }
    }
}

/// In a sentence: "has no meaning for …".
impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Stream => "a stream",
            Self::Benchmark => "a benchmark",
            Self::Sweep => "a sweep",
            Self::Fill => "tables alone",
        })
    }
}
