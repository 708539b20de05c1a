//! What every job may come to: what was asked for and not done, and its thresholds.

use std::fmt::{self, Write as _};

use crate::quantity::format_seconds;
use crate::result::{JobResult, Status, ThresholdReport};

/// What was asked for and not done, a line each.
pub(super) fn shortfalls(result: &JobResult) -> impl Iterator<Item = String> + '_ {
    result.shortfalls.iter().map(|shortfall| format!("NOT DONE AS ASKED: {shortfall}"))
}

/// Thresholds that do not hold, a line each.
pub(super) fn failed_thresholds(result: &JobResult) -> impl Iterator<Item = String> + '_ {
    let failed = result.thresholds.iter().filter(|threshold| !threshold.passed);
    failed.map(|threshold| format!("THRESHOLD FAILED: {}", line(threshold, "")))
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

fn verdict(threshold: &ThresholdReport) -> &'static str {
    if threshold.passed { ", held" } else { ", FAILED" }
}

fn line(threshold: &ThresholdReport, verdict: &str) -> String {
    let value = threshold.value.map_or("not measured".to_owned(), |value| {
        let bound = match (threshold.at_least, threshold.at_most) {
            (true, _) => "≥ ",
            (_, true) => "≤ ",
            _ => "",
        };
        format!("{bound}{value:.4}")
    });
    let ended =
        threshold.aborted_at_s.map(|at| format!(" after {}, which ended it", format_seconds(at)));
    format!("`{}`: {value}{verdict}{}", threshold.threshold, ended.unwrap_or_default())
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
