//! Words that the summaries of streams, benchmarks and sweeps share.

use crate::quantity::format_count;
use crate::query::answer::Row;
use crate::query::examine::{AnswerHistory, PlanHistory};
use crate::stats::{Comparison, Verdict};
use crate::strom::{Gpu, evidence, hint};

/// Differing rows that are shown of each answer; the result file has more.
const EXAMPLES_SHOWN: usize = 3;

/// A ratio with its interval, as far as there is one.
pub(super) fn ratio(times: Option<&Comparison>) -> String {
    let Some(times) = times else { return "-".to_owned() };
    match (times.ratio, times.low, times.high) {
        (Some(ratio), Some(low), Some(high)) => format!("{ratio:.2} ({low:.2} - {high:.2})"),
        (Some(ratio), _, _) => format!("{ratio:.2}"),
        _ => "-".to_owned(),
    }
}

/// By the interval, never by the point.
pub(super) fn verdict(other: &str, verdict: Verdict) -> String {
    match verdict {
        Verdict::Faster => format!("{other} is faster"),
        Verdict::Slower => format!("{other} is slower"),
        Verdict::NoDifferenceShown => "no difference shown".to_owned(),
        Verdict::TooFewPairs => "too few pairs".to_owned(),
    }
}

/// Why an arm that is on did not run wholly on the GPU: nothing if it did, or is not on.
pub(super) fn why_not_gpu(gpu: Gpu, plan: &PlanHistory) -> Vec<String> {
    let verdict = plan.evidence.as_ref().map(|evidence| evidence.verdict);
    if gpu != Gpu::On || verdict == Some(evidence::Verdict::Gpu) {
        return Vec::new();
    }
    let says = plan.reasons.iter().map(|reason| format!("PG-Strom says: {reason}"));
    let known = plan.hints.iter().map(|hint| format!("why: {}; {}", hint.cause, hint.fix));
    let mut why: Vec<String> = says.chain(known).collect();
    if why.is_empty() && plan.evidence.is_some() {
        why.push(format!("why: {}", hint::UNKNOWN));
    }
    why
}

/// What comparing two answers came to.
pub(super) fn answers(answers: &AnswerHistory) -> String {
    match (answers.checks, answers.different, answers.failed) {
        (0, _, 0) => "not compared".to_owned(),
        (0, _, _) => "could not be compared".to_owned(),
        (_, 0, _) if answers.ties > 0 => "same, but for ties".to_owned(),
        (_, 0, _) => format!("same ({} rows)", format_count(answers.rows)),
        _ => "DIFFERENT".to_owned(),
    }
}

/// Why answers were not compared, and the first rows that only one of two `arms` has.
pub(super) fn differences<'a>(
    arms: impl Iterator<Item = &'a str>,
    answers: &AnswerHistory,
) -> Vec<String> {
    let mut lines = Vec::new();
    if let Some(error) = &answers.error {
        let error = error.split_whitespace().collect::<Vec<_>>().join(" ");
        lines.push(format!("the answers were not compared: {error}"));
    }
    if let Some(first) = answers.differences.first() {
        for ((arm, rows), count) in arms.zip(&first.examples).zip(first.only) {
            let count = format_count(count);
            let line = |shown| format!("only in {arm} ({count} rows): {}", row(shown));
            lines.extend(rows.iter().take(EXAMPLES_SHOWN).map(line));
        }
    }
    lines
}

/// A row of an answer.
fn row(row: &Row) -> String {
    let value = |(name, value): (&String, &Option<String>)| {
        format!("{name} = {}", value.as_deref().unwrap_or("NULL"))
    };
    row.iter().map(value).collect::<Vec<_>>().join(", ")
}
