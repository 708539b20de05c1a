//! The index of several runs in one folder.

use std::fmt::Write as _;
use std::time::Duration;

use serde::Serialize;

use super::bench::BenchReport;
use super::{FORMAT_VERSION, RunReport};
use crate::quantity::{format_duration, format_rate};

/// Several runs, one behind the other.
#[derive(Debug, Serialize)]
pub struct Index {
    /// See [`FORMAT_VERSION`].
    pub format_version: u32,
    /// "index".
    pub kind: &'static str,
    /// Each run.
    pub runs: Vec<IndexEntry>,
}

/// One of several runs.
#[derive(Debug, Clone, Serialize)]
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

impl Index {
    /// An index of runs that have not begun.
    pub fn of(profiles: impl Iterator<Item = String>) -> Self {
        let entry = |profile| IndexEntry {
            profile,
            folder: None,
            exit_code: None,
            took_s: 0.0,
            verdict: "not begun".to_owned(),
        };
        Self { format_version: FORMAT_VERSION, kind: "index", runs: profiles.map(entry).collect() }
    }

    /// As Markdown.
    pub fn markdown(&self) -> String {
        let mut out =
            "# Results\n\n| profile | result | took | exit code |\n|---|---|---|---|\n".to_owned();
        for run in &self.runs {
            let name = match &run.folder {
                Some(folder) => format!("[{}]({folder}/)", run.profile),
                None => run.profile.clone(),
            };
            let code = run.exit_code.map_or("-".to_owned(), |code| code.to_string());
            // Writing to a String cannot fail.
            let _ = writeln!(
                out,
                "| {name} | {} | {} | {code} |",
                run.verdict.replace('|', "\\|"),
                took(run)
            );
        }
        out
    }

    /// For a terminal.
    pub fn text(&self) -> String {
        let width = self.runs.iter().map(|run| run.profile.len()).max().unwrap_or_default();
        let mut out = String::new();
        for run in &self.runs {
            let code = run.exit_code.map_or("-".to_owned(), |code| code.to_string());
            let _ = writeln!(
                out,
                "{:width$}  exit {code:>3}  {:>8}  {}",
                run.profile,
                took(run),
                run.verdict
            );
        }
        out
    }
}

fn took(run: &IndexEntry) -> String {
    format_duration(Duration::from_secs(run.took_s as u64))
}

impl RunReport {
    /// What may be said of the run, in a line.
    pub fn verdict_line(&self) -> String {
        let rate = format_rate(self.stream.achieved_rows_per_s);
        let rows = match (self.rows_add_up(), self.stream.rows_found) {
            (false, _) => "THE TABLE IS NOT WHAT WAS SENT",
            (true, Some(_)) => "every acknowledged row found",
            (true, None) => "rows not checked",
        };
        let answers = if self.answers_agree() { "" } else { ", ANSWERS DIFFER" };
        format!("{rate}, {rows}{answers}")
    }
}

impl BenchReport {
    /// What may be said of the benchmark, in a line.
    pub fn verdict_line(&self) -> String {
        super::bench::verdicts(self).join("; ")
    }
}
