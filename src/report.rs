//! Everything that is shown of a job, rendered from its saved result. Reads no live state.

mod benchmark;
mod cluster;
mod compare;
mod faults;
mod gpu;
mod history;
mod index;
mod latency;
mod measure;
mod outcome;
mod page;
mod query;
mod stream;
mod sweep;
mod table;
mod verdict;
mod words;

use std::fmt::Write as _;

use crate::result::index::Index;
use crate::result::{Body, JobResult};

pub use benchmark::query_line;
pub use cluster::cluster;
pub(crate) use compare::unlike_values;
pub use compare::{compare_markdown, compare_text};
pub use history::{history_csv, history_text};
pub use index::{index_line, index_markdown, index_text};
pub use page::{PAGE, compare_page, index_page, page, pages};
pub use stream::{RowIds, differences, left_out, may_have_written, shown};
pub use words::{csv_field, harmless};

/// What a person reads at the end: plain text, about a screen. The first line answers.
pub fn summary(result: &JobResult) -> String {
    harmless(&format!("{}\n{}", verdict::line(result), tables(result)))
}

/// The summary behind its first line.
fn tables(result: &JobResult) -> String {
    let mut out = String::new();
    // Writing to a String cannot fail.
    let _ = match &result.body {
        Body::Stream(run) => stream::write(&mut out, result, run),
        Body::Benchmark(run) => benchmark::write_text(&mut out, result, run),
        Body::Sweep(run) => sweep::write_text(&mut out, result, run),
        Body::Faults(run) => faults::write(&mut out, result, &run.faults),
    };
    let _ = outcome::advice(&mut out, result);
    out
}

/// The same as Markdown, for `summary.md`.
pub fn markdown(result: &JobResult) -> String {
    let mut out = format!(
        "# {}\n\n**{}**\n",
        words::escaped(result.profile()),
        words::marked(&verdict::line(result))
    );
    let _ = match &result.body {
        Body::Stream(_) | Body::Faults(_) => {
            writeln!(out, "\n```text\n{}\n```", tables(result).trim())
        }
        Body::Benchmark(run) => benchmark::write_markdown(&mut out, result, run),
        Body::Sweep(run) => sweep::write_markdown(&mut out, result, run),
    };
    if result.stream().is_none() {
        let _ = outcome::advice_markdown(&mut out, result);
    }
    harmless(&out)
}

/// The summaries of the jobs of an index, and what came of each in a line: with an empty line between two.
pub fn summaries<'a>(index: &Index, jobs: impl IntoIterator<Item = &'a JobResult>) -> String {
    let each = jobs.into_iter().map(summary);
    each.chain([index_text(index)]).collect::<Vec<_>>().join("\n")
}

/// What came of a job, in a word: OK, DONE, INTERRUPTED, UNFINISHED or FAIL.
pub fn verdict_word(result: &JobResult) -> &'static str {
    verdict::verdict(result).word
}

/// What may be said of the job, in a line of an index.
pub fn verdict_line(result: &JobResult) -> String {
    verdict::within_index(result)
}
