//! Words that the summaries of streams, benchmarks and sweeps share.

use std::fmt::{self, Write as _};

use crate::quantity::format_count;
use crate::result::JobResult;
use crate::result::answers::{AnswerHistory, Row};
use crate::result::arm::Gpu;
use crate::result::evidence::{self, PlanHistory};
use crate::stats::{Comparison, Verdict};

/// Differing rows that are shown of each answer; the result file has more.
const EXAMPLES_SHOWN: usize = 3;

/// SQLSTATE of a statement that was cancelled, by hand or by a timeout.
const QUERY_CANCELED: &str = "57014";
/// What is shown when nothing else is known.
const UNKNOWN: &str = "the planner found the CPU cheaper: compare the table's size with \
                           pg_strom.gpu_setup_cost, and see `strom-load doctor`";
/// What may keep a query from being answered that was planned on the GPU and ran into its timeout.
const ASLEEP: &str = "planned on the GPU and not answered in time: if the configuration was \
                          reloaded, PG-Strom's GPU service may be without workers; a superuser \
                          wakes it by setting pg_strom.max_async_tasks to another value and back";
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
    let elsewhere = matches!(verdict, Some(evidence::Verdict::Remote | evidence::Verdict::Mixed));
    if why.is_empty() && plan.evidence.is_some() && !elsewhere {
        why.push(format!("why: {UNKNOWN}"));
    }
    why
}

/// What may have kept an arm that is on from answering within its timeout.
pub(super) fn why_silent(gpu: Gpu, plan: Option<&PlanHistory>, sqlstate: &str) -> Option<String> {
    let verdict = plan.and_then(|plan| Some(plan.evidence.as_ref()?.verdict));
    let on_gpu = gpu == Gpu::On && verdict == Some(evidence::Verdict::Gpu);
    (on_gpu && sqlstate == QUERY_CANCELED).then(|| format!("why: {ASLEEP}"))
}

/// What comparing two answers came to.
pub(super) fn answers(answers: &AnswerHistory) -> String {
    match (answers.checks, answers.different, answers.failed) {
        (0, _, 0) => not_compared(answers),
        (0, _, _) => "could not be compared".to_owned(),
        (_, 0, _) if answers.ties > 0 => "same, but for ties".to_owned(),
        (_, 0, _) => format!("same ({} rows)", format_count(answers.rows)),
        _ => "DIFFERENT".to_owned(),
    }
}

/// That no answers were compared, and why, if they were to be.
pub(super) fn not_compared(answers: &AnswerHistory) -> String {
    let why = answers.not_compared.as_ref();
    why.map_or_else(|| "not compared".to_owned(), |why| format!("not compared: {why}"))
}

/// Why answers were not compared, and the first rows that only one of two `arms` has.
pub(super) fn differences<'a>(
    arms: impl Iterator<Item = &'a str>,
    answers: &AnswerHistory,
) -> Vec<String> {
    let mut lines = Vec::new();
    if let Some(error) = &answers.error {
        lines.push(format!("the answers were not compared: {}", one_line(error)));
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

/// A text of several lines in one.
pub(super) fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The summary of a job whose text is laid out for a terminal, as Markdown.
pub(super) fn as_markdown(out: &mut String, result: &JobResult) -> fmt::Result {
    let text = super::summary(result);
    writeln!(out, "# {}\n\n```text\n{}\n```", result.profile(), text.trim())
}

/// A row of an answer.
fn row(row: &Row) -> String {
    let value = |(name, value): (&String, &Option<String>)| {
        format!("{name} = {}", value.as_deref().unwrap_or("NULL"))
    };
    row.iter().map(value).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::result::evidence::Evidence;

    #[test]
    fn only_a_timeout_on_the_gpu_is_laid_to_its_service() {
        let plan = |node: &str| PlanHistory {
            evidence: Some(Evidence::read(
                &json!([{ "Plan": {
                "Node Type": "Custom Scan",
                "Custom Plan Provider": node,
                "Relation Name": "sales",
                "Alias": "sales",
            } }])
                .to_string(),
            )),
            ..PlanHistory::default()
        };
        let gpu = plan("GpuPreAgg");
        let why = why_silent(Gpu::On, Some(&gpu), "57014").unwrap();
        assert!(
            why.contains("setting pg_strom.max_async_tasks to another value and back"),
            "{why}"
        );
        assert_eq!(why_silent(Gpu::On, Some(&gpu), "XX000"), None);
        assert_eq!(why_silent(Gpu::Off, Some(&gpu), "57014"), None);
        assert_eq!(why_silent(Gpu::On, Some(&PlanHistory::default()), "57014"), None);
        assert_eq!(why_silent(Gpu::On, None, "57014"), None);
    }
}
