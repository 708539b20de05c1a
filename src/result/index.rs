//! Several jobs in one folder.

use serde::{Deserialize, Serialize};

use super::FORMAT_VERSION;

/// Several runs, one behind the other.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Index {
    /// See [`FORMAT_VERSION`].
    pub format_version: u32,
    /// "index".
    pub kind: IndexKind,
    /// Each run.
    pub runs: Vec<IndexEntry>,
}

/// One of several runs.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct IndexEntry {
    /// Its profile.
    pub profile: String,
    /// Its folder within the index's; `None` if it has not begun.
    pub folder: Option<String>,
    /// Exit code that it would have had alone; `None` if it has not ended.
    pub exit_code: Option<u8>,
    /// How long it took, in seconds.
    pub took_s: f64,
    /// What may be said of it, in a line.
    pub verdict: String,
}

/// Tells an index from the result of one job.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum IndexKind {
    /// The only one.
    Index,
}

impl Index {
    /// An index of jobs that have not begun.
    pub fn of(profiles: impl Iterator<Item = String>) -> Self {
        let entry = |profile| IndexEntry {
            profile,
            folder: None,
            exit_code: None,
            took_s: 0.0,
            verdict: "not begun".to_owned(),
        };
        let runs = profiles.map(entry).collect();
        Self { format_version: FORMAT_VERSION, kind: IndexKind::Index, runs }
    }
}
