//! The queries' part of the summary: what each took, where it ran, and the arms compared.

use std::fmt::{self, Write as _};

use super::format_ms;
use crate::quantity::{format_count, format_rate};
use crate::record::Percentiles;
use crate::report::words;
use crate::result::query::{ComparisonReport, QueriesDue, QueryReport};

/// Queries that were due and never asked; nothing is said if there are none.
pub(super) fn due(out: &mut String, due: Option<&QueriesDue>) -> fmt::Result {
    let Some(QueriesDue { due, asked, dropped }) = due.filter(|due| due.dropped > 0) else {
        return Ok(());
    };
    let [due, asked, dropped] = [due, asked, dropped].map(|count| format_count(*count));
    writeln!(out, "\nqueries     {due} due, {asked} asked, {dropped} dropped")
}

/// Each query in each arm.
pub(super) fn executions(out: &mut String, queries: &[QueryReport]) -> fmt::Result {
    if queries.is_empty() {
        return Ok(());
    }
    let longest = |of: fn(&QueryReport) -> usize| queries.iter().map(of).max().unwrap_or(0);
    let (width, arms) =
        (longest(|query| query.query.len()).max(5), longest(|query| query.arm.len()).max(3));
    writeln!(
        out,
        "\n{:width$}  {:arms$} {:>8}{:>10}{:>10}{:>10}{:>12}{:>8}  ran on",
        "query", "arm", "rate", "p50", "p99", "max", "answer age", "errors"
    )?;
    for query in queries {
        let response = query.response.as_ref();
        let cell =
            |of: fn(&Percentiles) -> f64| response.map_or("none".into(), |p| format_ms(of(p)));
        let age = query.answer_age.as_ref().map_or("-".into(), |p| format_ms(p.p50_ms));
        writeln!(
            out,
            "{:width$}  {:arms$} {:>8}{:>10}{:>10}{:>10}{:>12}{:>8}  {}",
            query.query,
            query.arm,
            format_rate(query.queries_per_s),
            cell(|p| p.p50_ms),
            cell(|p| p.p99_ms),
            cell(|p| p.max_ms),
            age,
            query.errors.values().sum::<u64>(),
            query.evidence()
        )?;
        for (code, count) in &query.errors {
            writeln!(out, "{:width$}  SQLSTATE {code}: {}", "", format_count(*count))?;
        }
        notes(out, query, width)?;
    }
    Ok(())
}

/// Why a query is not on the GPU, what fell back, and whether its plan changed.
fn notes(out: &mut String, query: &QueryReport, width: usize) -> fmt::Result {
    if query.interrupted > 0 {
        let count = format_count(query.interrupted);
        writeln!(out, "{:width$}  {count} cut off by the end of the run", "")?;
    }
    let Some(plan) = &query.plan else { return Ok(()) };
    if let Some(error) = &plan.error {
        writeln!(out, "{:width$}  no plan: {}", "", error.replace('\n', " "))?;
    }
    if query.fallback_rows > 0 {
        let rows = format_count(query.fallback_rows);
        writeln!(out, "{:width$}  {rows} rows fell back to the CPU", "")?;
    }
    if plan.changed > 0 {
        let times = format_count(plan.changed);
        write!(out, "{:width$}  the plan changed {times} times", "")?;
        match plan.changes.first() {
            Some(first) => writeln!(
                out,
                ", first after {:.0} s: {} -> {}",
                first.at_s, first.from_shape, first.to_shape
            )?,
            None => writeln!(out)?,
        }
    }
    let silent = query.errors.keys();
    let silent = silent.filter_map(|code| words::why_silent(query.gpu, Some(plan), code));
    for why in words::why_not_gpu(query.gpu, plan).into_iter().chain(silent) {
        writeln!(out, "{:width$}  {why}", "")?;
    }
    Ok(())
}

/// The two arms of each query, compared.
pub(super) fn comparisons(out: &mut String, comparisons: &[ComparisonReport]) -> fmt::Result {
    if comparisons.is_empty() {
        return Ok(());
    }
    let width = comparisons.iter().map(|c| c.query.len()).max().unwrap_or(0).max(8);
    writeln!(
        out,
        "\n{:width$} {:>10}{:>10}  {:24}{:24}{:>6}  answers",
        "compared", "base", "other", "ratio of medians (95 %)", "verdict", "pairs"
    )?;
    for comparison in comparisons {
        let times = comparison.times.as_ref();
        let cell = |of: fn(&crate::stats::Comparison) -> Option<f64>| {
            times.and_then(of).map_or("-".to_owned(), |ns| format_ms(ns / 1e6))
        };
        writeln!(
            out,
            "{:width$} {:>10}{:>10}  {:24}{:24}{:>6}  {}",
            comparison.query,
            cell(|times| times.median_a_ns),
            cell(|times| times.median_b_ns),
            words::ratio(times),
            verdict(comparison),
            comparison.pairs,
            answers(comparison)
        )?;
        let arms = comparison.arms.iter().map(String::as_str);
        for line in words::differences(arms, &comparison.answers) {
            writeln!(out, "  {line}")?;
        }
    }
    Ok(())
}

/// By the interval, never by the point; and nothing is faster that answers wrongly.
fn verdict(comparison: &ComparisonReport) -> String {
    let [_, other] = &comparison.arms;
    if !comparison.valid {
        return "INVALID".to_owned();
    }
    let times = comparison.times.as_ref();
    times.map_or("no pairs".to_owned(), |times| words::verdict(other, times.verdict))
}

fn answers(comparison: &ComparisonReport) -> String {
    let answers = &comparison.answers;
    match (answers.checks, answers.different, answers.failed) {
        (0, _, 0) => words::not_compared(answers),
        (0, _, failed) => format!("could not be compared ({failed} times)"),
        (checks, 0, _) if answers.ties > 0 => format!("same, but for ties ({checks} compared)"),
        (checks, 0, _) => format!("same ({checks} compared)"),
        (checks, different, _) => format!("DIFFERENT ({different} of {checks})"),
    }
}
