//! The index of several jobs in one folder, for people.

use std::fmt::Write as _;

use crate::quantity::format_seconds;
use crate::result::index::{Index, IndexEntry};

use super::words::harmless;

/// An index as Markdown.
pub fn index_markdown(index: &Index) -> String {
    let mut out = "# Results\n\n| profile | | result | took | exit code |\n|---|---|---|---|---|\n"
        .to_owned();
    for run in &index.runs {
        let name = match &run.folder {
            Some(folder) => format!("[{}]({folder}/)", run.profile),
            None => run.profile.clone(),
        };
        let code = run.exit_code.map_or("-".to_owned(), |code| code.to_string());
        // Writing to a String cannot fail.
        let _ = writeln!(
            out,
            "| {name} | {} | {} | {} | {code} |",
            word(run),
            said(run).replace('|', "\\|"),
            took(run)
        );
    }
    harmless(&out)
}

/// An index for a terminal.
pub fn index_text(index: &Index) -> String {
    let widest = |of: fn(&IndexEntry) -> usize| index.runs.iter().map(of).max().unwrap_or_default();
    let (width, words) = (widest(|run| run.profile.len()), widest(|run| word(run).len()));
    let mut out = String::new();
    for run in &index.runs {
        let code = run.exit_code.map_or("-".to_owned(), |code| code.to_string());
        let _ = writeln!(
            out,
            "{:words$}  {:width$}  exit {code:>3}  {:>8}  {}",
            word(run),
            run.profile,
            took(run),
            said(run)
        );
    }
    harmless(&out)
}

/// What came of all, in a line: how many are OK, and what the others came to.
pub fn index_line(index: &Index) -> String {
    let (of, mut others) = (index.runs.len(), Vec::new());
    for run in &index.runs {
        match run.word() {
            Some("OK") => {}
            Some(word) => others.push(format!("{} {word}", run.profile)),
            None if run.folder.is_some() => others.push(format!("{} not ended", run.profile)),
            None => others.push(format!("{} not begun", run.profile)),
        }
    }
    let good = of - others.len();
    let all = std::iter::once(format!("{good} of {of} runs OK")).chain(others);
    harmless(&all.collect::<Vec<_>>().join(" · "))
}

fn word(run: &IndexEntry) -> &str {
    run.word().unwrap_or("-")
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_run_of_an_index_has_its_word() {
        let names = ["good", "slow", "late", "now", "never"].map(str::to_owned);
        let mut index = Index::of(names.into_iter());
        let ended =
            [("OK", 0, "3,000 rows/s kept"), ("DONE", 0, "rate | not kept"), ("FAIL", 99, "x")];
        for (run, (word, code, said)) in index.runs.iter_mut().zip(ended) {
            run.conclude(word, said);
            (run.exit_code, run.took_s) = (Some(code), 2.0);
        }
        index.runs[3].begin("04-now");
        let shown = [index_line(&index), index_text(&index), index_markdown(&index)];
        insta::assert_snapshot!(shown.join("\n"));
    }
}
