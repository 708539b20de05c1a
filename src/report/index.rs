//! The index of several jobs in one folder, for people.

use std::fmt::Write as _;

use crate::quantity::format_seconds;
use crate::result::index::{Index, IndexEntry};

use super::words::harmless;

/// An index as Markdown.
pub fn index_markdown(index: &Index) -> String {
    let mut out =
        "# Results\n\n| profile | result | took | exit code |\n|---|---|---|---|\n".to_owned();
    for run in &index.runs {
        let name = match &run.folder {
            Some(folder) => format!("[{}]({folder}/)", run.profile),
            None => run.profile.clone(),
        };
        let code = run.exit_code.map_or("-".to_owned(), |code| code.to_string());
        // Writing to a String cannot fail.
        let _ = writeln!(
            out,
            "| {name} | {} | {} | {code} |",
            said(run).replace('|', "\\|"),
            took(run)
        );
    }
    out
}

/// An index for a terminal.
pub fn index_text(index: &Index) -> String {
    let width = index.runs.iter().map(|run| run.profile.len()).max().unwrap_or_default();
    let mut out = String::new();
    for run in &index.runs {
        let code = run.exit_code.map_or("-".to_owned(), |code| code.to_string());
        let _ = writeln!(
            out,
            "{:width$}  exit {code:>3}  {:>8}  {}",
            run.profile,
            took(run),
            said(run)
        );
    }
    harmless(&out)
}

fn said(run: &IndexEntry) -> String {
    match &run.fix {
        Some(fix) => format!("{}; fix: {fix}", run.verdict),
        None => run.verdict.clone(),
    }
}

fn took(run: &IndexEntry) -> String {
    format_seconds(run.took_s.trunc())
}
