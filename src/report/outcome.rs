//! What every job may come to: what was asked for and not done, and its thresholds.

use std::fmt::{self, Write as _};

use crate::quantity::format_seconds;
use crate::result::{JobResult, Status, ThresholdReport};

/// Items of advice in a summary.
const ADVICE_SHOWN: usize = 4;

/// What was asked for and not done, a line each.
pub(super) fn shortfalls(result: &JobResult) -> impl Iterator<Item = String> + '_ {
    result.shortfalls.iter().map(|shortfall| format!("NOT DONE AS ASKED: {shortfall}"))
}

/// Thresholds that do not hold, with what they came to.
pub(super) fn missed_thresholds(result: &JobResult) -> impl Iterator<Item = String> + '_ {
    let missed = result.thresholds.iter().filter(|threshold| !threshold.passed);
    missed.map(|threshold| line(threshold, ""))
}

/// The same, a line each.
pub(super) fn failed_thresholds(result: &JobResult) -> impl Iterator<Item = String> + '_ {
    missed_thresholds(result).map(|missed| format!("THRESHOLD FAILED: {missed}"))
}

/// Every threshold with its verdict, for a terminal.
pub(super) fn thresholds(out: &mut String, result: &JobResult) -> fmt::Result {
    for threshold in &result.thresholds {
        writeln!(out, "threshold   {}", line(threshold, verdict(threshold)))?;
    }
    Ok(())
}

/// The same for Markdown; nothing without any.
pub(super) fn thresholds_markdown(out: &mut String, result: &JobResult) -> fmt::Result {
    for threshold in &result.thresholds {
        writeln!(out, "- threshold {}", line(threshold, verdict(threshold)))?;
    }
    if !result.thresholds.is_empty() {
        writeln!(out)?;
    }
    Ok(())
}

/// What the figures advise, a line each; the result has why, and all of it.
pub(super) fn advice(out: &mut String, result: &JobResult) -> fmt::Result {
    if result.advice.is_empty() {
        return Ok(());
    }
    writeln!(out, "\nadvice")?;
    for item in result.advice.iter().take(ADVICE_SHOWN) {
        writeln!(out, "  {}: {} [{}]", item.severity.name(), item.fact, item.id)?;
        writeln!(out, "    fix: {}", item.fix)?;
    }
    match result.advice.len().saturating_sub(ADVICE_SHOWN) {
        0 => Ok(()),
        more => writeln!(out, "  and {more} more in report.html"),
    }
}

/// The same for Markdown, all of it.
pub(super) fn advice_markdown(out: &mut String, result: &JobResult) -> fmt::Result {
    if !result.advice.is_empty() {
        writeln!(out, "\n## Advice\n")?;
    }
    result.advice.iter().try_for_each(|item| {
        let (severity, fact) = (item.severity.name(), &item.fact);
        writeln!(out, "- {severity}: {fact} (`{}`): {}. Fix: {}", item.id, item.why, item.fix)
    })
}

fn verdict(threshold: &ThresholdReport) -> &'static str {
    if threshold.passed { ", held" } else { ", FAILED" }
}

fn line(threshold: &ThresholdReport, verdict: &str) -> String {
    let unknown = || match &threshold.unjudged {
        Some(why) => format!("cannot be judged: {why}"),
        None => "not measured".to_owned(),
    };
    let value = threshold.value.map_or_else(unknown, |value| {
        let bound = match (threshold.at_least, threshold.at_most) {
            (true, _) => "≥ ",
            (_, true) => "≤ ",
            _ => "",
        };
        format!("{bound}{}", short(value))
    });
    let ended =
        threshold.aborted_at_s.map(|at| format!(" after {}, which ended it", format_seconds(at)));
    format!("`{}`: {value}{verdict}{}", threshold.threshold, ended.unwrap_or_default())
}

/// What the figure of a threshold came to.
pub(super) fn short(value: f64) -> String {
    let decimals = if value.abs() >= 10.0 { 1 } else { 4 };
    let text = format!("{value:.decimals$}");
    match text.contains('.') {
        true => text.trim_end_matches('0').trim_end_matches('.').to_owned(),
        false => text,
    }
}

/// How a job with a stream ended.
pub(super) fn status(result: &JobResult) -> &'static str {
    match result.status {
        Status::Running => "still running",
        Status::Done => "done",
        Status::Interrupted => "interrupted; what was due is stored",
        Status::Aborted => "aborted mid-batch",
        Status::Failed => "ENDED EARLY by an error",
        Status::Stopped => "ENDED EARLY by a threshold",
    }
}
