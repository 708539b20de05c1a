//! Words that the summaries of streams, benchmarks and sweeps share.

use crate::query::answer::Row;
use crate::query::examine::PlanHistory;
use crate::stats::{Comparison, Verdict};
use crate::strom::{Gpu, evidence, hint};

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

/// A row of an answer.
pub(super) fn row(row: &Row) -> String {
    let value = |(name, value): (&String, &Option<String>)| {
        format!("{name} = {}", value.as_deref().unwrap_or("NULL"))
    };
    row.iter().map(value).collect::<Vec<_>>().join(", ")
}
